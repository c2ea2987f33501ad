"""Step build on Google Cloud: Cloud Build makes an image and puts it into Artifact Registry."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import requests
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport.requests import AuthorizedSession

from attacker.exits import RunBrokenError
from workflows.images import BuildContext, ImageReference

__all__ = ["CONTEXTS", "CloudBuild", "build_request", "cloud_build", "google_session"]

CONTEXTS = "builds/"
"""Where in the bucket the contexts go; scripts/gcp/lifecycle.json lets them expire."""

_ENDED = frozenset({"SUCCESS", "FAILURE", "INTERNAL_ERROR", "TIMEOUT", "CANCELLED", "EXPIRED"})
_MISSING_RIGHTS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
_MAY_BUILD = "grant roles/cloudbuild.builds.editor, and roles/iam.serviceAccountUser on the account that builds"
_POLL_S = 3.0
_ANSWER_TIMEOUT_S = 60.0
_TRIES = 5
_LONGEST_PAUSE_S = 32.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudBuild:
    """Where builds run, and as whom."""

    project: str
    region: str
    bucket: str
    """Holds the contexts."""
    service_account: str | None = None
    """Email of the account that builds; the project's default one if left out."""
    machine_type: str | None = None
    """Such as E2_HIGHCPU_8."""
    timeout_s: int = 1200
    """For the whole build, from upload to digest."""
    build_url: str = "https://cloudbuild.googleapis.com"
    storage_url: str = "https://storage.googleapis.com"

    @property
    def builds_url(self) -> str:
        """The address of all builds of this place."""
        project, region = quote(self.project, safe=""), quote(self.region, safe="")
        return f"{self.build_url}/v1/projects/{project}/locations/{region}/builds"


def google_session() -> AuthorizedSession:
    """Open a session with this machine's Google credentials.

    Raises:
        RunBrokenError: there are none.
    """
    import google.auth  # noqa: PLC0415

    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    except GoogleAuthError as error:
        raise RunBrokenError(
            "there are no Google credentials here: run 'gcloud auth application-default login'"
        ) from error
    return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]


def cloud_build(
    context: BuildContext,
    image: ImageReference,
    place: CloudBuild,
    *,
    session: requests.Session,
    wait: Callable[[float], bool] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Build an image from a context, and push it.

    Args:
        context: what it is made of.
        image: what it is called, with a tag.
        place: where to build.
        session: adds the credentials to each request.
        wait: waits for seconds and tells whether to stop, as `threading.Event.wait` does.
        clock: seconds that only grow.

    Returns:
        The image's digest, `sha256:…`.

    Raises:
        RunBrokenError: it was not built, in one line with Cloud Build's reason and the address of the log.
    """
    google = _Google(session=session, wait=wait or threading.Event().wait, what=f"image {image}")
    until = clock() + place.timeout_s
    source = _upload(google, context, image, place)
    build = _start(google, build_request(context, image, place, source=source), place)
    address = f"{place.builds_url}/{quote(build['id'], safe='')}"
    while build.get("status") not in _ENDED:
        stopped = google.wait(_POLL_S)
        if stopped or clock() > until:
            why = "the run was stopped" if stopped else f"{place.timeout_s} s were over: give it longer"
            left = f"was still {build.get('status')} when {why}; {google.cancel(address)}; {_log(build)}"
            raise RunBrokenError(f"image {image}: Cloud Build {left}")
        build = google.ask("GET", address, doing="asking how its build is", remedy=_MAY_BUILD)
    return _digest(build, image)


def build_request(context: BuildContext, image: ImageReference, place: CloudBuild, *, source: str) -> dict[str, Any]:
    """Describe a build in the words of Cloud Build's API.

    Args:
        context: what the image is made of.
        image: what it is called.
        place: where it is built.
        source: the object of the bucket that is the packed context.
    """
    cache = replace(image, tag="cache", digest=None)
    options: dict[str, Any] = {"logging": "CLOUD_LOGGING_ONLY"}  # demanded with an account of one's own
    if place.machine_type:
        options["machineType"] = place.machine_type
    request: dict[str, Any] = {
        "source": {"storageSource": {"bucket": place.bucket, "object": source}},
        "steps": [
            {
                "name": "gcr.io/cloud-builders/docker",
                "env": ["DOCKER_BUILDKIT=1"],
                "args": [
                    *("build", f"--file={context.dockerfile}", f"--tag={image}", f"--tag={cache}"),
                    # Layers of the last build, whatever it was of; BuildKit goes on where there is none.
                    *(f"--cache-from={cache}", "--build-arg=BUILDKIT_INLINE_CACHE=1", "."),
                ],
            }
        ],
        "images": [str(image), str(cache)],
        "timeout": f"{place.timeout_s}s",
        "queueTtl": f"{place.timeout_s}s",
        "tags": ["loadtest", context.content_tag],
        "options": options,
    }
    if place.service_account:
        request["serviceAccount"] = f"projects/{place.project}/serviceAccounts/{place.service_account}"
    return request


def _upload(google: "_Google", context: BuildContext, image: ImageReference, place: CloudBuild) -> str:
    """Put the context into the bucket; returns the object's name."""
    name = f"{CONTEXTS}{image.repository.rpartition('/')[2]}-{context.sha256}.tar.gz"
    google.ask(
        "POST",
        f"{place.storage_url}/upload/storage/v1/b/{quote(place.bucket, safe='')}/o",
        doing=f"uploading its sources to gs://{place.bucket}",
        remedy="name a bucket that is there, and grant roles/storage.objectUser on it",
        params={"uploadType": "media", "name": name},
        headers={"Content-Type": "application/gzip"},
        data=context.data,
    )
    return name


def _start(google: "_Google", request: dict[str, Any], place: CloudBuild) -> dict[str, Any]:
    """Create the build; returns it as it is at first."""
    operation = google.ask(
        "POST",
        place.builds_url,
        doing=f"starting its build in {place.project}, {place.region}",
        remedy=_MAY_BUILD,
        json=request,
    )
    build: dict[str, Any] = operation.get("metadata", {}).get("build", {})
    if "id" not in build:
        raise RunBrokenError(f"{google.what}: Cloud Build did not tell the build's id: look into its history")
    return build


def _digest(build: dict[str, Any], image: ImageReference) -> str:
    status = build["status"]
    if status != "SUCCESS":
        detail = build.get("failureInfo", {}).get("detail") or build.get("statusDetail") or "no reason given"
        raise RunBrokenError(f"image {image}: Cloud Build ended with {status}: {_one_line(detail)}; {_log(build)}")
    for built in build.get("results", {}).get("images", ()):
        if built.get("name") == str(image) and built.get("digest"):
            return str(built["digest"])
    raise RunBrokenError(f"image {image}: Cloud Build succeeded without telling its digest; {_log(build)}")


def _log(build: dict[str, Any]) -> str:
    return f"see {build['logUrl']}" if build.get("logUrl") else f"see build {build.get('id')} in Cloud Build's history"


def _one_line(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """Why a request came to nothing."""

    text: str
    remedy: str
    is_passing: bool
    """Whether Google says that asking again helps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Google:
    """Google's APIs, asked again where that helps."""

    session: requests.Session
    wait: Callable[[float], bool]
    what: str
    """What it is all for; each error begins with it."""

    def ask(self, method: str, url: str, *, doing: str, remedy: str, **request: Any) -> dict[str, Any]:
        """Send a request and read the answer's JSON.

        What failed in passing is asked again, after growing pauses: 429, 5xx, and a lost connection where nothing was
        to be changed. A build may thus be started twice: its content is the same, so all that it costs is its time.

        Source: Google's truncated exponential backoff, min(2^n + random, maximum).
        """
        pauses, tries = _pauses(), 0
        while True:
            tries += 1
            answer = self._send(method, url, remedy, request)
            if not isinstance(answer, _Failure):
                return answer
            pause_s = next(pauses, None)
            if not answer.is_passing or pause_s is None or self.wait(pause_s):
                times = f" {tries} times" if tries > 1 else ""
                raise RunBrokenError(f"{self.what}: {doing} failed{times}: {answer.text}: {answer.remedy}")

    def cancel(self, address: str) -> str:
        """Cancel a build that nobody waits for any more; returns what came of it."""
        try:
            self.ask("POST", f"{address}:cancel", doing="cancelling its build", remedy=_MAY_BUILD, json={})
        except RunBrokenError as error:
            return f"it goes on ({error})"
        return "it was cancelled"

    def _send(self, method: str, url: str, remedy: str, request: dict[str, Any]) -> dict[str, Any] | _Failure:
        try:
            answer = self.session.request(method, url, timeout=_ANSWER_TIMEOUT_S, **request)
            if answer.ok:
                content: dict[str, Any] = answer.json()
                return content
        except (requests.RequestException, GoogleAuthError) as error:
            return _Failure(
                text=f"no answer ({_one_line(str(error))})",
                remedy="check the network and the credentials",
                is_passing=method == "GET" and not isinstance(error, RefreshError),
            )
        is_passing = answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.status_code >= 500
        if answer.status_code not in _MISSING_RIGHTS:
            remedy = "try again later" if is_passing else "mend what it says"
        return _Failure(text=_refusal(answer), remedy=remedy, is_passing=is_passing)


def _pauses() -> Iterator[float]:
    for attempt in range(_TRIES - 1):
        yield min(2**attempt + random.random(), _LONGEST_PAUSE_S)  # noqa: S311  (spreads askers, guards nothing)


def _refusal(answer: requests.Response) -> str:
    """Say why: in Google's own words, where there are any."""
    try:
        error = answer.json()["error"]
        return f"{answer.status_code} {error.get('status') or answer.reason}: {_one_line(error['message'])}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{answer.status_code} {answer.reason}"
