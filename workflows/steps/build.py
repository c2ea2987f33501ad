"""Step build: have both images in the registry, each built only where its content is not there yet."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from workflows.images import BuildContext, ImageReference, ImageSource, existing_digest
from workflows.progress import Event, State, Tell

__all__ = ["Builder", "Registry", "Wait", "build"]

Wait = Callable[[float], bool]
"""Waits for seconds and tells whether to stop, as `threading.Event.wait` does."""

Builder = Callable[[BuildContext, ImageReference, Wait], str]
"""Builds and pushes an image, and gives its digest; Cloud Build or BuildKit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Where images are kept."""

    prefix: str
    """Of their names, such as REGION-docker.pkg.dev/PROJECT/REPOSITORY or HOST:PORT."""
    find: Callable[[ImageReference], str | None] = existing_digest
    """Gives the digest of an image, None where it is not there."""


def build(
    images: Sequence[ImageSource],
    registry: Registry,
    builder: Builder,
    *,
    checkout: Path,
    stop: threading.Event | None = None,
    tell: Tell = lambda _: None,
) -> dict[str, ImageReference]:
    """Build images side by side, but none whose content the registry has.

    Args:
        images: what to build.
        registry: where to.
        builder: what builds.
        checkout: the folder that the images' contexts are in.
        stop: when it is set, builds are given up.
        tell: hears of each image.

    Returns:
        Each image by its name, with its digest.

    Raises:
        LoadTestError: an image cannot be built; the others are given up.
    """
    stop, given_up = stop or threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def wait(seconds: float) -> bool:
        return given_up.is_set() or stop.wait(seconds) or given_up.is_set()

    def build_one(source: ImageSource) -> ImageReference:
        try:
            context = source.context(checkout)
            return _build(context, source.reference(registry.prefix, context), registry, builder, wait, tell)
        except BaseException as error:
            errors.append(error)
            given_up.set()
            raise

    with ThreadPoolExecutor(max_workers=max(1, len(images))) as pool:
        futures = {source.name: pool.submit(build_one, source) for source in images}
    if errors:
        raise errors[0]  # those that were given up for it come later
    return {name: future.result() for name, future in futures.items()}


def _build(
    context: BuildContext, image: ImageReference, registry: Registry, builder: Builder, wait: Wait, tell: Tell
) -> ImageReference:
    digest, began = registry.find(image), time.monotonic()
    if digest is not None:
        tell(Event(step="build", state=State.NOTE, text=f"{image} is there already"))
        return replace(image, digest=digest)
    tell(Event(step="build", state=State.NOTE, text=f"{image} is being built"))
    digest = builder(context, image, wait)
    tell(Event(step="build", state=State.NOTE, text=f"{image} was built in {time.monotonic() - began:.0f} s"))
    return replace(image, digest=digest)
