"""The template and the schedule that are made of a load test: without a cluster, as data."""

import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tests.workflows.submit_process import REPOSITORY, submit
from workflows import pod_steps
from workflows.loadtest import MOST_READERS, LoadTest
from workflows.loadtest_file import parse_loadtest, read_yaml
from workflows.parameters import fields_of, values_of
from workflows.pipeline import IN_POOL, READERS, TARGETS_NAME, TEMPLATE_NAME, cron_workflow
from workflows.render import render_yaml, targets_manifest, template_manifest
from workflows.steps.plan import plan

GOLDEN = Path(__file__).parent / "golden"
MADE = ".workflowtemplate.yaml"
IS_UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"
LOAD_TESTS = sorted(path.name.removesuffix(".yaml") for path in GOLDEN.glob("*.yaml") if not path.name.endswith(MADE))
CHOICES = {"order", "api_service", "keepalive", "http2", "h2c", "insecure", "proxies", "keep"}
OF_A_POD = ("container", "script")
EVERY_FIELD = values_of(parse_loadtest(read_yaml(GOLDEN / "every-field.yaml")))
STEPS = ("deploy", "ready", "report", "teardown")
ARGOS_LIMIT_BYTES = 1 << 20
"""An object's, in etcd; Argo packs what a run adds to it."""
POD_LIMIT_BYTES = 128 << 10
"""One environment variable's, in which Argo gives a pod its template."""

Manifest = dict[str, Any]


@cache
def made_of(name: str) -> Manifest:
    return template_manifest(parse_loadtest(read_yaml(GOLDEN / f"{name}.yaml")), namespace="loadtest")


@pytest.fixture(params=LOAD_TESTS)
def made(request: pytest.FixtureRequest) -> Manifest:
    return made_of(request.param)


def templates_of(manifest: Manifest) -> dict[str, Manifest]:
    return {one["name"]: one for one in manifest["spec"]["templates"]}


def pods_of(manifest: Manifest) -> dict[str, Manifest]:
    """The templates whose nodes are pods."""
    return {name: one for name, one in templates_of(manifest).items() if set(OF_A_POD) & set(one)}


def tasks_of(manifest: Manifest) -> dict[str, Manifest]:
    return {task["name"]: task for one in manifest["spec"]["templates"] for task in one.get("dag", {}).get("tasks", ())}


def main_of(template: Manifest) -> Manifest:
    main: Manifest = template.get("container") or template["script"]
    return main


def attack_patch(manifest: Manifest, **parameters: str) -> Manifest:
    """What Argo patches an attack pod with, its parameters filled in."""
    text = templates_of(manifest)["attack"]["podSpecPatch"]
    text = text.replace("{{inputs.parameters.grace_s}}", "75").replace(IN_POOL, "{}")
    for name, value in parameters.items():
        text = text.replace(f"{{{{workflow.parameters.{name}}}}}", value)
    patch: Manifest = json.loads(text)
    return patch


def texts_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (text for one in value.values() for text in texts_in(one))
    elif isinstance(value, list):
        yield from (text for one in value for text in texts_in(one))
    elif isinstance(value, str):
        yield value


def referred_in(value: object) -> set[str]:
    """What stands between double braces."""
    return {found for text in texts_in(value) for found in re.findall(r"\{\{(.*?)\}\}", text)}


def test_no_golden_file_is_without_its_other_half() -> None:
    made = {path.name.removesuffix(MADE) for path in GOLDEN.glob(f"*{MADE}")}

    assert made == set(LOAD_TESTS) or IS_UPDATE
    assert len(LOAD_TESTS) >= 3


@pytest.mark.parametrize("name", LOAD_TESTS)
def test_the_template_of_a_load_test_is_the_one_beside_it(name: str) -> None:
    golden = GOLDEN / f"{name}{MADE}"
    assert not (IS_UPDATE and os.environ.get("CI")), "UPDATE_GOLDEN=1 under CI would make every test pass: unset it"
    if IS_UPDATE:
        golden.write_text(render_yaml(made_of(name)), encoding="utf-8")

    assert made_of(name) == yaml.safe_load(golden.read_text(encoding="utf-8")), "to accept it: UPDATE_GOLDEN=1"


@pytest.mark.parametrize("field", LoadTest.model_fields)
def test_every_field_is_a_parameter_of_the_template(made: Manifest, field: str) -> None:
    [parameter] = [one for one in made["spec"]["arguments"]["parameters"] if one["name"] == field]

    assert parameter["description"]
    assert ("value" in parameter) != ("valueFrom" in parameter)
    assert ("enum" in parameter) == (field in CHOICES)
    assert parameter.get("value", "") in parameter.get("enum", [parameter.get("value", "")])


@pytest.mark.parametrize("name", LOAD_TESTS)
def test_the_templates_defaults_are_the_load_tests_values(name: str) -> None:
    loadtest = parse_loadtest(read_yaml(GOLDEN / f"{name}.yaml"))
    parameters = made_of(name)["spec"]["arguments"]["parameters"]

    assert parse_loadtest({"targets": loadtest.targets}, fields_of(parameters)) == loadtest


def test_every_field_has_another_value_than_its_default_in_one_of_the_load_tests() -> None:
    written = [values_of(parse_loadtest(read_yaml(GOLDEN / f"{name}.yaml"))) for name in LOAD_TESTS]

    untouched = {name for name, value in values_of(LoadTest()).items() if {one[name] for one in written} == {value}}

    assert untouched == set()
    assert [name for name, value in values_of(LoadTest()).items() if EVERY_FIELD[name] == value] == [
        "keepalive",
        "h2c",
        "insecure",
    ]


def test_targets_come_from_the_config_map_of_k8s_unless_they_are_typed_in(made: Manifest) -> None:
    [targets] = [one for one in made["spec"]["arguments"]["parameters"] if one["name"] == "targets"]
    config = yaml.safe_load((REPOSITORY / "k8s/loadtest/configmap-targets.yaml").read_text())

    assert targets["valueFrom"] == {"configMapKeyRef": {"name": TARGETS_NAME, "key": "targets"}}
    assert config == targets_manifest(LoadTest(), namespace="loadtest") | {"data": config["data"]}
    assert parse_loadtest(fields_of([{"name": "targets", "value": config["data"]["targets"]}])) == LoadTest()


@given(text=st.text(max_size=30), value=st.floats(allow_nan=False, allow_infinity=False))
@example(text="a\x85b\u2028c\u2029d", value=1e22)
@example(text="\n a\x85\n: - #\t\r\n ", value=0.1)
def test_targets_come_out_of_their_config_map_as_they_went_in(text: str, value: float) -> None:
    fields = {"targets": [{"name": "a", "method": "POST", "url": "/", "json": {"text": text, "value": value}}]}
    loadtest = parse_loadtest(fields)
    [written] = yaml.safe_load_all(render_yaml(targets_manifest(loadtest, namespace="x")))

    assert parse_loadtest(fields_of([{"name": "targets", "value": written["data"]["targets"]}])) == loadtest


def test_the_tasks_are_the_designs_steps_in_their_order(made: Manifest) -> None:
    tasks = tasks_of(made)

    assert {name: task["template"] for name, task in tasks.items()} == {
        name: name for name in (*STEPS, "attack", "read")
    }
    assert [tasks[name].get("depends") for name in ("deploy", "ready", "attack")] == [None, None, "deploy"]


def test_however_a_run_ends_it_is_reported_on_and_torn_down_and_neither_waits_for_the_other(made: Manifest) -> None:
    at_the_end = templates_of(made)[made["spec"]["onExit"]]["dag"]

    assert [(task["name"], task.get("depends")) for task in at_the_end["tasks"]] == [
        ("report", None),
        ("read", None),
        ("teardown", None),
    ]
    assert at_the_end["failFast"] is False


@pytest.mark.parametrize("step", STEPS)
def test_a_python_step_is_a_function_of_the_image_and_no_inline_source(made: Manifest, step: str) -> None:
    script = templates_of(made)[step]["script"]

    assert script["source"] == "{{inputs.parameters}}"
    assert script["command"] == ["python"]
    assert script["args"] == ["-m", "hera.workflows.runner", "-e", f"workflows.pod_steps:{step}"]
    assert step in pod_steps.__all__


def test_an_attack_is_a_program_and_its_arguments_without_a_shell(made: Manifest) -> None:
    attack = templates_of(made)["attack"]["container"]

    assert attack["command"] == ["python", "-m", "attacker"]
    assert attack["args"] == ["attack", "--", "{{inputs.parameters.shard}}"]


def test_a_reader_is_a_program_and_its_number(made: Manifest) -> None:
    read = templates_of(made)["read"]["container"]

    assert read["command"] == ["python", "-m", "attacker"]
    assert read["args"] == ["read", "{{inputs.parameters.reader}}"]
    assert read["resources"]["requests"]["memory"] == read["resources"]["limits"]["memory"]


def test_there_are_as_many_readers_as_are_asked_for_and_none_where_the_report_reads_alone(made: Manifest) -> None:
    """Where the number is none, the run is refused, and what is left of it has to be removed all the same."""
    task = tasks_of(made)["read"]

    assert task["withSequence"] == {"start": "1", "count": READERS}
    assert re.search(r'matches "(.*?)" \? workflow.parameters.readers : "0"', READERS)
    pattern = READERS.partition('"')[2].partition('"')[0]
    numbers = [str(number) for number in range(-1, 1000)] + ["", "two", "2.5", "02"]
    assert [int(number) for number in numbers if re.search(pattern, number)] == list(range(2, MOST_READERS + 1))


def test_what_a_user_types_is_no_part_of_a_command(made: Manifest) -> None:
    commands = [(main["command"], main["args"], main.get("source")) for main in map(main_of, pods_of(made).values())]

    assert referred_in([list(command) for command in commands]) == {
        "inputs.parameters",
        "inputs.parameters.shard",
        "inputs.parameters.reader",
    }
    assert not {"sh", "bash", "-c"} & {word for command, args, _ in commands for word in (*command, *args)}


def test_every_pod_has_a_timeout_for_it_may_never_start(made: Manifest) -> None:
    timeouts = {name: template.get("timeout") for name, template in pods_of(made).items()}

    assert timeouts == {
        "deploy": "5m",
        "ready": "20m",
        "attack": "{{inputs.parameters.timeout}}",
        "report": "20m",
        "read": "20m",
        "teardown": "5m",
    }
    # A pod that gets its node as this fires is deleted while it initialises, and the workflow never ends.
    assert "pendingTimeout" not in templates_of(made)["attack"]
    assert made["spec"]["activeDeadlineSeconds"] > 0


def test_nothing_is_tried_again(made: Manifest) -> None:
    assert "retryStrategy" not in made["spec"]
    assert [name for name, template in templates_of(made).items() if "retryStrategy" in template] == []


def test_no_result_of_an_attack_is_waited_for(made: Manifest) -> None:
    """Where all attackers fail, there is none: Argo would wait for it without end."""
    assert [name for name in referred_in(made) if name.startswith(("tasks.attack.", "tasks.report."))] == []


def test_what_is_referred_to_is_there(made: Manifest) -> None:
    fields = {f"workflow.parameters.{name}" for name in LoadTest.model_fields}
    of_argo = {"workflow.name", "workflow.uid", "workflow.parameters", "workflow.status", "workflow.creationTimestamp"}
    outputs = {
        f"tasks.{task['name']}.outputs.parameters.{output['name']}"
        for task in tasks_of(made).values()
        for output in templates_of(made)[task["template"]].get("outputs", {}).get("parameters", ())
    }
    inputs = {
        f"inputs.parameters.{one['name']}"
        for template in templates_of(made).values()
        for one in template.get("inputs", {}).get("parameters", ())
    }

    expressions = {text[2:-2] for text in (pod_steps.IN_BUCKET, pod_steps.IN_RUNS, IN_POOL, READERS)}

    assert referred_in(made["spec"]["templates"]) - expressions <= fields | of_argo | outputs | inputs | {
        "item",
        "inputs.parameters",
    }


def test_a_task_gives_its_template_what_it_asks_for(made: Manifest) -> None:
    given = {name: {one["name"] for one in task["arguments"]["parameters"]} for name, task in tasks_of(made).items()}
    asked = {name: {one["name"] for one in one["inputs"]["parameters"]} for name, one in pods_of(made).items()}

    assert given == asked


def test_a_pod_may_do_what_its_step_needs_and_no_more(made: Manifest) -> None:
    accounts = {name: template["serviceAccountName"] for name, template in pods_of(made).items()}

    assert accounts == {
        "deploy": "loadtest-deployer",
        "ready": "loadtest-deployer",
        "attack": "loadtest-attacker",
        "report": "loadtest-reporter",
        "read": "loadtest-attacker",
        "teardown": "loadtest-deployer",
    }


def test_every_container_passes_the_pod_security_standard_restricted(made: Manifest) -> None:
    patches = [json.loads(made["spec"]["podSpecPatch"]), attack_patch(made)]
    own = [one for patch in patches for one in (*patch["initContainers"], *patch["containers"])]
    contexts = [main_of(template)["securityContext"] for template in pods_of(made).values()]
    contexts += [one["securityContext"] for one in own if one["name"] != "main"]
    pods = [made["spec"]["securityContext"], templates_of(made)["attack"]["securityContext"]]

    assert len(contexts) == 10
    assert [(one["allowPrivilegeEscalation"], one["capabilities"]) for one in contexts] == [
        (False, {"drop": ["ALL"]})
    ] * 10
    assert [(one["runAsNonRoot"], one["seccompProfile"]) for one in pods] == [(True, {"type": "RuntimeDefault"})] * 2


def test_an_attackers_requests_equal_its_limits_in_all_of_its_containers(made: Manifest) -> None:
    patch = attack_patch(made, attacker_cpu="1500m", attacker_memory="1Gi")
    containers = {one["name"]: one["resources"] for one in (*patch["initContainers"], *patch["containers"])}

    assert set(containers) == {"init", "wait", "main"}
    assert [one["requests"] for one in containers.values()] == [one["limits"] for one in containers.values()]
    assert containers["main"]["limits"] == {"cpu": "1500m", "memory": "1Gi"}


def test_an_attacker_has_time_to_upload_and_ports_to_send_from(made: Manifest) -> None:
    attack = templates_of(made)["attack"]

    assert attack_patch(made)["terminationGracePeriodSeconds"] == 75
    assert attack["securityContext"]["sysctls"] == [{"name": "net.ipv4.ip_local_port_range", "value": "1024 65535"}]
    assert {"name": "ATTACKER_CPUS"}.items() <= next(
        one for one in attack["container"]["env"] if one.get("valueFrom", {}).get("resourceFieldRef")
    ).items()


def test_whoever_asks_the_api_finds_the_files_that_tls_needs(made: Manifest) -> None:
    mounts = {
        name: [one["mountPath"] for one in main_of(template)["volumeMounts"] if one["name"] == "certs"]
        for name, template in pods_of(made).items()
    }
    told = {
        name: [one["value"] for one in main_of(template)["env"] if one["name"] == "LOADTEST_CERTS"]
        for name, template in pods_of(made).items()
    }
    secrets = [one for name in ("ready", "attack") for one in templates_of(made)[name]["volumes"] if "secret" in one]

    assert {name for name, places in mounts.items() if places} == {"ready", "attack"}
    assert mounts == told
    assert [(one["secret"]["secretName"], one["secret"]["optional"]) for one in secrets] == [
        ("loadtest-certs", True)
    ] * 2


def test_attackers_are_kept_off_the_apis_nodes_where_there_are_nodes_for_them(made: Manifest) -> None:
    attack = templates_of(made)["attack"]
    [api] = attack["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    deployment = yaml.safe_load((REPOSITORY / "k8s/api/deployment.yaml").read_text())

    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert api["podAffinityTerm"]["labelSelector"]["matchLabels"].items() <= labels.items()
    assert attack["tolerations"] == [
        {"key": "loadtest/attacker", "operator": "Equal", "value": "true", "effect": "NoSchedule"}
    ]


def test_one_run_at_a_time_whose_attackers_all_run_at_once(made: Manifest) -> None:
    assert made["spec"]["synchronization"] == {"mutexes": [{"name": TEMPLATE_NAME}]}
    assert "parallelism" not in made["spec"]
    assert [name for name, template in templates_of(made).items() if "parallelism" in template] == []


def test_what_is_left_of_a_run_is_removed_in_time(made: Manifest) -> None:
    assert made["spec"]["podGC"] == {"strategy": "OnPodSuccess", "deleteDelayDuration": "60s"}
    assert made["spec"]["ttlStrategy"]["secondsAfterFailure"] > made["spec"]["ttlStrategy"]["secondsAfterSuccess"] > 0


def test_a_schedule_runs_the_template_with_what_differs() -> None:
    made = a_schedule()

    assert made["spec"]["schedules"] == ["30 2 * * *"]
    assert made["spec"]["timezone"] == "Europe/Berlin"
    assert made["spec"]["concurrencyPolicy"] == "Forbid"
    assert made["spec"]["workflowSpec"] == {
        "workflowTemplateRef": {"name": TEMPLATE_NAME},
        "arguments": {"parameters": [{"name": "rate", "value": "100/s"}]},
    }


def a_schedule() -> Manifest:
    made: Manifest = cron_workflow(
        namespace="loadtest", schedule="30 2 * * *", timezone="Europe/Berlin", values={"rate": "100/s"}
    ).to_dict()
    return made


def unknown_fields(manifests: list[Manifest]) -> list[str]:
    """Read manifests with Hera's models, which are made strict for it: only in a process of its own."""
    from hera.shared._pydantic import APIBaseModel  # noqa: PLC0415
    from hera.workflows import models  # noqa: PLC0415
    from pydantic import RootModel, ValidationError  # noqa: PLC0415

    def below(model: type[Any]) -> Iterator[type[Any]]:
        for one in model.__subclasses__():
            yield one
            yield from below(one)

    strict = [model for model in below(APIBaseModel) if not issubclass(model, RootModel)]
    for model in strict:
        model.model_config["extra"] = "forbid"
    for model in strict * 2:  # one that holds others has theirs of before
        model.model_rebuild(force=True)
    faults = []
    for manifest in manifests:
        try:
            getattr(models, manifest["kind"]).model_validate(manifest)
        except ValidationError as error:
            faults += [f"{'.'.join(map(str, one['loc']))}: {one['type']}" for one in error.errors()]
    return faults


def faults_of(*manifests: Manifest) -> list[str]:
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
        return process.submit(unknown_fields, list(manifests)).result(timeout=100)


def test_hera_knows_every_field() -> None:
    misspelt = made_of("defaults") | {"spec": {**made_of("defaults")["spec"], "podGc": {}}}
    manifests = [*map(made_of, LOAD_TESTS), a_schedule(), misspelt]

    faults = faults_of(*manifests)

    assert faults == ["spec.podGc: extra_forbidden"]


def many_targets(count: int) -> LoadTest:
    targets = [
        {
            "name": f"target-{index}",
            "method": "POST",
            "url": f"/a/path/of/some/length/{index}",
            "headers": {"Authorization": "Bearer " + "x" * 60},
            "json": {"id": index, "name": f"user{index}", "age": "100"},
        }
        for index in range(count)
    ]
    return parse_loadtest({"targets": targets, "shards": 2})


def as_a_pods_template(loadtest: LoadTest) -> str:
    """A step's template as Argo gives it to its pod: all that the step is told, and that once more as its source."""
    listed = [{"name": name, "value": value} for name, value in values_of(loadtest).items() if name != "targets"]
    told = {"parameters": json.dumps(listed), "targets": values_of(loadtest)["targets"]}
    inputs = [{"name": name, "value": value} for name, value in told.items()]
    step = templates_of(made_of("defaults"))["ready"]
    return json.dumps({**step, "inputs": inputs, "script": {**step["script"], "source": json.dumps(inputs)}})


def as_a_workflow(loadtest: LoadTest) -> str:
    """A run as it is submitted, with the template as Argo stores it with it."""
    listed = [{"name": name, "value": value} for name, value in values_of(loadtest).items()]
    stored = template_manifest(loadtest, namespace="loadtest")["spec"]
    return json.dumps({"spec": {"arguments": {"parameters": listed}}, "stored": {**stored, "arguments": listed}})


def test_forty_targets_with_two_shards_each_fit_into_argos_limits() -> None:
    loadtest = many_targets(40)

    shards = [shard.name for shard in plan(loadtest, base_url="http://loadtest-api:5000")]

    assert len(set(shards)) == 80
    assert len(as_a_pods_template(loadtest).encode()) < POD_LIMIT_BYTES
    assert len(as_a_workflow(loadtest).encode()) < ARGOS_LIMIT_BYTES


def test_a_thousand_targets_render_into_less_than_a_mebibyte(tmp_path: Path) -> None:
    loadtest = many_targets(1000)
    file = tmp_path / "thousand.yaml"
    file.write_text(json.dumps({"targets": json.loads(values_of(loadtest)["targets"]), "shards": 2}))

    told = submit("render", str(file), cwd=tmp_path)

    template, targets = yaml.safe_load_all(told.out)
    assert len(told.out.encode()) < ARGOS_LIMIT_BYTES
    assert len(as_a_workflow(loadtest).encode()) < ARGOS_LIMIT_BYTES
    assert template == template_manifest(loadtest, namespace="loadtest")
    assert (
        parse_loadtest(fields_of([{"name": "targets", "value": targets["data"]["targets"]}])).targets
        == loadtest.targets
    )


def test_render_prints_what_the_cluster_takes(tmp_path: Path) -> None:
    options = ("--api-image", "registry.example/api:1", "--attacker-image", "registry.example/attacker:1")

    told = submit("render", "--objective", "p99 < 50ms", *options, cwd=tmp_path)

    assert (told.code, told.err) == (0, "")
    assert yaml.safe_load(told.out) == made_of("one-target")


def test_render_takes_another_namespace(tmp_path: Path) -> None:
    told = submit("render", "--namespace", "another", cwd=tmp_path)

    assert yaml.safe_load(told.out)["metadata"]["namespace"] == "another"
