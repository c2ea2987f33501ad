"""Step aggregate: every shard's rows to one report, in all its faces, written into the run folder."""

from collections.abc import Callable, Sequence
from pathlib import Path

from attacker.api_pods import ApiPods
from attacker.measuring.measure import Reader
from attacker.measuring.reading import Here
from attacker.measuring.sample import Sample
from attacker.plan import Shard
from attacker.report.assemble import assemble
from attacker.report.faces.html import render_html
from attacker.report.faces.junit import render_junit
from attacker.report.faces.markdown import render_markdown
from attacker.report.faces.plots import plots_of
from attacker.report.figures import Report, Run
from attacker.run_folder import FindRows, find_shard
from workflows.loadtest import LoadTest, Order

__all__ = ["aggregate"]


def aggregate(  # noqa: PLR0913  (all that a report rests on)
    loadtest: LoadTest,
    shards: Sequence[Shard],
    run: Run,
    folder: Path,
    *,
    doubts: Sequence[str],
    api: ApiPods | None = None,
    reader: Callable[[Sequence[Sample]], Reader] = Here,
    rows_in: FindRows | None = None,
) -> Report:
    """Report on what is in the run folder, be it all that was planned or not.

    Args:
        loadtest: the load test.
        shards: the plan.
        run: which run it was.
        folder: its folder; the report's faces are written here.
        doubts: what is known already to be wrong with the measurement.
        api: the API's pods before and after the attack, where it was deployed in pods for this run.
        reader: reads the rows of the targets.
        rows_in: finds a shard's rows; without it, they are in the folder.
    """
    found = [find_shard(folder, shard, run=run.id, rows_in=rows_in) for shard in shards]
    report, measured = assemble(
        run,
        found,
        loadtest.parsed_objectives,
        simultaneous=loadtest.order is Order.PARALLEL,
        doubts=doubts,
        thresholds=loadtest.thresholds,
        api=api,
        reader=reader,
    )
    (folder / "report.json").write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    plots = {name: plots_of(one, name=name) for name, one in measured.items()}
    (folder / "report.html").write_text(render_html(report, plots), encoding="utf-8")
    (folder / "report.md").write_text(render_markdown(report), encoding="utf-8")
    (folder / "junit.xml").write_text(render_junit(report), encoding="utf-8")
    return report
