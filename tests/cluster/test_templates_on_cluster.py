"""What is rendered, as a real cluster's API server sees it, which has Argo's whole CRDs; nothing is run."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.runs import MISSING, a_workflow, kubectl
from tests.workflows.submit_process import REPOSITORY, submit
from workflows.loadtest_file import parse_loadtest
from workflows.parameters import values_of
from workflows.pipeline import cron_workflow

TEMPLATES = sorted((REPOSITORY / "tests/workflows/golden").glob("*.workflowtemplate.yaml"))
ARGO = shutil.which("argo") or ""

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(MISSING), reason=f"there is no cluster here: {', '.join(MISSING)} missing"),
]


def accepted(*manifests: dict[str, Any], how: str = "apply") -> str:
    """Have the server look at manifests; nothing comes of it."""
    text = "---\n".join(json.dumps(manifest) + "\n" for manifest in manifests)
    options = ("--server-side", "--force-conflicts") if how == "apply" else ()
    return kubectl(how, *options, "--dry-run=server", "-f", "-", manifest=text)


def a_schedule() -> dict[str, Any]:
    made: dict[str, Any] = cron_workflow(
        namespace="loadtest", schedule="30 2 * * 1-5", timezone="Europe/Berlin", values={"rate": "100/s"}
    ).to_dict()
    return made


def a_thousand_targets() -> list[dict[str, Any]]:
    body = {"id": 4, "name": "user4", "age": "100"}
    return [{"name": f"target-{n}", "method": "POST", "url": f"/a/path/{n}", "json": body} for n in range(1000)]


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_the_server_accepts_a_rendered_template(file: Path) -> None:
    assert "workflowtemplate.argoproj.io/load-test serverside-applied" in accepted(yaml.safe_load(file.read_text()))


def test_the_server_accepts_the_schedule_and_the_run() -> None:
    values = [{"name": name, "value": value} for name, value in values_of(parse_loadtest({})).items()]

    assert "cronworkflow.argoproj.io/load-test serverside-applied" in accepted(a_schedule())
    assert " created " in accepted(a_workflow(arguments={"parameters": values}), how="create")


def test_the_server_refuses_a_field_that_argo_does_not_know() -> None:
    template = yaml.safe_load(TEMPLATES[0].read_text())
    template["spec"]["podGc"] = template["spec"].pop("podGC")

    with pytest.raises(AssertionError, match=r"podGc: field not declared in schema"):
        accepted(template)


def test_the_server_accepts_a_thousand_targets(tmp_path: Path) -> None:
    file = tmp_path / "thousand.yaml"
    file.write_text(json.dumps({"targets": a_thousand_targets()}))
    rendered = submit("render", str(file), cwd=tmp_path)
    values = values_of(parse_loadtest({"targets": a_thousand_targets()}))

    told = accepted(*yaml.safe_load_all(rendered.out))
    run = accepted(
        a_workflow(arguments={"parameters": [{"name": "targets", "value": values["targets"]}]}), how="create"
    )

    assert "workflowtemplate.argoproj.io/load-test serverside-applied" in told
    assert "configmap/loadtest-targets serverside-applied" in told
    assert " created " in run


@pytest.mark.argo
@pytest.mark.skipif(not ARGO, reason="Argo's command line is not there: argo missing")
@pytest.mark.parametrize("name", ["one-target", "every-field"])
def test_argo_finds_no_mistake_in_a_template_with_its_schedule(tmp_path: Path, name: str) -> None:
    shutil.copy(REPOSITORY / f"tests/workflows/golden/{name}.workflowtemplate.yaml", tmp_path)
    (tmp_path / "schedule.yaml").write_text(yaml.safe_dump(a_schedule()))

    linted = subprocess.run(
        [ARGO, "lint", "--offline", "--no-color", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr
