"""The images that a run on a cluster needs: named by the user, found in the registry, or built from this checkout."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from attacker.exits import InvalidLoadTestError
from workflows.images import API, ATTACKER, BuildContext, ImageReference, existing_digest
from workflows.loadtest import LoadTest
from workflows.progress import Event, State, Tell
from workflows.steps.build import Builder, Registry, Wait, build
from workflows.steps.buildkit import BuildKit, buildkit
from workflows.steps.cloud_build import CloudBuild, cloud_build, google_session
from workflows.steps.cluster import connect

__all__ = ["Building", "with_images"]

_CHECKOUT = Path(__file__).resolve().parents[1]
_FIELDS = {"api_image": API, "attacker_image": ATTACKER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """Where images are kept, and what builds those that are not there yet."""

    registry: str | None
    """What their names begin with: on Google Cloud, Cloud Build builds them, elsewhere BuildKit in the cluster."""
    is_insecure: bool = False
    buildkit_image: str | None = None
    """None means the rootless one."""
    is_privileged: bool = False
    build_args: Mapping[str, str]


def with_images(
    loadtest: LoadTest, building: Building, *, context: str | None, tell: Tell, stop: threading.Event
) -> LoadTest:
    """Fill in the images that the load test does not name.

    Raises:
        InvalidLoadTestError: one is missing, and no registry is named to build it for.
        LoadTestError: one cannot be built.
    """
    missing = [
        field
        for field in _FIELDS
        if getattr(loadtest, field) is None and not (field == "api_image" and loadtest.api_url)
    ]
    if not missing:
        return loadtest
    if building.registry is None:
        option = missing[0].replace("_", "-")
        raise InvalidLoadTestError(
            f"{missing[0]} is missing: name an image that the cluster can pull (--{option}), or a registry to build it "
            "for (--registry)"
        )
    tell(Event(step="build", state=State.STARTED, text=f"images in {building.registry}"))
    registry = Registry(prefix=building.registry, find=partial(existing_digest, insecure=building.is_insecure))
    builder = _builder(building, registry.prefix, context)
    images = [_FIELDS[field] for field in missing]
    built = build(images, registry, builder, checkout=_CHECKOUT, stop=stop, tell=tell)
    tell(Event(step="build", state=State.DONE))
    return loadtest.model_copy(update={field: str(built[_FIELDS[field].name]) for field in missing})


def _builder(building: Building, registry: str, context: str | None) -> Builder:
    if registry.partition("/")[0].endswith("-docker.pkg.dev"):
        region, project = registry.partition("-docker.pkg.dev")[0], registry.split("/")[1]
        place = CloudBuild(project=project, region=region, bucket=f"{project}-loadtest")

        def on_google_cloud(sources: BuildContext, image: ImageReference, wait: Wait) -> str:
            return cloud_build(sources, image, place, session=google_session(), wait=wait)

        return on_google_cloud
    job = BuildKit(
        image=building.buildkit_image or BuildKit().image,
        is_privileged=building.is_privileged,
        is_insecure=building.is_insecure,
        build_args=building.build_args,
    )
    cluster = connect(context=context)

    def in_the_cluster(sources: BuildContext, image: ImageReference, wait: Wait) -> str:
        return buildkit(sources, image, job, cluster=cluster, wait=wait)

    return in_the_cluster
