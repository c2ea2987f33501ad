"""Cloud Build's client against a server that answers, and refuses, as Google's do."""

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials

from attacker.exits import RunBrokenError
from workflows.images import API, ATTACKER, BuildContext, ImageReference, ImageSource, context_of
from workflows.steps.cloud_build import CONTEXTS, CloudBuild, build_request, cloud_build

CHECKOUT = Path(__file__).parents[3]
IMAGE = ImageReference.parse("eu.pkg.dev/p/loadtest/api:0123456789abcdef")
CACHE = replace(IMAGE, tag="cache")
DIGEST = "sha256:" + "ab" * 32
LOG = "https://console.cloud.google.com/cloud-build/builds;region=eu/b-1?project=1"
SUCCESS = {
    "id": "b-1",
    "status": "SUCCESS",
    "logUrl": LOG,
    "results": {
        "images": [{"name": str(CACHE), "digest": "sha256:" + "0" * 64}, {"name": str(IMAGE), "digest": DIGEST}]
    },
}
QUEUED = {"id": "b-1", "status": "QUEUED", "logUrl": LOG}
WORKING = {"id": "b-1", "status": "WORKING", "logUrl": LOG}


class Paths:
    """What Google answers at."""

    UPLOAD = "/upload/storage/v1/b/bucket/o"
    BUILDS = "/v1/projects/p/locations/eu/builds"
    BUILD = "/v1/projects/p/locations/eu/builds/b-1"
    CANCEL = "/v1/projects/p/locations/eu/builds/b-1:cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as Google got it."""

    method: str
    path: str
    authorization: str
    content_type: str
    body: bytes

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What Google says next."""

    status: int
    content: dict[str, Any]


LOST = Answer(0, {})
"""The connection breaks instead."""


def refusal(status: int, name: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": status, "status": name, "message": message}})


@dataclass(slots=True, kw_only=True)
class Google:
    """Cloud Storage and Cloud Build; a build goes through states, the last of which stays."""

    states: list[dict[str, Any]] = field(default_factory=lambda: [QUEUED, WORKING, SUCCESS])
    first: dict[str, list[Answer]] = field(default_factory=dict)
    """By method and path: what is answered before all goes as it should."""
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        waiting = self.first.get(request.line.partition("?")[0])
        if waiting:
            return waiting.pop(0)
        match request.method, request.path.partition("?")[0]:
            case "POST", Paths.UPLOAD:
                return Answer(200, {"kind": "storage#object", "generation": "1"})
            case "POST", Paths.BUILDS:
                return Answer(200, {"name": "operations/build/p/x", "metadata": {"build": self.state()}})
            case "GET", Paths.BUILD:
                return Answer(200, self.state())
            case "POST", Paths.CANCEL:
                return Answer(200, {"id": "b-1", "status": "CANCELLED"})
            case _:
                return refusal(404, "NOT_FOUND", f"no such method: {request.line}")

    def state(self) -> dict[str, Any]:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    @property
    def lines(self) -> list[str]:
        return [request.line.partition("?")[0] for request in self.requests]


@contextmanager
def serving(google: Google) -> Iterator[Google]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            request = Request(
                method=self.command,
                path=self.path,
                authorization=self.headers["Authorization"],
                content_type=self.headers["Content-Type"],
                body=self.rfile.read(int(self.headers["Content-Length"] or 0)),
            )
            answer = google.answer(request)
            if answer is LOST:
                self.close_connection = True
                return
            body = json.dumps(answer.content).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815  (http.server's name)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    google.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield google
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(slots=True)
class Time:
    """Time that passes by waiting only."""

    now: float = 0
    waited: list[float] = field(default_factory=list)
    stop_at: float = float("inf")

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        self.waited.append(seconds)
        return self.now >= self.stop_at


@pytest.fixture
def context(tmp_path: Path) -> BuildContext:
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    return context_of(tmp_path, ["."])


def a_place(url: str = "https://example.com", **settings: Any) -> CloudBuild:
    return CloudBuild(project="p", region="eu", bucket="bucket", build_url=url, storage_url=url, **settings)


def a_session() -> AuthorizedSession:
    return AuthorizedSession(Credentials(token="secret"))  # type: ignore[no-untyped-call]  # noqa: S106  (nobody's)


def build(google: Google, context: BuildContext, time: Time | None = None, **settings: Any) -> str:
    time = time or Time()
    with serving(google), a_session() as session:
        return cloud_build(
            context,
            IMAGE,
            a_place(google.url, **settings),
            session=session,
            wait=time.wait,
            clock=lambda: time.now,
        )


def trouble(google: Google, context: BuildContext, time: Time | None = None, **settings: Any) -> str:
    with pytest.raises(RunBrokenError) as broken:
        build(google, context, time, **settings)
    assert "\n" not in str(broken.value)
    return str(broken.value)


def test_a_build_gives_the_digest_of_the_image_that_was_asked_for(context: BuildContext) -> None:
    google = Google()

    assert build(google, context) == DIGEST
    assert google.lines == [f"POST {Paths.UPLOAD}", f"POST {Paths.BUILDS}", f"GET {Paths.BUILD}", f"GET {Paths.BUILD}"]
    assert {request.authorization for request in google.requests} == {"Bearer secret"}


def test_the_context_is_uploaded_under_the_name_of_its_content(context: BuildContext) -> None:
    google = Google()

    build(google, context)

    upload = google.requests[0]
    assert upload.path == f"{Paths.UPLOAD}?uploadType=media&name=builds%2Fapi-{context.sha256}.tar.gz"
    assert upload.content_type == "application/gzip"
    with tarfile.open(fileobj=io.BytesIO(upload.body), mode="r:gz") as tar:
        assert tar.getnames() == ["Dockerfile"]


def test_the_build_is_asked_for_in_cloud_builds_words(context: BuildContext) -> None:
    google = Google()

    build(
        google,
        context,
        service_account="builds@p.iam.gserviceaccount.com",
        machine_type="E2_HIGHCPU_8",
        timeout_s=600,
    )

    start = google.requests[1]
    assert start.content_type == "application/json"
    assert json.loads(start.body) == {
        "source": {"storageSource": {"bucket": "bucket", "object": f"builds/api-{context.sha256}.tar.gz"}},
        "steps": [
            {
                "name": "gcr.io/cloud-builders/docker",
                "env": ["DOCKER_BUILDKIT=1"],
                "args": [
                    "build",
                    "--file=Dockerfile",
                    f"--tag={IMAGE}",
                    f"--tag={CACHE}",
                    f"--cache-from={CACHE}",
                    "--build-arg=BUILDKIT_INLINE_CACHE=1",
                    ".",
                ],
            }
        ],
        "images": [str(IMAGE), str(CACHE)],
        "timeout": "600s",
        "queueTtl": "600s",
        "tags": ["loadtest", context.content_tag],
        "options": {"logging": "CLOUD_LOGGING_ONLY", "machineType": "E2_HIGHCPU_8"},
        "serviceAccount": "projects/p/serviceAccounts/builds@p.iam.gserviceaccount.com",
    }


def test_without_an_account_cloud_build_takes_its_own(context: BuildContext) -> None:
    request = build_request(context, IMAGE, a_place(), source="builds/x")

    assert "serviceAccount" not in request
    assert request["options"] == {"logging": "CLOUD_LOGGING_ONLY"}


def test_names_cannot_change_the_address_that_is_asked() -> None:
    place = CloudBuild(project="p/../q?x", region="eu#", bucket="bucket")

    assert place.builds_url == "https://cloudbuild.googleapis.com/v1/projects/p%2F..%2Fq%3Fx/locations/eu%23/builds"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        pytest.param(
            {"status": "FAILURE", "failureInfo": {"type": "USER_BUILD_STEP", "detail": "step 0\nexited with 1"}},
            "ended with FAILURE: step 0 exited with 1",
            id="its detail, on one line",
        ),
        pytest.param(
            {"status": "TIMEOUT", "statusDetail": "took over 600s"},
            "ended with TIMEOUT: took over 600s",
            id="its state",
        ),
        pytest.param({"status": "EXPIRED"}, "ended with EXPIRED: no reason given", id="nothing"),
        pytest.param(
            {"status": "SUCCESS", "results": {"images": [{"name": str(CACHE), "digest": DIGEST}]}},
            "succeeded without telling its digest",
            id="another image's digest",
        ),
        pytest.param({"status": "SUCCESS"}, "succeeded without telling its digest", id="no digest"),
    ],
)
def test_a_build_that_did_not_make_the_image_says_why_and_where_its_log_is(
    context: BuildContext, state: dict[str, Any], said: str
) -> None:
    google = Google(states=[QUEUED, {"id": "b-1", "logUrl": LOG, **state}])

    assert trouble(google, context) == f"image {IMAGE}: Cloud Build {said}; see {LOG}"


def test_without_a_log_the_build_is_named(context: BuildContext) -> None:
    google = Google(states=[{"id": "b-1", "status": "CANCELLED"}])

    assert trouble(google, context) == (
        f"image {IMAGE}: Cloud Build ended with CANCELLED: no reason given; see build b-1 in Cloud Build's history"
    )


def test_a_build_that_lasts_too_long_is_cancelled(context: BuildContext) -> None:
    google, time = Google(states=[QUEUED, WORKING]), Time()

    said = trouble(google, context, time, timeout_s=10)

    assert said == (
        f"image {IMAGE}: Cloud Build was still WORKING when 10 s were over: give it longer; it was cancelled; see {LOG}"
    )
    assert google.lines[-1] == f"POST {Paths.CANCEL}"
    assert time.now == 12


def test_a_build_is_cancelled_when_the_run_is_stopped(context: BuildContext) -> None:
    google = Google(states=[QUEUED])

    said = trouble(google, context, Time(stop_at=1))

    assert said == (
        f"image {IMAGE}: Cloud Build was still QUEUED when the run was stopped; it was cancelled; see {LOG}"
    )


def test_a_build_that_cannot_be_cancelled_is_said_to_go_on(context: BuildContext) -> None:
    refused = refusal(400, "FAILED_PRECONDITION", "it is over")
    google = Google(states=[QUEUED], first={f"POST {Paths.CANCEL}": [refused]})

    said = trouble(google, context, Time(stop_at=1))

    why = f"image {IMAGE}: cancelling its build failed: 400 FAILED_PRECONDITION: it is over: mend what it says"
    assert said == (
        f"image {IMAGE}: Cloud Build was still QUEUED when the run was stopped; it goes on ({why}); see {LOG}"
    )


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        pytest.param(f"POST {Paths.UPLOAD}", 2, id="the upload"),
        pytest.param(f"POST {Paths.BUILDS}", 2, id="the start"),
        pytest.param(f"GET {Paths.BUILD}", 3, id="the state"),
    ],
)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_google_refuses_in_passing_is_asked_again(
    context: BuildContext, line: str, asked: int, status: int
) -> None:
    google, time = Google(first={line: [refusal(status, "BUSY", "busy")]}), Time()

    assert build(google, context, time) == DIGEST
    assert google.lines.count(line) == asked
    assert len([seconds for seconds in time.waited if 1 <= seconds <= 2]) == 1


def test_the_same_is_sent_when_it_is_asked_again(context: BuildContext) -> None:
    google = Google(first={f"POST {Paths.BUILDS}": [refusal(429, "RESOURCE_EXHAUSTED", "quota")]})

    build(google, context)

    first, second = (request for request in google.requests if request.line == f"POST {Paths.BUILDS}")
    assert first == second


def test_after_five_refusals_the_run_breaks_with_googles_reason(context: BuildContext) -> None:
    refused = refusal(429, "RESOURCE_EXHAUSTED", "Quota exceeded\nfor builds.")
    google, time = Google(first={f"POST {Paths.BUILDS}": [refused] * 9}), Time()

    said = trouble(google, context, time)

    assert said == (
        f"image {IMAGE}: starting its build in p, eu failed 5 times: 429 RESOURCE_EXHAUSTED: "
        "Quota exceeded for builds.: try again later"
    )
    assert google.lines.count(f"POST {Paths.BUILDS}") == 5
    assert [int(seconds) for seconds in time.waited] == [1, 2, 4, 8]


@pytest.mark.parametrize(
    ("line", "answer", "said"),
    [
        pytest.param(
            f"POST {Paths.UPLOAD}",
            Answer(403, {"error": {"code": 403, "message": "no storage.objects.create"}}),
            "uploading its sources to gs://bucket failed: 403 Forbidden: no storage.objects.create: "
            "name a bucket that is there, and grant roles/storage.objectUser on it",
            id="no right to upload",
        ),
        pytest.param(
            f"POST {Paths.UPLOAD}",
            Answer(404, {"error": {"code": 404, "message": "The specified bucket does not exist."}}),
            "uploading its sources to gs://bucket failed: 404 Not Found: The specified bucket does not exist.: "
            "name a bucket that is there, and grant roles/storage.objectUser on it",
            id="no bucket",
        ),
        pytest.param(
            f"POST {Paths.BUILDS}",
            refusal(403, "PERMISSION_DENIED", "The caller does not have permission"),
            "starting its build in p, eu failed: 403 PERMISSION_DENIED: The caller does not have permission: "
            "grant roles/cloudbuild.builds.editor, and roles/iam.serviceAccountUser on the account that builds",
            id="no right to build",
        ),
        pytest.param(
            f"POST {Paths.BUILDS}",
            refusal(400, "INVALID_ARGUMENT", "invalid machine type"),
            "starting its build in p, eu failed: 400 INVALID_ARGUMENT: invalid machine type: mend what it says",
            id="a wrong build",
        ),
        pytest.param(
            f"POST {Paths.BUILDS}",
            Answer(400, {}),
            "starting its build in p, eu failed: 400 Bad Request: mend what it says",
            id="without a reason",
        ),
        pytest.param(
            f"POST {Paths.BUILDS}",
            Answer(200, {"name": "operations/x"}),
            "Cloud Build did not tell the build's id: look into its history",
            id="without an id",
        ),
    ],
)
def test_what_google_refuses_for_good_breaks_the_run_at_once(
    context: BuildContext, line: str, answer: Answer, said: str
) -> None:
    google, time = Google(first={line: [answer]}), Time()

    assert trouble(google, context, time) == f"image {IMAGE}: {said}"
    assert google.lines.count(line) == 1
    assert time.waited == []


def test_a_server_that_is_not_there_breaks_the_run(context: BuildContext) -> None:
    with serving(Google()) as google:
        pass

    with pytest.raises(RunBrokenError, match=r"no answer \(.+\): check the network and the credentials"):
        cloud_build(
            context,
            IMAGE,
            a_place(google.url),
            session=a_session(),
            wait=Time().wait,
        )


def test_a_lost_connection_is_asked_again_where_nothing_was_to_be_changed(context: BuildContext) -> None:
    google, time = Google(first={f"GET {Paths.BUILD}": [LOST]}), Time()

    assert build(google, context, time) == DIGEST
    assert len(time.waited) == 3


def test_a_lost_connection_breaks_the_run_where_a_build_may_have_been_started(context: BuildContext) -> None:
    google = Google(first={f"POST {Paths.BUILDS}": [LOST]})

    said = trouble(google, context)

    assert said.startswith(f"image {IMAGE}: starting its build in p, eu failed: no answer (")
    assert google.lines.count(f"POST {Paths.BUILDS}") == 1


def test_contexts_go_where_the_buckets_lifecycle_lets_them_expire() -> None:
    lifecycle = json.loads((CHECKOUT / "scripts/gcp/lifecycle.json").read_text())

    prefixes = [rule["condition"].get("matchesPrefix") for rule in lifecycle["rule"]]
    assert [CONTEXTS] in prefixes


# scripts/cloudbuild.yaml


def filled_in(value: Any, substitutions: dict[str, str]) -> Any:
    """Put values for ${_NAME}, as Cloud Build does."""
    text = json.dumps(value)
    for name, given in substitutions.items():
        text = text.replace(f"${{{name}}}", given)
    return json.loads(text)


@pytest.mark.parametrize("source", [API, ATTACKER], ids=lambda source: source.name)
def test_by_hand_an_image_is_built_as_in_a_run_and_gets_the_same_name(source: ImageSource) -> None:
    context = source.context(CHECKOUT)
    image = source.reference("eu.pkg.dev/p/loadtest", context)
    in_a_run = build_request(context, image, a_place(), source="")
    by_hand = filled_in(
        yaml.safe_load((CHECKOUT / "scripts/cloudbuild.yaml").read_text()),
        {
            "_REGISTRY": "eu.pkg.dev/p/loadtest",
            f"_{source.name.upper()}_TAG": context.content_tag,
        },
    )
    (step,) = (step for step in by_hand["steps"] if step["id"] == source.name)

    # Its context is the checkout, of which a run packs the image's folder only.
    to_the_checkout = {
        f"--file={source.dockerfile}": f"--file={(Path(source.folder) / source.dockerfile).as_posix()}",
        ".": source.folder,
    }
    (run_step,) = in_a_run["steps"]
    assert step["args"] == [to_the_checkout.get(word, word) for word in run_step["args"]]
    assert (step["name"], step["env"]) == (run_step["name"], run_step["env"])
    assert set(in_a_run["images"]) <= set(by_hand["images"])
    assert by_hand["options"] == in_a_run["options"]


def test_by_hand_nothing_is_built_without_the_registry_and_the_tags() -> None:
    content = yaml.safe_load((CHECKOUT / "scripts/cloudbuild.yaml").read_text())

    assert "substitutions" not in content
    assert len(content["images"]) == 4
