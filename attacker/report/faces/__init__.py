"""The faces of a report: HTML with its plots, Markdown, JUnit and text, all of one report.json."""
