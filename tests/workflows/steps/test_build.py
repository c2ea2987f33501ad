"""Step build: what the registry has is not built, the rest is, side by side."""

import threading
from pathlib import Path

import pytest

from attacker.exits import InvalidLoadTestError, RunBrokenError
from workflows.images import BuildContext, ImageReference, ImageSource
from workflows.progress import Event
from workflows.steps.build import Registry, Wait, build

DIGEST = "sha256:" + "ab" * 32
ONE = ImageSource(name="one", folder="one", dockerfile="Dockerfile")
OTHER = ImageSource(name="other", folder="other", dockerfile="Dockerfile")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for source in (ONE, OTHER):
        (tmp_path / source.folder).mkdir()
        (tmp_path / source.folder / "Dockerfile").write_text(f"FROM {source.name}")
    return tmp_path


EMPTY = Registry(prefix="r.io/p", find=lambda _: None)
FULL = Registry(prefix="r.io/p", find=lambda _: DIGEST)


def no_builder(_context: BuildContext, image: ImageReference, _wait: Wait) -> str:
    pytest.fail(f"{image} is built")


def test_images_that_the_registry_has_are_not_built(checkout: Path) -> None:
    told: list[Event] = []

    built = build((ONE, OTHER), FULL, no_builder, checkout=checkout, tell=told.append)

    tag = ONE.context(checkout).content_tag
    assert list(built) == ["one", "other"]
    assert str(built["one"]) == f"r.io/p/one:{tag}@{DIGEST}"
    assert f"r.io/p/one:{tag} is there already" in [event.text for event in told]


def test_images_that_the_registry_lacks_are_built_and_named_by_their_digests(checkout: Path) -> None:
    contexts = {}

    def builder(context: BuildContext, image: ImageReference, _wait: Wait) -> str:
        contexts[str(image)] = context
        return DIGEST

    built = build((ONE, OTHER), EMPTY, builder, checkout=checkout)

    expected = {str(source.reference(EMPTY.prefix, source.context(checkout))) for source in (ONE, OTHER)}
    assert set(contexts) == expected
    assert {str(image) for image in built.values()} == {f"{name}@{DIGEST}" for name in expected}


def test_images_are_built_at_the_same_time(checkout: Path) -> None:
    together = threading.Barrier(2, timeout=10)

    def builder(*_: object) -> str:
        together.wait()
        return DIGEST

    assert len(build((ONE, OTHER), EMPTY, builder, checkout=checkout)) == 2


def test_one_that_fails_ends_the_other_and_is_the_one_that_is_told(checkout: Path) -> None:
    ended = []

    def builder(_context: BuildContext, image: ImageReference, wait: Wait) -> str:
        if image.repository.endswith("other"):
            raise RunBrokenError("other is broken")
        while not wait(0.01):
            pass
        ended.append(image.repository)
        raise RunBrokenError("one was stopped")

    with pytest.raises(RunBrokenError, match=r"^other is broken$"):
        build((ONE, OTHER), EMPTY, builder, checkout=checkout)

    assert ended == ["p/one"]


def test_a_run_that_is_stopped_stops_its_builds(checkout: Path) -> None:
    stop = threading.Event()

    def builder(_context: BuildContext, _image: ImageReference, wait: Wait) -> str:
        stop.set()
        assert wait(60)
        raise RunBrokenError("stopped")

    with pytest.raises(RunBrokenError, match=r"^stopped$"):
        build((ONE,), EMPTY, builder, checkout=checkout, stop=stop)


def test_a_prefix_that_no_image_can_have_is_refused_before_anything_is_built(checkout: Path) -> None:
    with pytest.raises(InvalidLoadTestError, match=r"^registry is 'https://r\.io': "):
        build((ONE,), Registry(prefix="https://r.io"), no_builder, checkout=checkout)


def test_a_checkout_without_the_sources_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunBrokenError, match="build from a whole checkout"):
        build((ONE,), Registry(prefix="r.io"), no_builder, checkout=tmp_path)


def test_no_images_need_no_builder() -> None:
    assert build((), Registry(prefix="r.io"), no_builder, checkout=Path()) == {}
