"""What a cluster says of building images for it: where they are kept, and what builds them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from attacker.exits import InvalidLoadTestError
from workflows.steps.cluster import Cluster, asking

__all__ = ["SETTINGS_NAME", "BuildSettings", "read_settings"]

SETTINGS_NAME = "loadtest-build"
"""The ConfigMap that holds them, each under the name of the environment variable that beats it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """Where images are kept, and how those that are not there yet are built."""

    registry: str | None = None
    """What their names begin with; None where nothing is built."""
    is_insecure: bool = False
    """The registry is asked by plain HTTP."""
    bucket: str | None = None
    """Of Cloud Build's sources; PROJECT-loadtest if left out."""
    account: str | None = None
    """That Cloud Build builds as, its email; the project's default one if left out."""
    buildkit_image: str | None = None
    """None means the rootless one."""
    is_privileged: bool = False

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Self:
        """Take them from environment variables, or what is named like them."""
        return cls(
            registry=values.get("LOADTEST_REGISTRY") or None,
            is_insecure=_flag(values, "LOADTEST_REGISTRY_INSECURE"),
            bucket=values.get("LOADTEST_BUILD_BUCKET") or None,
            account=values.get("LOADTEST_BUILD_ACCOUNT") or None,
            buildkit_image=values.get("LOADTEST_BUILDKIT_IMAGE") or None,
            is_privileged=_flag(values, "LOADTEST_BUILDKIT_PRIVILEGED"),
        )


def read_settings(cluster: Cluster | None, *, registry: str | None) -> BuildSettings:
    """Find the settings: an option beats the environment, and that beats the cluster's ConfigMap.

    Args:
        cluster: where the ConfigMap is; None where only its Argo Server can be asked.
        registry: the option.

    Raises:
        InvalidLoadTestError: a setting has a value that it cannot have.
        RunBrokenError: the ConfigMap cannot be read.
    """
    own = {} if cluster is None else _settings_of(cluster)
    given = {"LOADTEST_REGISTRY": registry} if registry else {}
    return BuildSettings.of({**own, **os.environ, **given})


def _settings_of(cluster: Cluster) -> dict[str, str]:
    from kubernetes.client.exceptions import NotFoundException  # noqa: PLC0415

    with asking(f"ConfigMap {SETTINGS_NAME} in namespace {cluster.namespace}"):
        try:
            found = cluster.core.read_namespaced_config_map(SETTINGS_NAME, cluster.namespace)
        except NotFoundException:
            return {}
    return dict(found.data or {})


def _flag(values: Mapping[str, str], name: str) -> bool:
    text = values.get(name) or "false"
    if text not in {"true", "false"}:
        raise InvalidLoadTestError(f"{name} is {text!r}: write true or false")
    return text == "true"
