import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SOURCE = "import numba\n\n@numba.njit(cache=True)\ndef double(n):\n    return 2 * n\n"


def call(argument: str, *, within: Path, **environment: str) -> str:
    """Call `double` in a process of its own; gives what numba says of its cache."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    paths = os.pathsep.join(map(str, (within, REPOSITORY)))
    return subprocess.run(
        [sys.executable, "-c", f"import code_ahead; print(code_ahead.double({argument}))"],
        env=inherited | {"PYTHONPATH": paths, "NUMBA_DEBUG_CACHE": "1"} | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


@pytest.fixture(scope="module")
def compiled_ahead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with code, and beside it what numba made of it for a whole number."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "code_ahead.py").write_text(SOURCE)
    assert "data saved" in call("1", within=folder)
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """The environment of an image whose own folders cannot be written."""
    return {
        "NUMBA_CACHE_DIR": str(tmp_path / "numba"),
        "NUMBA_CACHE_LOCATOR_CLASSES": "attacker.compiled.BroughtAlong",
    }


def test_what_was_compiled_ahead_is_loaded(compiled_ahead: Path, elsewhere: dict[str, str]) -> None:
    first = call("2", within=compiled_ahead, **elsewhere)
    second = call("2", within=compiled_ahead, **elsewhere)

    assert "data loaded" in first
    assert "data loaded" in second
    assert "data saved" not in first + second


def test_what_was_not_is_compiled_and_kept_elsewhere(compiled_ahead: Path, elsewhere: dict[str, str]) -> None:
    before = sorted((compiled_ahead / "__pycache__").glob("*.nb*"))

    first = call("2.5", within=compiled_ahead, **elsewhere)
    second = call("2.5", within=compiled_ahead, **elsewhere)

    assert "data saved" in first
    assert "data loaded" in second
    assert sorted((compiled_ahead / "__pycache__").glob("*.nb*")) == before


def test_a_folder_that_cannot_be_made_is_told_of(compiled_ahead: Path, elsewhere: dict[str, str]) -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        call("2", within=compiled_ahead, **elsewhere | {"NUMBA_CACHE_DIR": "/proc/numba"})

    assert "no locator available" in raised.value.stderr
