"""Measuring: from shards' rows to every number of a report, exact and in bounded memory."""
