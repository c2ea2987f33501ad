"""Results files of real attacks, of all that a report can meet: short, and made anew for each run of the tests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from attacker.results.columns import Results
from attacker.results.gob import read_gob
from attacker.vegeta import find_vegeta
from tests.attacker.by_vegeta import attacked, finished
from tests.attacker.failing import RESET, a_server_that_ends_with
from tests.attacker.loopback import a_refusing_port, loopback
from tests.certificates import certificates

__all__ = ["KINDS", "Corpus", "attack_everything"]

KINDS = (
    "normal",
    "5xx",
    "timeouts",
    "refused",
    "resets",
    "bodies",
    "cut bodies",
    "redirects followed",
    "redirects not followed",
    "one request",
    "held back",
    "two names",
    "two names in one file",
    "duplicates",
    "duplicates in one file",
    "HTTP/2",
    "everything at once",
)
INTERVAL_NS = 10_000_000
"""All are attacked at 100/s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """The files of one attack, or of several."""

    files: tuple[Path, ...]
    interval_ns: int = INTERVAL_NS

    @property
    def results(self) -> tuple[Results, ...]:
        return tuple(_read(file) for file in self.files)


def attack_everything(folder: Path) -> dict[str, Corpus]:
    """Make a file or two of each of the `KINDS`."""
    made = {
        name: Corpus(
            files=tuple(
                _written(folder / f"{name.replace('/', '')}-{index}.gob", content)
                for index, content in enumerate(contents)
            )
        )
        for name, contents in _attacks(folder)
    }
    for name in ("two names", "duplicates"):
        together = finished([str(find_vegeta()), "encode", "-to=gob", *map(str, made[name].files)])
        made[f"{name} in one file"] = Corpus(files=(_written(folder / f"{name}.gob", together),))
    return made


def _attacks(folder: Path) -> Iterator[tuple[str, Sequence[bytes]]]:
    body = folder / "body"
    body.write_bytes(b"a body" * 50)
    issued = certificates(folder)
    with loopback() as api, a_refusing_port() as nobody, a_server_that_ends_with(RESET) as resetting:
        normal = _attack(api.url, "-name=one")
        yield "normal", [normal]
        yield "5xx", [_attack(f"{api.url}/?status=503", f"{api.url}/?status=500", api.url)]
        yield "timeouts", [_attack(f"{api.url}/?wait_s=5", api.url, "-timeout=150ms")]
        yield "refused", [_attack(f"http://127.0.0.1:{nobody}/")]
        yield "resets", [_attack(resetting, api.url)]
        yield "bodies", [_attack(f"POST {api.url}/?bytes=9999", f"PUT {api.url}/?bytes=0", f"-body={body}")]
        yield "cut bodies", [_attack(f"{api.url}/?bytes=9999", f"{api.url}/?bytes=3", "-max-body=1KB")]
        redirect = f"{api.url}/?status=307&location=/there"
        yield "redirects followed", [_attack(redirect, api.url)]
        yield "redirects not followed", [_attack(redirect, api.url, "-redirects=-1")]
        yield "one request", [_attack(api.url, "-rate=2/s", "-duration=499ms")]
        yield "held back", [_attack(f"{api.url}/?wait_s=0.05", api.url, "-max-workers=1", "-duration=999ms")]
        yield "two names", [normal, _attack(f"{api.url}/?status=404", "-name=two", "-duration=99ms")]
        yield "duplicates", [normal, normal]
        mixed = [f"{api.url}/?status={status}&bytes={status}" for status in (200, 302, 404, 500)]
        yield "everything at once", [_attack(*mixed, f"http://127.0.0.1:{nobody}/", resetting, "-name=every kind")]
    with loopback(tls=issued.server) as api:
        yield "HTTP/2", [_attack(api.url, f"{api.url}/?status=500", f"-root-certs={issued.root}")]


def _attack(*words: str) -> bytes:
    """Attack what is no option."""
    options = [word for word in words if word.startswith("-")]
    urls = [word for word in words if not word.startswith("-")]
    return attacked(urls, "-rate=100/s", "-duration=249ms", *options)


def _written(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


def _read(file: Path) -> Results:
    with file.open("rb", buffering=0) as stream:
        return read_gob(stream, name=file.name).results
