"""Step build on any cluster: BuildKit makes an image in a pod of its own, and pushes it to the registry."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from attacker.exits import RunBrokenError
from workflows.images import BuildContext, ImageReference
from workflows.steps.build import Wait
from workflows.steps.buildkit_job import BuildKit, build_job, sources_for
from workflows.steps.cluster import Cluster, asking
from workflows.steps.pods import Trouble, is_hopeless, trouble_of, warning_of

if TYPE_CHECKING:
    from kubernetes.client import V1Job, V1Pod

__all__ = ["BuildKit", "buildkit", "digest_in"]

_LARGEST_BYTES = (1 << 20) - 1024  # a ConfigMap's values; BuildKit's settings are in it too
_POLL_S = 1.0
_PATIENCE_S = 120.0
_POD_PATIENCE_S = 20.0
"""For there to be a pod at all, which a cluster with room for it takes no second for."""
_SHOWN_LINES = 15
_DIGEST = "containerimage.digest"


def buildkit(
    context: BuildContext,
    image: ImageReference,
    place: BuildKit,
    *,
    cluster: Cluster,
    wait: Wait,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Build an image from a context, and push it; what was made in the cluster for that is removed.

    Args:
        context: what it is made of.
        image: what it is called, with a tag.
        place: where and how to build.
        cluster: the cluster.
        wait: waits for seconds and tells whether to stop, as `threading.Event.wait` does.
        clock: seconds that only grow.

    Returns:
        The image's digest, `sha256:…`.

    Raises:
        RunBrokenError: it was not built; the first line has the reason, the rest is the end of BuildKit's log.
    """
    if len(context.data) > _LARGEST_BYTES:
        raise RunBrokenError(
            f"image {image}: its packed sources have {len(context.data):,} bytes, and the cluster takes "
            f"{_LARGEST_BYTES:,} at most: have .dockerignore leave out what it does not need"
        )
    job = build_job(context, image, place)
    with _created(job, cluster, place, image) as uid:
        with asking(f"image {image}: handing its sources to namespace {place.namespace}"):
            sources = sources_for(job, uid, context, image, place)
            cluster.core.create_namespaced_config_map(place.namespace, sources)  # type: ignore[arg-type]
        return _wait_for_digest(job["metadata"]["name"], image, place, cluster=cluster, wait=wait, clock=clock)


@contextmanager
def _created(job: dict[str, Any], cluster: Cluster, place: BuildKit, image: ImageReference) -> Iterator[str]:
    """Have a Job for as long as it is needed; yields its uid."""
    name = job["metadata"]["name"]
    try:
        with asking(f"image {image}: starting BuildKit in namespace {place.namespace}"):
            created: V1Job = cluster.batch.create_namespaced_job(place.namespace, job)  # type: ignore[arg-type]
        yield (created.metadata.uid if created.metadata else None) or ""
    finally:
        with suppress(RunBrokenError), asking(name):  # if it cannot be removed, it removes itself when its time is over
            cluster.batch.delete_namespaced_job(name, place.namespace, propagation_policy="Background")


def _wait_for_digest(
    job: str,
    image: ImageReference,
    place: BuildKit,
    *,
    cluster: Cluster,
    wait: Wait,
    clock: Callable[[], float],
) -> str:
    until = clock() + place.timeout_s
    calm_at = clock()
    while True:
        pod = _pod_of(job, image, place, cluster)
        digest = None if pod is None else digest_in(pod, image)
        if digest is not None:
            return digest
        trouble = _lack_of_pod(job, image, place, cluster) if pod is None else trouble_of([pod])
        calm_at = clock() if trouble is None else calm_at
        is_patience_over = clock() > calm_at + (_POD_PATIENCE_S if pod is None else _PATIENCE_S)
        if trouble and is_hopeless(trouble, cluster, place.namespace, is_patience_over=is_patience_over):
            raise RunBrokenError(f"image {image}: {trouble.text}: {trouble.remedy}")
        if wait(_POLL_S):
            raise RunBrokenError(f"image {image}: BuildKit was still at work when the run was stopped")
        if clock() > until:
            why = f": {trouble.text}" if trouble else ""
            raise RunBrokenError(f"image {image}: BuildKit was not done after {place.timeout_s} s{why}: give it longer")


def _pod_of(job: str, image: ImageReference, place: BuildKit, cluster: Cluster) -> "V1Pod | None":
    with asking(f"image {image}: looking at its build"):
        pods = cluster.core.list_namespaced_pod(
            place.namespace, label_selector=f"batch.kubernetes.io/job-name={job}"
        ).items
    return next(iter(pods), None)


def _lack_of_pod(job: str, image: ImageReference, place: BuildKit, cluster: Cluster) -> Trouble:
    """Say why a Job has no pod: not yet, not any more, or it may not have one."""
    with asking(f"image {image}: looking at its build"):
        found: V1Job = cluster.batch.read_namespaced_job(job, place.namespace)
    for condition in (found.status.conditions if found.status else None) or ():
        if (condition.type, condition.status) == ("Failed", "True"):
            text = f"BuildKit's pod is gone: {condition.reason}: {condition.message}"
            return Trouble(pod="", text=text, remedy="give it longer, or more room", is_final=True)
    warning = warning_of(cluster, place.namespace, "Job", job) or "no reason given"
    text = f"no pod for BuildKit can be created in namespace {place.namespace}: {warning}"
    return Trouble(pod="", text=text, remedy="apply k8s/build, which allows it")


def digest_in(pod: "V1Pod", image: ImageReference) -> str | None:
    """Read the digest of an image from the pod that builds it; None where it is not done.

    Raises:
        RunBrokenError: the build failed.
    """
    status = pod.status
    if status is None or status.phase not in {"Succeeded", "Failed"}:
        return None
    containers = (*(status.init_container_statuses or ()), *(status.container_statuses or ()))
    ends = [container.state.terminated for container in containers if container.state and container.state.terminated]
    if status.phase == "Succeeded":
        try:
            return str(json.loads(ends[-1].message or "")[_DIGEST])
        except (IndexError, ValueError, KeyError, TypeError) as error:
            raise RunBrokenError(f"image {image}: BuildKit did not tell its digest: build it once more") from error
    failed = next((end for end in ends if end.exit_code != 0), None)
    if failed is None:
        told = ": ".join(filter(None, (status.reason, " ".join((status.message or "").split())))) or "no reason given"
        raise RunBrokenError(f"image {image}: BuildKit's pod failed: {told}: give it more room, or try again")
    lines = [line.rstrip() for line in (failed.message or "").splitlines() if line.strip()]
    reason = lines[-1].strip() if lines else f"{failed.reason}, exit code {failed.exit_code}"
    raise RunBrokenError(
        "\n".join((f"image {image}: BuildKit failed: {reason}: mend what it says", *lines[-_SHOWN_LINES:-1]))
    )
