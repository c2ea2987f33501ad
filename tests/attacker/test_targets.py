import json
import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from attacker.targets import Target, check_absolute_url, default_name
from attacker.vegeta import find_vegeta
from tests.attacker.loopback import Loopback, Seen

GUIDES_LINE = (
    "POST http://fast-api-server:5000/add_users Content-Type: application/json {'id':4, 'name':'user4', 'age':'100'}"
)
plain_texts = st.text(st.characters(codec="utf-8"), max_size=40)
json_bodies = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | plain_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain_texts, inner, max_size=3),
    max_leaves=8,
)
header_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


def parsed(target: object) -> Target:
    return Target.model_validate(target)


def sent_by_vegeta(*targets: Target, to: Loopback) -> list[Seen]:
    """Have vegeta send each target once, in this order, however slow the machine is."""
    lines = "".join(target.at(to.url).as_vegeta_json() for target in targets)
    options = ["-format=json", "-lazy", "-rate=100/s", "-workers=1", "-max-workers=1"]
    command = [str(find_vegeta()), "attack", *options, "-timeout=10s"]
    subprocess.run(command, input=lines.encode(), stdout=subprocess.DEVNULL, check=True, timeout=60)
    return to.seen


def test_the_short_form_is_a_method_and_a_path() -> None:
    target = parsed("GET /health")

    assert target == Target(name="get-health", method="GET", url="/health")
    assert (target.headers, target.body) == ({}, b"")


def test_the_guides_one_line_form_is_read_as_its_author_meant() -> None:
    target = parsed(GUIDES_LINE)

    assert (target.name, target.method) == ("post-add_users", "POST")
    assert target.url == "http://fast-api-server:5000/add_users"
    assert target.headers == {"Content-Type": "application/json"}
    assert json.loads(target.body) == {"id": 4, "name": "user4", "age": "100"}


def test_the_long_form_names_all_that_is_sent() -> None:
    target = parsed(
        {
            "name": "add",
            "method": "PUT",
            "path": "/users",
            "headers": {"X-Trace": "1"},
            "json": [4],
            "expected_status": 201,
        }
    )

    assert (target.name, target.method, target.url) == ("add", "PUT", "/users")
    assert (target.sent_headers, target.body) == ({"Content-Type": "application/json", "X-Trace": "1"}, b"[4]")
    assert target.expected_status == (201,)


@pytest.mark.parametrize(
    ("rest", "headers", "body"),
    [
        pytest.param('{"a": 1}', {}, b'{"a": 1}', id="a JSON body"),
        pytest.param("{'a': True, 'b': None}", {}, b'{"a": true, "b": null}', id="a Python literal"),
        pytest.param("[1, 2]", {}, b"[1, 2]", id="a list"),
        pytest.param("Accept: text/html X-Trace: 1", {"Accept": "text/html", "X-Trace": "1"}, b"", id="two headers"),
        pytest.param("Accept:text/html", {"Accept": "text/html"}, b"", id="a header without a space"),
        pytest.param("Host: api:5000", {"Host": "api:5000"}, b"", id="a port in a value"),
        pytest.param(
            "Referer: http://api/ X-Trace: 1", {"Referer": "http://api/", "X-Trace": "1"}, b"", id="a URL in a value"
        ),
        pytest.param(
            "If-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT",
            {"If-Modified-Since": "Sat, 29 Oct 1994 19:43:31 GMT"},
            b"",
            id="a time in a value",
        ),
        pytest.param(
            "Content-Type: text/plain; charset=utf-8 {not JSON",
            {"Content-Type": "text/plain; charset=utf-8"},
            b"{not JSON",
            id="a text body",
        ),
    ],
)
def test_after_the_url_come_headers_and_a_body(rest: str, headers: dict[str, str], body: bytes) -> None:
    target = parsed(f"POST /add {rest}")

    assert (target.headers, target.body) == (headers, body)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        pytest.param("", "give METHOD and URL, such as 'GET /health'", id="nothing"),
        pytest.param("GET", "give METHOD and URL, such as 'GET /health'", id="no URL"),
        pytest.param("get /health", "give METHOD and URL, such as 'GET /health'", id="small letters"),
        pytest.param("GET /health HTTP/1.1", "'HTTP/1.1', is neither a header nor a JSON body", id="a version"),
        pytest.param("POST /add hello", "'hello', is neither a header nor a JSON body", id="a bare text"),
        pytest.param("POST /add {'a': }", "no JSON (Expecting property name", id="half a literal"),
        pytest.param('POST /add {"a": 1', "no JSON (Expecting ',' delimiter at character 8)", id="an open bracket"),
        pytest.param("POST /add {1, 2}", "no JSON", id="a set"),
        pytest.param("POST /add {'a': open('/etc/passwd')}", "no JSON", id="a call"),
        pytest.param("POST /add " + "[" * 100_000, "nested too deeply", id="very many brackets"),
        pytest.param("POST /add " + "{'a':" * 100_000, "no JSON", id="very many Python brackets"),
        pytest.param('POST /add {"a": NaN}', "the body cannot be sent", id="no number"),
        pytest.param('POST /add {"a": "\\ud800"}', "the body cannot be sent", id="half a character"),
        pytest.param("GET /x A:1 B:2", "the header A would be '1 B:2'", id="headers run together"),
        pytest.param("GET /x Via: see http://x", "the header Via would be 'see http://x'", id="perhaps a header"),
        pytest.param("GET /x A: 1 A: 2", "a header is there twice, of A, A", id="a header twice"),
        pytest.param(
            "POST /x Content-Type: application/x-www-form-urlencoded a=1",
            "the header Content-Type would be 'application/x-www-form-urlencoded a=1'",
            id="a form",
        ),
        pytest.param('POST /x Content-Type: application/json {"a": 1', "no JSON", id="a body that is not of its type"),
    ],
)
def test_a_line_that_cannot_be_read_as_its_author_meant_is_refused(line: str, told: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(told)):
        parsed(line)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        pytest.param({"name": ""}, "name is '': give 1 to 63 letters", id="no name"),
        pytest.param({"name": "a/b"}, "name is 'a/b': give", id="a slash in the name"),
        pytest.param({"name": ".."}, "name is '..': give", id="a folder's name"),
        pytest.param({"name": "overall"}, "other than ., .., overall", id="the report's own name"),
        pytest.param({"name": "n" * 64}, "give 1 to 63 letters", id="a long name"),
        pytest.param({"name": "größe"}, "name is 'größe'", id="a name not in ASCII"),
        pytest.param(
            {"method": "get"}, "method is 'get': give an HTTP method in capitals", id="a method in small letters"
        ),
        pytest.param({"method": ""}, "method is ''", id="no method"),
        pytest.param({"url": ""}, "url is '': give a URL with a host", id="no URL"),
        pytest.param({"url": "health"}, "or a path such as /health", id="a path without a slash"),
        pytest.param({"url": "//api/health"}, "give a URL with a host", id="two slashes"),
        pytest.param({"url": "ftp://api/"}, "give a URL with a host", id="another scheme"),
        pytest.param({"url": "http:///health"}, "give a URL with a host", id="no host"),
        pytest.param({"url": "http://api:99999/"}, "give a URL with a host", id="no port of this world"),
        pytest.param({"url": "http://[bad/"}, "give a URL with a host", id="half an address"),
        pytest.param({"url": "/a b"}, "a URL has no spaces", id="a space"),
        pytest.param({"url": "/a\nb"}, "a URL has no spaces", id="a line feed"),
        pytest.param({"url": "/\ud800"}, "a URL has no spaces", id="half a character"),
        pytest.param({"url": "/100%"}, "write '%25' for '%' itself", id="a bare percent sign"),
        pytest.param({"url": "http://api/%zz"}, "write '%25' for '%' itself", id="no hexadecimal digits"),
        pytest.param({"headers": {"X Y": "1"}}, "headers has 'X Y'", id="a space in a header's name"),
        pytest.param({"headers": {"": "1"}}, "headers has ''", id="a header without a name"),
        pytest.param({"headers": {"X": "a\r\nY: b"}}, "headers.X has a character that cannot be sent", id="two lines"),
        pytest.param({"headers": {"X": "größe"}}, "headers.X has a character that cannot be sent", id="not ASCII"),
        pytest.param({"json": {}, "text": ""}, "json and text are both given", id="two bodies"),
        pytest.param(
            {"json": {}, "headers": {"content-type": "text/plain"}},
            "over a JSON body: drop the header",
            id="JSON as text",
        ),
        pytest.param({"json": float("nan")}, "the body cannot be sent", id="no number"),
        pytest.param({"text": "\ud800"}, "the body cannot be sent", id="half a character in the body"),
        pytest.param(
            {"text": "{'a': 1}", "headers": {"Content-Type": "application/problem+json"}},
            "Expecting property name enclosed in double quotes at character 2; mend the body or the header",
            id="a text that is to be JSON",
        ),
        pytest.param(
            {"text": "hello", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
            "Content-Type says a form: write name=value&name=value",
            id="a text that is to be a form",
        ),
        pytest.param({"expected_status": 99}, "greater than or equal to 100", id="no status"),
        pytest.param({"expected_status": True}, "valid tuple", id="a truth for a status"),
        pytest.param({"bodi": "x"}, "bodi\n  Extra inputs are not permitted", id="a key that there is not"),
    ],
)
def test_what_could_not_be_sent_as_it_is_meant_is_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(told)):
        parsed({"name": "one", "url": "/", **wrong})


def test_credentials_in_a_url_are_refused_without_being_repeated() -> None:
    with pytest.raises(ValidationError, match="give credentials as an Authorization header") as refusal:
        parsed({"name": "one", "url": "http://ada:secret@api/"})

    assert "secret" not in refusal.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    ("method", "url", "name"),
    [
        ("GET", "/health", "get-health"),
        ("POST", "/add_users/", "post-add_users"),
        ("GET", "http://api:5000/users/age?users_id=2", "get-users-age"),
        ("GET", "/", "get-root"),
        ("DELETE", "/a/{id}/ü", "delete-a-id"),
        ("GET", "http://[bad", "get-root"),
    ],
)
def test_a_target_is_named_by_its_request(method: str, url: str, name: str) -> None:
    assert default_name(method, url) == name


def test_a_path_is_one_on_the_api_and_a_whole_url_stays() -> None:
    assert parsed("GET /health").at("http://api:5000/v1/").url == "http://api:5000/v1/health"
    assert parsed("GET http://other/health").at("http://api:5000").url == "http://other/health"


@pytest.mark.parametrize("url", ["http://api:5000", "https://api/health", "http://[::1]:80/"])
def test_a_whole_url_has_a_scheme_and_a_host(url: str) -> None:
    check_absolute_url(url)


@given(code=st.integers(0, 999))
def test_success_is_an_answer_below_400_unless_the_target_says_otherwise(code: int) -> None:
    assert parsed("GET /").is_success(code) == (200 <= code < 400)
    assert parsed({"url": "/", "expected_status": [404, 500]}).is_success(code) == (code in {404, 500})


def test_headers_that_may_hold_secrets_are_hidden() -> None:
    target = parsed({"url": "/", "headers": {"Authorization": "Bearer x", "X-Api-Key": "y", "accept": "text/html"}})

    assert target.without_secrets().headers == {"Authorization": "***", "X-Api-Key": "***", "accept": "text/html"}


@given(name=st.from_regex(r"[A-Za-z][A-Za-z-]{0,20}", fullmatch=True), body=plain_texts)
def test_vegetas_json_is_one_line_that_ends_in_a_line_feed(name: str, body: str) -> None:
    line = parsed({"name": "one", "url": "/ü", "headers": {name: body.encode().hex()}, "text": body}).as_vegeta_json()

    assert line.endswith("\n")
    assert len(line.splitlines()) == 1


@given(json_body=json_bodies, headers=st.dictionaries(st.sampled_from(["X-A", "x-b"]), header_values))
def test_a_target_is_the_same_after_it_was_written_and_read(json_body: object, headers: dict[str, str]) -> None:
    target = parsed({"name": "one", "url": "/", "json": json_body, "headers": headers})

    assert parsed(json.loads(target.model_dump_json(by_alias=True))).as_vegeta_json() == target.as_vegeta_json()


@given(body=json_bodies.filter(lambda body: body is not None))
def test_a_json_body_is_sent_as_json(body: object) -> None:
    assert json.loads(parsed({"url": "/", "json": body}).body) == body


def test_vegeta_sends_what_the_target_says(loopback_api: Loopback) -> None:
    headers = {"X-Lower": "a  b", "x-odd!#$": "tab\there", "X-Empty": "", "Host": "other:99"}
    target = parsed({"method": "POST", "url": "/ü%20b?q=1&r=100%;", "headers": headers, "json": {"größe": "1\n"}})

    [seen] = sent_by_vegeta(target, to=loopback_api)

    assert (seen.method, seen.body) == ("POST", '{"größe": "1\\n"}'.encode())
    assert seen.path == "/%C3%BC%20b?q=1&r=100%;"
    assert {**seen.headers, **headers, "Content-Type": "application/json"} == seen.headers


def test_vegeta_sends_each_of_several_targets(loopback_api: Loopback) -> None:
    lines = ["GET /one", "DELETE /two", "PUT /three {}"]

    seen = sent_by_vegeta(*(parsed(line) for line in lines), to=loopback_api)

    assert [(one.method, one.path) for one in seen] == [("GET", "/one"), ("DELETE", "/two"), ("PUT", "/three")]


def test_vegeta_sends_the_guides_line_as_its_author_meant(loopback_api: Loopback) -> None:
    to_here = parsed(GUIDES_LINE.replace("http://fast-api-server:5000", loopback_api.url))

    [seen] = sent_by_vegeta(to_here, to=loopback_api)

    assert (seen.method, seen.path, seen.headers["Content-Type"]) == ("POST", "/add_users", "application/json")
    assert json.loads(seen.body) == {"id": 4, "name": "user4", "age": "100"}
