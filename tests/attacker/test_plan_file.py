import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from attacker.duration import Duration
from attacker.exits import RunBrokenError
from attacker.plan import Shard
from attacker.plan_file import Plan, parse_plan, render_plan
from attacker.rate import Rate
from attacker.sending import Sending
from tests.attacker.building import START_NS, a_shard, a_target

names = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
headers = st.dictionaries(names, st.text(st.characters(min_codepoint=33, max_codepoint=126)), max_size=3)
bodies: st.SearchStrategy[Any] = (
    st.just({}) | values.map(lambda value: {"json": value}) | st.text(max_size=20).map(lambda text: {"text": text})
)


def can_be_sent(fields: dict[str, object]) -> bool:
    try:
        a_target(**fields)
    except ValidationError:
        return False
    return True


targets = (
    st.fixed_dictionaries(
        {
            "name": names,
            "method": st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
            "headers": headers,
            "expected_status": st.lists(st.integers(100, 599), max_size=3),
        }
    )
    .flatmap(lambda fields: bodies.map(lambda body: {**fields, **body}))
    .filter(can_be_sent)
    .map(lambda fields: a_target(**fields))
)
numbers_ns = st.integers(0, 2**63)
files = st.text(min_size=1, max_size=10)
ways_of_sending = st.builds(
    Sending,
    workers=st.integers(1, 10**6),
    max_workers=st.none() | st.integers(1, 10**6),
    keepalive=st.booleans(),
    max_body=st.integers(-1, 2**62),
    dns_ttl=st.none() | st.builds(Duration, numbers_ns),
    root_certs=st.lists(files, max_size=3).map(tuple),
    cert=st.none() | files,
)
shards = st.builds(
    Shard,
    name=names,
    target=targets,
    rate=st.builds(Rate, st.integers(1, 10**9), st.integers(1, 2**60)),
    warmup_requests=st.integers(0, 10**9),
    requests=st.integers(1, 10**9),
    delay_ns=numbers_ns,
    timeout=st.builds(Duration, numbers_ns),
    sending=ways_of_sending,
)
plans = st.builds(
    Plan,
    run=names,
    shards=st.lists(shards, min_size=1, max_size=4).map(tuple),
    deadline_ns=numbers_ns,
    margin=st.builds(Duration, numbers_ns),
    sequential=st.booleans(),
)


def a_plan(*shards: Shard, sequential: bool = False) -> Plan:
    margin = Duration.of_seconds(2)
    return Plan(run="the-run", shards=shards, deadline_ns=START_NS, margin=margin, sequential=sequential)


@given(plan=plans)
def test_a_plan_is_read_as_it_was_written(plan: Plan) -> None:
    read = parse_plan(render_plan(plan))

    assert read == plan
    assert [shard.target.as_vegeta_json() for shard in read.shards] == [
        shard.target.as_vegeta_json() for shard in plan.shards
    ]
    assert [shard.duration for shard in read.shards] == [shard.duration for shard in plan.shards]


@pytest.mark.parametrize("body", [0, "", "ä", -0.0, {"": [1e300, 10**30, None]}], ids=repr)
def test_a_body_is_sent_as_it_was_planned(body: object) -> None:
    target = a_target(method="POST", json=body)

    [shard] = parse_plan(render_plan(a_plan(a_shard(target=target)))).shards

    assert shard.target.body == target.body == json.dumps(body, ensure_ascii=False).encode()


def test_at_one_instant_there_is_one_wave() -> None:
    first, second = a_shard(name="a", target=a_target(name="a")), a_shard(name="b", target=a_target(name="b"))

    assert a_plan(first, second).waves == ((first, second),)


def test_target_by_target_each_has_a_wave_of_its_shards() -> None:
    a0, a1, b = (a_shard(name=name, target=a_target(name=name[0])) for name in ("a-0", "a-1", "b"))

    assert a_plan(a0, a1, b, sequential=True).waves == ((a0, a1), (b,))


@pytest.mark.parametrize(
    ("data", "what"),
    [(b"", "json_invalid"), (b"\xff", "json_invalid"), (b"[]", "dataclass_type"), (b"{}", r"run \(missing\)")],
    ids=["empty", "no text", "a list", "of nothing"],
)
def test_what_is_no_plan_is_said_to_be_none(data: bytes, what: str) -> None:
    with pytest.raises(RunBrokenError, match=f"^plan.json is no plan of this version: {what}: plan and attack with"):
        parse_plan(data)


def test_what_is_said_of_a_faulty_plan_holds_no_secret() -> None:
    fields = json.loads(render_plan(a_plan(a_shard(target=a_target(headers={"Authorization": "Bearer s3cret"})))))
    fields["shards"][0]["target"]["headers"]["Authorization"] = "s3cret\n"

    with pytest.raises(RunBrokenError, match=r"^[^\n]* shards\[0\].target \(value_error\): plan [a-z ]*$"):
        parse_plan(json.dumps(fields).encode())
