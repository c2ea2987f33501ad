"""What builds an image in the cluster with BuildKit: a Job, and the ConfigMap with its sources."""

import base64
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from workflows.images import BuildContext, ImageReference

__all__ = ["BuildKit", "build_job", "sources_for"]

Manifest = dict[str, Any]

_CONTEXT = "context.tar.gz"
_CONFIG = "buildkitd.toml"
_KEPT_S = 300  # for who wants to look at it, should nobody be left to remove it
_NAME_CHARACTERS = 40  # and a suffix: a pod's name has 63 at most, and its Job's controller adds to it
_ROOTLESS_USER = 1000  # the image's own


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildKit:
    """How images are built in the cluster."""

    namespace: str = "loadtest-build"
    """One that is not under the Pod Security standard `restricted`, which allows no BuildKit."""
    service_account: str = "loadtest-builder"
    image: str = "moby/buildkit:v0.34.2-rootless"
    is_privileged: bool = False
    """Whether the pod is root on its node, as an image that is not rootless needs."""
    is_insecure: bool = False
    """Whether the registry is spoken to by plain HTTP, as in a private network."""
    build_args: Mapping[str, str] = field(default_factory=dict)
    """Such as BASE, PIP_FIND_LINKS and GOPROXY, where a cluster has no way to the internet."""
    push_secret: str | None = None
    """Of type kubernetes.io/dockerconfigjson, in that namespace; None where the registry lets anybody push."""
    timeout_s: int = 1200


def build_job(context: BuildContext, image: ImageReference, place: BuildKit) -> Manifest:
    """Describe the Job that builds an image: unpack the sources, build and push, tell the digest. No shell is in it.

    Args:
        context: what the image is made of.
        image: what it is called.
        place: where and how it is built.
    """
    stem = re.sub("[^a-z0-9]+", "-", f"build-{image.repository.rpartition('/')[2]}")[:_NAME_CHARACTERS]
    name = f"{stem.strip('-')}-{secrets.token_hex(4)}"
    labels = {"app.kubernetes.io/name": "loadtest-builder", "app.kubernetes.io/part-of": "load-test"}
    volumes: list[Manifest] = [
        {"name": "packed", "configMap": {"name": name}},
        *({"name": volume, "emptyDir": {}} for volume in ("sources", "state", "told")),
    ]
    if place.push_secret:
        items = [{"key": ".dockerconfigjson", "path": "config.json"}]
        volumes.append({"name": "credentials", "secret": {"secretName": place.push_secret, "items": items}})
    pod = {
        "serviceAccountName": place.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        "initContainers": [
            _beside("unpack", ["tar", "-xzf", f"/packed/{_CONTEXT}", "-C", "/sources"], place, "packed", "sources"),
            _builder(context, image, place),
        ],
        # BuildKit replaces the file that it writes this into, which Kubernetes' own one does not allow.
        "containers": [_beside("tell", ["cp", "/told/metadata.json", "/dev/termination-log"], place, "told")],
        "volumes": volumes,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": place.timeout_s,
            "ttlSecondsAfterFinished": _KEPT_S,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _beside(name: str, command: list[str], place: BuildKit, *volumes: str) -> Manifest:
    """Describe a container that moves files for BuildKit, with a program of its image."""
    return {
        "name": name,
        "image": place.image,
        "command": command,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": volume, "mountPath": f"/{volume}"} for volume in volumes],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _ROOTLESS_USER,
            "runAsGroup": _ROOTLESS_USER,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def _builder(context: BuildContext, image: ImageReference, place: BuildKit) -> Manifest:
    cache = replace(image, tag="cache", digest=None)
    arguments = [
        *("build", "--progress=plain", "--frontend=dockerfile.v0"),
        *("--local=context=/sources", "--local=dockerfile=/sources", f"--opt=filename={context.dockerfile}"),
        *(f"--opt=build-arg:{name}={value}" for name, value in sorted(place.build_args.items())),
        # Layers of the last build, whatever it was of; BuildKit goes on where there is none.
        *("--export-cache=type=inline", f"--import-cache=type=registry,ref={cache}"),
        f'--output=type=image,"name={image},{cache}",push=true',
        "--metadata-file=/told/metadata.json",
    ]
    flags = [f"--config=/packed/{_CONFIG}"] if place.is_insecure else []
    mounts = [{"name": volume, "mountPath": f"/{volume}"} for volume in ("packed", "sources", "told")]
    if place.is_privileged:
        security: Manifest = {"privileged": True, "runAsUser": 0}
        state = "/var/lib/buildkit"
    else:
        # Source: BuildKit's examples/kubernetes/job.rootless.yaml; docs/rootless.md says what each of these is for.
        flags.append("--oci-worker-no-process-sandbox")
        unconfined = {"type": "Unconfined"}
        security = {
            "runAsUser": _ROOTLESS_USER,
            "runAsGroup": _ROOTLESS_USER,
            "seccompProfile": unconfined,
            "appArmorProfile": unconfined,
        }
        state = "/home/user/.local/share/buildkit"
    environment = [{"name": "BUILDKITD_FLAGS", "value": " ".join(flags)}]
    if place.push_secret:
        environment.append({"name": "DOCKER_CONFIG", "value": "/credentials"})
        mounts.append({"name": "credentials", "mountPath": "/credentials"})
    return {
        "name": "build",
        "image": place.image,
        "command": ["buildctl-daemonless.sh"],
        # Kubernetes would put variables in where it finds $(NAME).
        "args": [argument.replace("$(", "$$(") for argument in arguments],
        "env": environment,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}},
        "volumeMounts": [*mounts, {"name": "state", "mountPath": state}],
        "securityContext": security,
    }


def sources_for(job: Manifest, uid: str, context: BuildContext, image: ImageReference, place: BuildKit) -> Manifest:
    """Describe the ConfigMap that holds an image's packed sources.

    Args:
        job: what builds; the ConfigMap is removed with it, however it comes to its end.
        uid: the Job's.
        context: the sources.
        image: what they become.
        place: where and how it is built.
    """
    name = job["metadata"]["name"]
    config = f'[registry."{image.registry}"]\n  http = true\n' if place.is_insecure else ""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "labels": job["metadata"]["labels"],
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}],
        },
        "immutable": True,
        "binaryData": {_CONTEXT: base64.b64encode(context.data).decode()},
        "data": {_CONFIG: config},
    }
