"""Count false alarms: short healthy runs of the example API on this machine, none of which may be INVALID.

`python tests/benchmarks/false_alarms.py [RUNS]` prints a line for each run: its verdict, and the figures that rules of
validity compare. It ends in 1 where one was INVALID.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT))

from attacker.command_line import say  # noqa: E402  (after the path to it)
from attacker.report.figures import Report  # noqa: E402
from attacker.report.notation import checked  # noqa: E402
from attacker.report.validity.rules import RuleName  # noqa: E402
from tests.loopback import a_free_port  # noqa: E402

_RUN = ("--local", "--duration", "3s", "--warmup", "1s", "--rate", "60", "--objective", "success >= 99%")
_SHOWN = (RuleName.SENT, RuleName.LAG, RuleName.SKEW)


def _a_run(folder: Path) -> Report:
    command = [sys.executable, str(_ROOT / "workflows" / "submit.py"), *_RUN, "--api-port", str(a_free_port())]
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    reports = list(folder.glob("runs/*/report.json"))
    if not reports:
        raise SystemExit(f"a run left no report, and ended in {told.returncode}: {told.stderr}")
    return Report.model_validate_json(reports[0].read_bytes())


def _line(number: int, report: Report) -> str:
    figures = {rule.rule: checked(rule) for rule in report.validity}
    shown = "  ".join(f"{name} {figures[name]:>7}" for name in _SHOWN)
    return f"{number:>3}  {report.verdict.result:<8} {shown}  {'; '.join(report.verdict.reasons)}"


def main(runs: int) -> int:
    """Run them one after the other; returns the exit code."""
    results: Counter[str] = Counter()
    for number in range(1, runs + 1):
        with tempfile.TemporaryDirectory() as scratch:
            report = _a_run(Path(scratch))
        results[report.verdict.result] += 1
        say(_line(number, report).rstrip())
    say(f"{results['INVALID']} of {runs} healthy runs were called INVALID")
    return 1 if results["INVALID"] else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
