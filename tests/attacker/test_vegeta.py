import re
from pathlib import Path

import pytest

from attacker.duration import Duration
from attacker.exits import RunBrokenError
from attacker.sending import USUAL, Sending
from attacker.vegeta import attack_command, attack_environment, find_vegeta, vegeta_version
from tests.attacker.building import a_shard, a_target

GO_MOD = Path(__file__).parents[2] / "attacker" / "go.mod"


def a_program(folder: Path, *, says: str, exit_code: int = 0) -> Path:
    program = folder / "vegeta"
    program.write_text(f"#!/bin/sh\necho '{says}'\nexit {exit_code}\n")
    program.chmod(0o755)
    return program


def a_command(*, cpus: float = 1, **changes: object) -> tuple[str, ...]:
    shard = a_shard(**changes)
    return attack_command(Path("vegeta"), shard, targets=Path("targets.jsonl"), output=Path("results.gob"), cpus=cpus)


def test_vegeta_is_found_and_is_of_the_locked_version() -> None:
    locked = re.search(r"^\s*(?:require )?github\.com/tsenart/vegeta/v12 (\S+)", GO_MOD.read_text(), re.MULTILINE)

    assert locked is not None
    assert vegeta_version(find_vegeta()) == locked[1]


@pytest.mark.parametrize(
    ("says", "exit_code", "told"),
    [
        pytest.param("Version: v1", 1, "does not run (.*): run scripts/setup to build it anew", id="a failing program"),
        pytest.param(
            "hello", 0, "-version says 'hello.*', which names no version: run scripts/setup", id="another one"
        ),
    ],
)
def test_a_program_that_names_no_version_is_told_of(tmp_path: Path, says: str, exit_code: int, told: str) -> None:
    program = a_program(tmp_path, says=says, exit_code=exit_code)

    with pytest.raises(RunBrokenError, match=told.replace("(.*)", r"\(.*\)")):
        vegeta_version(program)


def test_a_program_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(RunBrokenError, match=r"nothing does not run \(.*\): run scripts/setup to build it anew"):
        vegeta_version(tmp_path / "nothing")


def test_the_command_holds_the_plan_and_not_what_the_request_holds() -> None:
    target = a_target(headers={"Authorization": "Bearer secret"}, json={"password": "secret"})

    command = a_command(target=target)

    assert "secret" not in " ".join(command)
    assert command[2:] == (
        "attack",
        "-name=get-health",
        "-format=json",
        "-targets=targets.jsonl",
        "-output=results.gob",
        "-rate=10/s",
        "-duration=9999999999ns",
        "-timeout=5s",
        "-workers=10",
        "-connections=10000",
        "-max-connections=0",
        "-keepalive=true",
        "-http2=true",
        "-h2c=false",
        "-redirects=10",
        "-max-body=-1",
        "-dns-ttl=5s",
        "-insecure=false",
    )


def test_every_option_of_sending_is_vegetas_of_the_same_name() -> None:
    sending = Sending(
        workers=3,
        max_workers=5,
        connections=7,
        max_connections=9,
        keepalive=False,
        http2=False,
        h2c=True,
        redirects=-1,
        max_body=1024,
        dns_ttl=None,
        insecure=True,
        root_certs=("a.pem", "b.pem"),
        cert="c.pem",
        key="k.pem",
    )

    assert a_command(sending=sending)[-14:] == (
        "-workers=3",
        "-max-workers=5",
        "-connections=7",
        "-max-connections=9",
        "-keepalive=false",
        "-http2=false",
        "-h2c=true",
        "-redirects=-1",
        "-max-body=1024",
        "-dns-ttl=-1",
        "-insecure=true",
        "-root-certs=a.pem,b.pem",
        "-cert=c.pem",
        "-key=k.pem",
    )


@pytest.mark.parametrize(("cpus", "told"), [(0.5, 1), (1, 1), (1.5, 2), (2, 2)])
def test_vegeta_is_told_of_its_processors_which_it_would_else_take_all(cpus: float, told: int) -> None:
    assert a_command(cpus=cpus)[1] == f"-cpus={told}"


def test_the_longest_wait_is_the_shards() -> None:
    assert "-timeout=300ms" in a_command(timeout=Duration(300_000_000))


def test_proxies_are_taken_out_of_the_environment_unless_they_are_asked_for_and_nothing_else() -> None:
    environment = {
        "HTTP_PROXY": "a",
        "https_proxy": "b",
        "All_Proxy": "c",
        "NO_PROXY": "d",
        "PATH": "/bin",
        "PROXY": "e",
    }

    assert attack_environment(USUAL, environment) == {"PATH": "/bin", "PROXY": "e"}
    assert attack_environment(Sending(proxies=True), environment) == environment


def test_the_own_environment_is_the_one_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("SSL_CERT_FILE", "certificates.pem")

    assert "HTTP_PROXY" not in attack_environment(USUAL)
    assert attack_environment(USUAL)["SSL_CERT_FILE"] == "certificates.pem"
