"""The load test: defaults, and what each field refuses."""

import json

import pytest

from attacker.exits import InvalidLoadTestError
from attacker.sending import Sending
from workflows.loadtest import LoadTest, Order
from workflows.loadtest_file import parse_loadtest
from workflows.steps.plan import plan

A_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON_HEADER = {"Content-Type": "application/json"}


def test_without_any_field_it_is_the_guides_load_test() -> None:
    loadtest = LoadTest()

    assert [(target.name, target.method, target.url) for target in loadtest.targets] == [
        ("get-health", "GET", "/health"),
        ("get-metadata", "GET", "/metadata"),
        ("post-add_users", "POST", "/add_users/"),
    ]
    assert json.loads(loadtest.targets[2].body) == {"id": 4, "name": "user4", "age": "100"}
    assert (str(loadtest.rate), str(loadtest.duration), loadtest.order) == ("60/s", "60s", Order.PARALLEL)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"rat": 5}, "rat is 5: there is no such field: did you mean rate?", id="unknown field"),
        pytest.param(
            {"targets": [{"url": "/", "metod": "GET"}]},
            "targets[0].metod is 'GET': there is no such field: did you mean method?",
            id="unknown field of a target",
        ),
        pytest.param({"rate": 0}, "rate is 0: give a rate above zero, such as 60", id="rate of nothing"),
        pytest.param({"rate": "-1"}, "rate is '-1': give requests a second, such as 60", id="negative rate"),
        pytest.param({"rate": "infinity"}, "rate is 'infinity': give requests a second", id="rate without end"),
        pytest.param({"rate": "0.5/s"}, "rate is '0.5/s': a fraction of a request cannot be sent", id="half a request"),
        pytest.param({"rate": "abc"}, "rate is 'abc': give requests a second", id="rate of letters"),
        pytest.param({"duration": 0}, "duration is 0: give a duration above zero, such as 60s", id="no duration"),
        pytest.param({"shards": 0}, "shards is 0: give 1 or more", id="no shards"),
        pytest.param({"shards": "1001"}, "shards is '1001': give 1000 or less", id="shards without end"),
        pytest.param({"shards": 1.5}, "shards is 1.5: give a whole number, or auto", id="half a shard"),
        pytest.param({"shards": True}, "shards is True: give a whole number, or auto", id="shards of yes"),
        pytest.param({"shards": "automatic"}, "shards is 'automatic': give a whole number, or auto", id="near auto"),
        pytest.param({"shards": "auto"}, "shards is auto, but shard_rate is not given", id="auto of nothing"),
        pytest.param({"shard_rate": 0}, "shard_rate is 0: give a rate above zero", id="attackers that carry nothing"),
        pytest.param({"shard_rate": 20}, "rate is 60/s: that takes 3 shards of 20/s", id="more than a shard carries"),
        pytest.param({"targets": []}, "targets is []: give at least one target", id="no targets"),
        pytest.param({"targets": "\n# none\n"}, "targets is '\\n# none\\n': give at least one target", id="a comment"),
        pytest.param(
            {"targets": ["GET /a", "GET /a?b"]}, "targets: two targets have the name 'get-a'", id="two of one name"
        ),
        pytest.param(
            {"targets": [{"name": "A", "url": "/"}, {"name": "a", "url": "/"}]},
            "targets: two targets have the name 'a'",
            id="names that a file system may take for one",
        ),
        pytest.param(
            {"targets": [{"name": "a/b", "url": "/"}]},
            "targets[0]: name is 'a/b': give 1 to 63 letters, digits",
            id="a name with a slash",
        ),
        pytest.param(
            {"targets": ["GET http:///x"]}, "targets[0]: url is 'http:///x': give a URL with a host", id="no host"
        ),
        pytest.param(
            {"targets": [{"name": "a", "url": "http://user:hidden@api/"}]},
            "targets[0]: url: URLs are written to reports: give credentials as an Authorization header",
            id="credentials in a URL",
        ),
        pytest.param(
            {"targets": [{"url": "/", "headers": JSON_HEADER, "text": "{a"}]},
            "targets[0]: text is '{a', but Content-Type is 'application/json'",
            id="a body that is no JSON",
        ),
        pytest.param(
            {"targets": [{"url": "/", "headers": A_FORM, "text": "a b"}]},
            "targets[0]: text is 'a b', but Content-Type says a form",
            id="a body that is no form",
        ),
        pytest.param(
            {"targets": [{"url": "/", "headers": {"Content-Type": "text/csv"}, "json": {}}]},
            "targets[0]: headers.Content-Type is 'text/csv' over a JSON body",
            id="JSON under another type",
        ),
        pytest.param(
            {"objectives": ["p98 < 5ms"]}, "objectives: 'p98 < 5ms': there is no figure 'p98'", id="no such figure"
        ),
        pytest.param(
            {"objectives": ["nobody: p99 < 5ms"]},
            "objectives has 'nobody', which is no target: the targets are get-health, get-metadata, post-add_users",
            id="an objective of no target",
        ),
        pytest.param({"api_cpu": "x"}, "api_cpu is 'x': give processors above zero", id="CPU"),
        pytest.param({"api_memory": "1 TB"}, "api_memory is '1 TB': give an amount of memory", id="memory"),
        pytest.param({"api_url": "api:80"}, "api_url is 'api:80': give a URL with a host", id="API without a scheme"),
        pytest.param({"results": "gs://"}, "results is 'gs://': give a bucket", id="no bucket"),
        pytest.param({"workers": 0}, "workers is 0: give 1 or more", id="no worker"),
        pytest.param({"max_workers": "many"}, "max_workers is 'many': give a whole number", id="no number"),
        pytest.param({"max_workers": True}, "max_workers is True: give a whole number", id="YAML's 'on' for a number"),
        pytest.param({"connections": 2.5}, "connections is 2.5: give a whole number", id="half a connection"),
        pytest.param({"max_connections": -1}, "max_connections is -1: give 0 or more", id="less than none"),
        pytest.param({"redirects": -2}, "redirects is -2: give -1 or more", id="less than following none"),
        pytest.param({"workers": 10**7}, "workers is 10000000: give 1000000 or less", id="too many workers"),
        pytest.param({"keepalive": "perhaps"}, "keepalive is 'perhaps': give true or false", id="neither"),
        pytest.param({"max_body": "1.5KB"}, "max_body is '1.5KB': give a number of bytes, such as 4096", id="no size"),
        pytest.param(
            {"max_body": "9999999999GB"}, "max_body is '9999999999GB': give a number", id="more than there is"
        ),
        pytest.param(
            {"dns_ttl": "soon"}, "dns_ttl is 'soon': give a duration such as 500ms, 60s or 1m30s, 0s", id="TTL"
        ),
        pytest.param(
            {"validity": ["p99 < 50ms"]},
            "validity: 'p99 < 50ms': no rule compares that figure: those are sent_ratio, lag.p99",
            id="a threshold of no rule",
        ),
        pytest.param(
            {"validity": ["sent_ratio >= 95%", "lag.p99 >= 1s"]},
            "validity: 'lag.p99 >= 1s': write it as the rule is, with one <=: 'lag.p99 <= 100ms'",
            id="a threshold the wrong way round",
        ),
        pytest.param({"cert": " "}, "cert is ' ': give the path of a PEM file", id="no path"),
        pytest.param({"root_certs": 5}, "root_certs is 5: give a list", id="no paths"),
        pytest.param(
            {"root_certs": ["a,b.pem"]},
            "root_certs[0]: 'a,b.pem' has a comma, at which vegeta would cut it in two: give the file another name",
            id="a path that vegeta would take for two",
        ),
        pytest.param(
            {"h2c": True, "keepalive": False, "workers": 20, "max_workers": 15},
            "h2c is true, and with it vegeta ignores keepalive: leave those out, or h2c\n"
            "workers is 20, but max_workers is 15: give no more than that",
            id="options that contradict each other",
        ),
        pytest.param(
            {"h2c": True, "api_url": "https://api/v1"},
            "h2c is true, which is HTTP/2 without TLS, but there is https://api/v1/health: give http://",
            id="HTTP/2 without TLS, with TLS",
        ),
        pytest.param(
            {"rate": "1/2s", "duration": "1s"},
            "duration is 1s: at 1/2s that is 0 requests for 1 shard; give a longer duration",
            id="nothing to send",
        ),
    ],
)
def test_what_is_wrong_is_said_with_field_value_and_remedy(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidLoadTestError) as refusal:
        parse_loadtest(fields)

    assert str(refusal.value).startswith(message)


def test_all_faults_are_said_at_once_a_line_each() -> None:
    with pytest.raises(InvalidLoadTestError) as refusal:
        parse_loadtest({"rate": 0, "duration": 0, "targets": ["GET"]})

    assert [line.split()[0] for line in str(refusal.value).splitlines()] == ["targets[0]:", "rate", "duration"]


def test_the_guides_own_one_line_target_is_read_as_its_author_meant() -> None:
    body = "{'id':4, 'name':'user4', 'age':'100'}"

    [target] = parse_loadtest(
        {"targets": f"POST http://fast-api-server:5000/add_users Content-Type: application/json {body}"}
    ).targets

    assert target.name == "post-add_users"
    assert target.url == "http://fast-api-server:5000/add_users"
    assert target.sent_headers == {"Content-Type": "application/json"}
    assert json.loads(target.body) == {"id": 4, "name": "user4", "age": "100"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("POST http://a/b {'id': 4,,}", "the body \"{'id': 4,,}\" is no JSON", id="a broken body"),
        pytest.param("POST http://a/b HTTP/1.1", "what follows the URL, 'HTTP/1.1', is neither", id="an HTTP version"),
        pytest.param("http://a/b", "give METHOD and URL", id="no method"),
    ],
)
def test_a_line_that_cannot_be_meant_is_refused_with_the_reason(line: str, reason: str) -> None:
    with pytest.raises(InvalidLoadTestError) as refusal:
        parse_loadtest({"targets": [line]})

    assert str(refusal.value).startswith(f"targets[0]: {reason}")


def test_targets_can_be_named_by_a_mapping() -> None:
    loadtest = parse_loadtest({"targets": {"home": "GET /", "users": {"path": "/users/name?users_id=1"}}})

    assert [(target.name, target.url) for target in loadtest.targets] == [
        ("home", "/"),
        ("users", "/users/name?users_id=1"),
    ]


@pytest.mark.parametrize("shards", ["auto", " AUTO "])
def test_there_are_as_many_shards_as_the_rate_takes(shards: str) -> None:
    loadtest = parse_loadtest({"targets": ["GET /"], "rate": 50, "shard_rate": "20/s", "shards": shards})

    assert [shard.name for shard in plan(loadtest, base_url="http://api")] == ["get-root-0", "get-root-1", "get-root-2"]


def test_a_form_whose_shard_rate_is_left_empty_has_none() -> None:
    assert parse_loadtest({"shard_rate": "", "shards": "2"}) == parse_loadtest({"shards": 2})


def test_how_vegeta_sends_is_given_to_every_shard() -> None:
    loadtest = parse_loadtest(
        {"shards": 2, "max_workers": 10, "dns_ttl": -1, "max_body": "4KB", "root_certs": "ca.pem, /other.pem\n"}
    )

    assert loadtest.sending == Sending(max_workers=10, dns_ttl=None, max_body=4096, root_certs=("ca.pem", "/other.pem"))
    assert {shard.sending for shard in plan(loadtest, base_url="http://api")} == {loadtest.sending}


def test_what_is_not_given_is_sent_as_vegeta_does() -> None:
    assert LoadTest().sending == Sending()


@pytest.mark.parametrize(
    ("written", "size"), [("17", 17), (0, 0), ("4KB", 4096), ("1 mb", 1 << 20), ("-1", -1), ("2B", 2)]
)
def test_what_is_kept_of_a_body_is_written_as_for_vegeta(written: object, size: int) -> None:
    assert parse_loadtest({"max_body": written}).max_body == size


def test_as_it_ran_it_can_be_read_again() -> None:
    loadtest = parse_loadtest(
        {
            "rate": "1000/3s",
            "warmup": "1500ms",
            "objectives": "p99 < 50ms",
            "shards": 2,
            "dns_ttl": -1,
            "max_body": "4KB",
            "root_certs": ["ca.pem"],
        }
    )

    assert parse_loadtest(loadtest.as_run()) == loadtest


def test_no_report_shows_a_credential() -> None:
    loadtest = parse_loadtest({"targets": [{"url": "/", "headers": {"Authorization": "Bearer hidden"}}]})

    assert "hidden" not in json.dumps(loadtest.as_run())
    assert loadtest.targets[0].sent_headers == {"Authorization": "Bearer hidden"}
