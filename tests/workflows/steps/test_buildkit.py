"""BuildKit in the cluster: what is created there, what becomes of it, and what is told of a build that fails."""

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from attacker.exits import RunBrokenError
from tests.workflows.steps.a_cluster import StandIn
from workflows.images import BuildContext, ImageReference
from workflows.steps.buildkit import BuildKit, buildkit
from workflows.steps.buildkit_job import build_job, sources_for
from workflows.steps.cluster import Cluster

CONTEXT = BuildContext(data=b"packed", sha256="0" * 64, dockerfile="attacker/Dockerfile")
IMAGE = ImageReference.parse("10.0.0.1:5000/p/attacker:12")
DIGEST = "sha256:" + "ab" * 32
JOBS = "/apis/batch/v1/namespaces/loadtest-build/jobs"
PODS = "/api/v1/namespaces/loadtest-build/pods"
CONFIG_MAPS = "/api/v1/namespaces/loadtest-build/configmaps"


# What is created


def containers_of(place: BuildKit) -> dict[str, Any]:
    pod = build_job(CONTEXT, IMAGE, place)["spec"]["template"]["spec"]
    return {container["name"]: container for container in (*pod["initContainers"], *pod["containers"])}


def test_the_sources_are_unpacked_built_and_told_without_a_shell() -> None:
    containers = containers_of(BuildKit())

    assert list(containers) == ["unpack", "build", "tell"]
    assert containers["unpack"]["command"] == ["tar", "-xzf", "/packed/context.tar.gz", "-C", "/sources"]
    assert containers["build"]["command"] == ["buildctl-daemonless.sh"]
    assert containers["build"]["args"] == [
        "build",
        "--progress=plain",
        "--frontend=dockerfile.v0",
        "--local=context=/sources",
        "--local=dockerfile=/sources",
        "--opt=filename=attacker/Dockerfile",
        "--export-cache=type=inline",
        "--import-cache=type=registry,ref=10.0.0.1:5000/p/attacker:cache",
        '--output=type=image,"name=10.0.0.1:5000/p/attacker:12,10.0.0.1:5000/p/attacker:cache",push=true',
        "--metadata-file=/told/metadata.json",
    ]
    assert containers["tell"]["command"] == ["cp", "/told/metadata.json", "/dev/termination-log"]


def test_build_arguments_arrive_as_they_are() -> None:
    build_args = {"GOPROXY": "http://modules/,off", "BASE": "$(HOME)/x"}

    arguments = containers_of(BuildKit(build_args=build_args))["build"]["args"]

    assert "--opt=build-arg:GOPROXY=http://modules/,off" in arguments
    assert "--opt=build-arg:BASE=$$(HOME)/x" in arguments


def test_it_is_rootless_unless_said_otherwise() -> None:
    build = containers_of(BuildKit())["build"]

    assert build["image"].endswith("-rootless")
    assert build["securityContext"] == {
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "seccompProfile": {"type": "Unconfined"},
        "appArmorProfile": {"type": "Unconfined"},
    }
    assert build["env"] == [{"name": "BUILDKITD_FLAGS", "value": "--oci-worker-no-process-sandbox"}]
    assert {"name": "state", "mountPath": "/home/user/.local/share/buildkit"} in build["volumeMounts"]


def test_a_privileged_one_is_root_and_only_where_it_builds() -> None:
    containers = containers_of(BuildKit(image="moby/buildkit:v1", is_privileged=True))

    assert {container["image"] for container in containers.values()} == {"moby/buildkit:v1"}
    assert containers["build"]["securityContext"] == {"privileged": True, "runAsUser": 0}
    assert containers["build"]["env"] == [{"name": "BUILDKITD_FLAGS", "value": ""}]
    for name in ("unpack", "tell"):
        assert containers[name]["securityContext"]["runAsNonRoot"] is True
        assert containers[name]["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_an_insecure_registry_is_spoken_to_by_plain_http() -> None:
    place = BuildKit(is_insecure=True)
    job = build_job(CONTEXT, IMAGE, place)

    sources = sources_for(job, "uid", CONTEXT, IMAGE, place)

    assert sources["data"]["buildkitd.toml"] == '[registry."10.0.0.1:5000"]\n  http = true\n'
    assert "--config=/packed/buildkitd.toml" in containers_of(place)["build"]["env"][0]["value"]


def test_credentials_for_the_registry_come_from_a_secret() -> None:
    place = BuildKit(push_secret="registry")  # noqa: S106  (a name)
    volumes = build_job(CONTEXT, IMAGE, place)["spec"]["template"]["spec"]["volumes"]

    assert {"name": "DOCKER_CONFIG", "value": "/credentials"} in containers_of(place)["build"]["env"]
    assert volumes[-1]["secret"] == {
        "secretName": "registry",
        "items": [{"key": ".dockerconfigjson", "path": "config.json"}],
    }


def test_the_job_ends_by_itself_and_is_not_tried_again() -> None:
    spec = build_job(CONTEXT, IMAGE, BuildKit(timeout_s=77))["spec"]

    assert (spec["activeDeadlineSeconds"], spec["backoffLimit"]) == (77, 0)
    assert spec["ttlSecondsAfterFinished"] > 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["template"]["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("repository", ["a", "p/api", "p/my.api__x", "p/" + "a" * 200])
def test_every_image_has_a_job_with_a_name_that_kubernetes_takes(repository: str) -> None:
    image = ImageReference.parse(f"r.io/{repository}:1")
    names = {build_job(CONTEXT, image, BuildKit())["metadata"]["name"] for _ in range(2)}

    assert len(names) == 2
    assert all(name.replace("-", "").isalnum() and name[0].isalpha() and len(name) < 58 for name in names)


# What becomes of it


def ended(phase: str, *messages: tuple[int, str]) -> dict[str, Any]:
    """Write a pod's status: the exit code and message of its containers, in their order."""
    names = ("unpack", "build", "tell")
    statuses = [
        {
            "name": name,
            "image": "",
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": {"terminated": {"exitCode": code, "message": message, "reason": "Error" if code else "Completed"}},
        }
        for name, (code, message) in zip(names, messages, strict=False)
    ]
    return {"phase": phase, "initContainerStatuses": statuses[:2], "containerStatuses": statuses[2:]}


SUCCESS = ended("Succeeded", (0, ""), (0, ""), (0, json.dumps({"containerimage.digest": DIGEST, "image.name": "x"})))


@pytest.fixture
def pods(stand_in: StandIn) -> Callable[..., None]:
    """Say what becomes of the pod, each time that it is looked at; the last stays."""

    def become(*statuses: dict[str, Any]) -> None:
        left = list(statuses)

        def react() -> None:
            job = next(path.rpartition("/")[2] for path in stand_in.objects if path.startswith(JOBS))
            metadata = {"name": "pod", "labels": {"batch.kubernetes.io/job-name": job}}
            status = left.pop(0) if len(left) > 1 else left[0]
            stand_in.objects[f"{PODS}/pod"] = {"metadata": metadata, "spec": {"containers": []}, "status": status}

        stand_in.reactions["GET", PODS] = react

    return become


def built(cluster: Cluster, *, context: BuildContext = CONTEXT, wait: Any = None, **place: Any) -> str:
    clock = iter(range(10_000)).__next__
    return buildkit(
        context, IMAGE, BuildKit(**place), cluster=cluster, wait=wait or (lambda _: False), clock=lambda: float(clock())
    )


def test_the_digest_comes_from_the_pods_last_message(
    stand_in: StandIn, cluster: Cluster, pods: Callable[..., None]
) -> None:
    pods({"phase": "Pending"}, {"phase": "Running"}, SUCCESS)

    assert built(cluster) == DIGEST

    looked = [asked.query for asked in stand_in.asked if asked.path == PODS]
    job = stand_in.of("POST")[0].body["metadata"]["name"]
    assert looked == [{"labelSelector": f"batch.kubernetes.io/job-name={job}"}] * 3


def test_the_sources_go_with_the_job_and_the_job_goes_when_it_is_done(
    stand_in: StandIn, cluster: Cluster, pods: Callable[..., None]
) -> None:
    pods(SUCCESS)

    built(cluster)

    job, sources = stand_in.of("POST")
    name = job.body["metadata"]["name"]
    assert (job.path, sources.path) == (JOBS, CONFIG_MAPS)
    assert base64.b64decode(sources.body["binaryData"]["context.tar.gz"]) == CONTEXT.data
    (owner,) = sources.body["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Job", name)
    assert owner["uid"].startswith("uid-")
    assert sources.body["metadata"]["name"] == name
    volumes = job.body["spec"]["template"]["spec"]["volumes"]
    assert {"name": "packed", "configMap": {"name": name}} in volumes
    assert [(asked.path, asked.query) for asked in stand_in.of("DELETE")] == [
        (f"{JOBS}/{name}", {"propagationPolicy": "Background"})
    ]


def deletions(stand_in: StandIn) -> list[str]:
    return [asked.path.rpartition("/")[0] for asked in stand_in.of("DELETE")]


def test_a_build_that_fails_is_told_with_the_end_of_its_log(
    stand_in: StandIn, cluster: Cluster, pods: Callable[..., None]
) -> None:
    log = "#9 0.5 ls: no such file\n------\nDockerfile:2\nerror: failed to solve: exit code: 2\n"
    pods(ended("Failed", (0, ""), (1, log)))

    with pytest.raises(RunBrokenError) as broken:
        built(cluster)

    assert str(broken.value).splitlines() == [
        f"image {IMAGE}: BuildKit failed: error: failed to solve: exit code: 2: mend what it says",
        "#9 0.5 ls: no such file",
        "------",
        "Dockerfile:2",
    ]
    assert deletions(stand_in) == [JOBS]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param(ended("Failed", (1, "")), "BuildKit failed: Error, exit code 1: mend what it says", id="no log"),
        pytest.param(
            {"phase": "Failed", "reason": "Evicted", "message": "low on\n disk"},
            "BuildKit's pod failed: Evicted: low on disk: give it more room, or try again",
            id="evicted",
        ),
        pytest.param(
            {"phase": "Failed"}, "BuildKit's pod failed: no reason given: give it more room, or try again", id="unknown"
        ),
        pytest.param(
            ended("Succeeded", (0, ""), (0, ""), (0, "{}")),
            "BuildKit did not tell its digest: build it once more",
            id="no digest",
        ),
        pytest.param(
            ended("Succeeded", (0, ""), (0, ""), (0, '{"cut')),
            "BuildKit did not tell its digest: build it once more",
            id="half a message",
        ),
        pytest.param({"phase": "Succeeded"}, "BuildKit did not tell its digest: build it once more", id="no message"),
    ],
)
def test_whatever_else_ends_the_pod_is_told(
    stand_in: StandIn, cluster: Cluster, pods: Callable[..., None], status: dict[str, Any], reason: str
) -> None:
    pods(status)

    with pytest.raises(RunBrokenError) as broken:
        built(cluster)

    assert str(broken.value) == f"image {IMAGE}: {reason}"
    assert deletions(stand_in) == [JOBS]


def test_an_image_of_buildkit_that_is_not_there_ends_it_at_once(cluster: Cluster, pods: Callable[..., None]) -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    common = {"name": "unpack", "image": "moby/buildkit:v1", "imageID": "", "ready": False, "restartCount": 0}
    pods({"phase": "Pending", "initContainerStatuses": [{**common, "state": waiting}]})

    with pytest.raises(RunBrokenError, match=r"image moby/buildkit:v1 cannot be pulled: not found: name an image"):
        built(cluster)


def test_a_pod_that_fits_nowhere_is_waited_for_a_while(
    stand_in: StandIn, cluster: Cluster, pods: Callable[..., None]
) -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "too big"}
    pods({"phase": "Pending", "conditions": [condition]})

    with pytest.raises(RunBrokenError, match="pod pod fits on no node: too big: ask for less CPU or memory, or add"):
        built(cluster)

    assert len([asked for asked in stand_in.asked if asked.path == PODS]) > 10


def test_a_namespace_that_allows_no_such_pod_ends_it_with_the_reason(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.objects["/api/v1/namespaces/loadtest-build/events/1"] = {
        "metadata": {"name": "1", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "involvedObject": {},
        "type": "Warning",
        "message": "pods is forbidden: violates PodSecurity",
    }

    with pytest.raises(RunBrokenError) as broken:
        built(cluster)

    assert str(broken.value) == (
        f"image {IMAGE}: no pod for BuildKit can be created in namespace loadtest-build: pods is forbidden: violates "
        "PodSecurity: apply k8s/build, which allows it"
    )


def test_a_job_that_kubernetes_ended_is_told_with_its_reason(stand_in: StandIn, cluster: Cluster) -> None:
    def end() -> None:
        condition = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "too long"}
        for path in stand_in.objects:
            stand_in.objects[path]["status"] = {"conditions": [condition]}

    stand_in.reactions["GET", PODS] = end

    with pytest.raises(RunBrokenError, match="BuildKit's pod is gone: DeadlineExceeded: too long: give it longer"):
        built(cluster)


def test_a_build_that_takes_too_long_ends(cluster: Cluster, pods: Callable[..., None]) -> None:
    pods({"phase": "Running"})

    with pytest.raises(RunBrokenError, match="BuildKit was not done after 9 s: give it longer"):
        built(cluster, timeout_s=9)


def test_a_run_that_is_stopped_leaves_nothing(stand_in: StandIn, cluster: Cluster, pods: Callable[..., None]) -> None:
    pods({"phase": "Running"})
    stop = threading.Event()
    stop.set()

    with pytest.raises(RunBrokenError, match="BuildKit was still at work when the run was stopped"):
        built(cluster, wait=stop.wait)

    assert deletions(stand_in) == [JOBS]


def test_an_interrupt_leaves_nothing(stand_in: StandIn, cluster: Cluster, pods: Callable[..., None]) -> None:
    pods({"phase": "Running"})

    def interrupted(_seconds: float) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        built(cluster, wait=interrupted)

    assert deletions(stand_in) == [JOBS]


def test_sources_that_may_not_be_handed_over_leave_no_job(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.refusals["POST", CONFIG_MAPS] = 403, "configmaps is forbidden"

    with pytest.raises(
        RunBrokenError, match="handing its sources to namespace loadtest-build: the cluster answered 403"
    ):
        built(cluster)

    assert deletions(stand_in) == [JOBS]


def test_sources_that_a_config_map_cannot_hold_are_refused(stand_in: StandIn, cluster: Cluster) -> None:
    large = BuildContext(data=b"x" * (1 << 20), sha256="0" * 64, dockerfile="Dockerfile")

    with pytest.raises(
        RunBrokenError, match=r"sources have 1,048,576 bytes, and the cluster takes 1,047,552 at most: "
    ):
        built(cluster, context=large)

    assert stand_in.asked == []
