"""Workflow parameters: every field of the load test as text, and back."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attacker.exits import InvalidLoadTestError
from workflows.loadtest import LoadTest
from workflows.loadtest_file import parse_loadtest
from workflows.parameters import fields_of, values_of, workflow_parameters

DEFAULTS = LoadTest()

names = st.from_regex(r"[A-Za-z0-9_-]{1,30}", fullmatch=True)
printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.strip)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
bodies: st.SearchStrategy[dict[str, Any]] = (
    st.just({})
    | json_values.filter(lambda value: value is not None).map(lambda value: {"json": value})
    | st.text(max_size=30).map(lambda text: {"text": text})
)
targets: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda fields, body: {**fields, **body},
    st.fixed_dictionaries(
        {
            "name": names.filter(lambda name: name != "overall"),
            "method": st.sampled_from(["GET", "POST", "DELETE"]),
            "url": st.sampled_from(["/", "/health", "/search?q=a%20b&x={{y}}", "https://elsewhere.example:8443/a"]),
            "headers": st.dictionaries(names.map(lambda name: f"X-{name}"), printable, max_size=2),
            "expected_status": st.lists(st.integers(100, 599), max_size=2),
        }
    ),
    bodies,
)
durations = st.integers(1, 10**15).map(lambda ns: f"{ns}ns")
fields_of_load_tests = st.fixed_dictionaries(
    {},
    optional={
        "targets": st.lists(targets, min_size=1, max_size=3, unique_by=lambda target: target["name"].lower()),
        "rate": st.sampled_from([60, "1000/3s", "7/1ms"]),
        "duration": st.sampled_from(["3s", "1m30s", "86400s"]),
        "warmup": durations,
        "timeout": durations,
        "shards": st.integers(1, 20),
        "shard_rate": st.none() | st.sampled_from(["7/1ms", 100_000]),
        "order": st.sampled_from(["parallel", "sequential"]),
        "objectives": st.lists(st.sampled_from(["p99 < 50ms", "success >= 99.9%", "overall: rate > 5/s"]), max_size=3),
        "validity": st.lists(
            st.sampled_from(["sent_ratio >= 95%", "lag.p99 <= 1s", "dns_errors <= 0.1%"]), max_size=3, unique=True
        ),
        "api_url": st.none() | st.just("http://api.example:5000"),
        "api_image": st.none() | st.just("registry.example/api@sha256:" + "0" * 64),
        "api_service": st.sampled_from(["LoadBalancer", "ClusterIP"]),
        "api_port": st.integers(1, 65535),
        "api_replicas": st.integers(1, 1000),
        "api_workers": st.integers(1, 256),
        "api_cpu": st.sampled_from([2, "0.5", "500m"]),
        "api_memory": st.sampled_from(["300Mi", "1.5Gi"]),
        "attacker_image": st.none() | st.just("registry.example/attacker:1"),
        "attacker_cpu": st.sampled_from([1, "1500m"]),
        "attacker_memory": st.sampled_from(["1Gi", 536870912]),
        "attacker_pool": st.none() | st.sampled_from(["attacker", "a.b_c-1"]),
        "ready_timeout": durations,
        "start_timeout": durations,
        "results": st.sampled_from(["gs://a-bucket", "gs://a-bucket/load-tests"]),
        "readers": st.integers(1, 100),
        "keep": st.booleans(),
    },
)
paths = st.sampled_from(["ca.pem", "/certs/a b.pem", "~/größe.pem", "1", "null", "[x]"])
of_sending_by_http = {
    "connections": st.integers(1, 10**6),
    "max_connections": st.integers(0, 10**6),
    "http2": st.booleans(),
    "dns_ttl": st.sampled_from([-1, "-1", "0s"]) | durations,
    "root_certs": st.lists(paths, max_size=3),
    "proxies": st.booleans(),
}
of_sending_anyhow = {
    "workers": st.integers(1, 10),
    "max_workers": st.none() | st.integers(10, 10**6),
    "redirects": st.integers(-1, 10),
    "max_body": st.sampled_from([-1, 0, "4KB", 17]),
}
contradicting = ({"h2c": True, "targets": ["GET /a"]}, {"keepalive": False, "insecure": True, "cert": "both.pem"})
a_clients = {"cert": paths, "key": st.none() | paths}
ways_of_sending = st.one_of(
    st.sampled_from(contradicting),
    st.fixed_dictionaries({}, optional=of_sending_by_http),
    st.fixed_dictionaries(a_clients, optional=of_sending_by_http),
)
whole_load_tests = st.tuples(
    fields_of_load_tests, st.fixed_dictionaries({}, optional=of_sending_anyhow), ways_of_sending
).map(lambda parts: {name: value for part in parts for name, value in part.items()})


def a_workflows_list(loadtest: LoadTest) -> list[dict[str, object]]:
    """The parameters as Argo hands them to a pod: JSON that was read."""
    listed = [{"name": name, "value": value} for name, value in values_of(loadtest).items()]
    return json.loads(json.dumps(listed))  # type: ignore[no-any-return]


def with_body(**body: Any) -> dict[str, Any]:
    return {"targets": [{"method": "POST", "url": "/", **body}]}


@given(fields=whole_load_tests)
@example(fields=with_body(json={"n": 1e22, "next line": "\x85", "separator": "\u2028", "delete": "\x7f"}))
@example(
    fields=with_body(text="'single' \"double\" `back` $(dollar) {{workflow.name}} {{x}} \\n\nsecond: line\n# third")
)
def test_a_load_test_comes_out_of_its_parameters_as_it_went_in(fields: dict[str, Any]) -> None:
    loadtest = parse_loadtest(fields)

    again = parse_loadtest(fields_of(a_workflows_list(loadtest)))

    assert again == (loadtest if "results" in fields else loadtest.model_copy(update={"results": DEFAULTS.results}))
    assert [target.as_vegeta_json() for target in again.targets] == [
        target.as_vegeta_json() for target in loadtest.targets
    ]


def test_every_field_can_differ_in_that_test() -> None:
    plain = fields_of_load_tests.wrapped_strategy.optional  # type: ignore[attr-defined]
    differing = {*plain, *of_sending_anyhow, *of_sending_by_http, *a_clients}.union(*contradicting)

    assert differing == set(LoadTest.model_fields)


@pytest.mark.parametrize(
    ("typed", "urls"),
    [
        pytest.param("GET /a", ["/a"], id="a short target"),
        pytest.param("# mine\nGET /a\n\nGET /b\n", ["/a", "/b"], id="short targets, a line each"),
        pytest.param("- GET /a\n- url: /b\n", ["/a", "/b"], id="a list in YAML"),
        pytest.param("first: GET /a\nsecond: {url: /b}\n", ["/a", "/b"], id="a mapping in YAML"),
        pytest.param('["GET /a", {"url": "/b"}]', ["/a", "/b"], id="a list in JSON"),
    ],
)
def test_targets_are_read_as_somebody_types_them_into_a_form(typed: str, urls: list[str]) -> None:
    read = parse_loadtest(fields_of([{"name": "targets", "value": typed}]))

    assert [target.url for target in read.targets] == urls


def test_what_is_left_empty_in_a_form_is_not_given() -> None:
    empty = [{"name": name, "value": ""} for name in ("api_url", "api_image", "attacker_image", "results")]

    assert parse_loadtest(fields_of(empty)) == DEFAULTS


def test_objectives_are_one_a_line() -> None:
    [value] = [one["value"] for one in a_workflows_list(DEFAULTS) if one["name"] == "objectives"]
    read = parse_loadtest(fields_of([{"name": "objectives", "value": "p99 < 50ms\n\n  success >= 99%\n"}]))

    assert value == "success >= 99%"
    assert read.objectives == ("p99 < 50ms", "success >= 99%")


def test_a_parameter_without_a_value_is_not_given() -> None:
    from_a_config_map = {"name": "targets", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "targets"}}}

    assert fields_of([from_a_config_map]) == {}


def test_a_parameter_that_is_no_field_is_left_to_the_workflow() -> None:
    assert fields_of([{"name": "another", "value": "1"}]) == {}


def test_a_field_that_is_wrong_is_refused_as_in_a_file() -> None:
    with pytest.raises(InvalidLoadTestError, match="attacker_cpu is '1 core': give processors above zero"):
        parse_loadtest(fields_of([{"name": "attacker_cpu", "value": "1 core"}]))


def test_results_in_a_folder_mean_nothing_to_a_pod() -> None:
    assert values_of(DEFAULTS)["results"] == ""


@pytest.mark.parametrize("name", LoadTest.model_fields)
def test_every_field_is_a_line_of_the_form_that_says_what_it_is(name: str) -> None:
    [parameter] = [one for one in workflow_parameters(DEFAULTS) if one.name == name]

    assert parameter.description.startswith(str(LoadTest.model_fields[name].description))
    assert parameter.default == (None if name == "targets" else values_of(DEFAULTS)[name])


def test_what_can_be_chosen_is_a_list() -> None:
    choices = {one.name: one.choices for one in workflow_parameters(DEFAULTS) if one.choices}

    assert choices == {
        "order": ("parallel", "sequential"),
        "api_service": ("LoadBalancer", "ClusterIP"),
        **dict.fromkeys(("keepalive", "http2", "h2c", "insecure", "proxies", "keep"), ("false", "true")),
    }
