"""Progress on a real terminal: a pseudo-terminal of this test."""

import os
import pty
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
A_RUN = """
from workflows.progress import Event, State
from workflows.telling import telling
with telling(as_json=False) as tell:
    tell(Event(step="ready", state=State.STARTED, text="[each] target"))
    tell(Event(step="ready", state=State.DONE))
    tell(Event(step="attack", state=State.STARTED, text="all of them", lasts_s=1.0))
    tell(Event(step="attack", state=State.FAILED))
    tell(Event(step="teardown", state=State.NOTE, text="the API stays"))
"""


def test_on_a_terminal_each_step_has_a_line_and_user_text_is_no_markup() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", A_RUN], cwd=REPOSITORY, stderr=theirs, stdout=subprocess.DEVNULL):
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
        except OSError:  # the terminal's other end is closed
            pass
    os.close(ours)

    assert b"[each] target" in shown
    assert b"the API stays" in shown
    assert "✓".encode() in shown


def test_elsewhere_it_is_plain_lines() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", A_RUN],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )

    assert [line.split()[0] for line in ended.stderr.splitlines()] == ["ready", "ready", "attack", "attack", "teardown"]
    assert "\x1b" not in ended.stderr
