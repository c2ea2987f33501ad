"""The images that a run on a cluster needs: named by the user, found in the registry, or built from this checkout."""

import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from attacker.exits import InvalidLoadTestError
from workflows.build_settings import BuildSettings
from workflows.images import API, ATTACKER, BuildContext, ImageReference, existing_digest
from workflows.loadtest import LoadTest
from workflows.progress import Event, State, Tell
from workflows.steps.build import Builder, Registry, Wait, build
from workflows.steps.buildkit import BuildKit, buildkit
from workflows.steps.cloud_build import CloudBuild, cloud_build, google_session
from workflows.steps.cluster import connect

__all__ = ["IMAGE_FIELDS", "missing_images", "with_built_images"]

_CHECKOUT = Path(__file__).resolve().parents[1]
_SOURCES = {"api_image": API, "attacker_image": ATTACKER}
IMAGE_FIELDS = tuple(_SOURCES)
"""The fields of the load test that name an image."""


def missing_images(loadtest: LoadTest) -> tuple[str, ...]:
    """Name the fields of the images that the load test needs and does not name."""
    return tuple(
        field
        for field in IMAGE_FIELDS
        if getattr(loadtest, field) is None and not (field == "api_image" and loadtest.api_url)
    )


def with_built_images(
    loadtest: LoadTest,
    settings: BuildSettings,
    *,
    build_args: Mapping[str, str],
    context: str | None,
    tell: Tell,
    stop: threading.Event,
) -> LoadTest:
    """Fill in the images that the load test does not name, each built only where the registry lacks its content.

    Raises:
        InvalidLoadTestError: there is no registry to build one for.
        LoadTestError: one cannot be built.
    """
    missing = missing_images(loadtest)
    if not missing:
        return loadtest
    if settings.registry is None:
        option = missing[0].replace("_", "-")
        raise InvalidLoadTestError(
            f"{missing[0]} is missing: name an image that the cluster can pull (--{option}), or a registry to build it "
            "for (--registry)"
        )
    tell(Event(step="build", state=State.STARTED, text=f"images in {settings.registry}"))
    registry = Registry(prefix=settings.registry, find=partial(existing_digest, insecure=settings.is_insecure))
    builder = _builder(settings, settings.registry, build_args, context)
    images = [_SOURCES[field] for field in missing]
    built = build(images, registry, builder, checkout=_CHECKOUT, stop=stop, tell=tell)
    tell(Event(step="build", state=State.DONE))
    return loadtest.model_copy(update={field: str(built[_SOURCES[field].name]) for field in missing})


def _builder(settings: BuildSettings, registry: str, build_args: Mapping[str, str], context: str | None) -> Builder:
    """Choose what builds: on Google Cloud, Cloud Build; elsewhere, BuildKit in the cluster."""
    if registry.partition("/")[0].endswith("-docker.pkg.dev"):
        region, project = registry.partition("-docker.pkg.dev")[0], registry.split("/")[1]
        bucket = settings.bucket or f"{project}-loadtest"
        place = CloudBuild(project=project, region=region, bucket=bucket, service_account=settings.account)

        def on_google_cloud(sources: BuildContext, image: ImageReference, wait: Wait) -> str:
            return cloud_build(sources, image, place, session=google_session(), wait=wait)

        return on_google_cloud
    job = BuildKit(
        image=settings.buildkit_image or BuildKit().image,
        is_privileged=settings.is_privileged,
        is_insecure=settings.is_insecure,
        build_args=build_args,
    )
    cluster = connect(context=context)

    def in_the_cluster(sources: BuildContext, image: ImageReference, wait: Wait) -> str:
        return buildkit(sources, image, job, cluster=cluster, wait=wait)

    return in_the_cluster
