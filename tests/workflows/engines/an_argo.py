"""A stand-in for Argo: it tells of a run what a test says, and keeps what it is told."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from workflows.engines.argo_api import Kind, Manifest

__all__ = ["AnArgo", "a_node", "a_run"]

Look = Callable[[], Manifest | None]


def a_node(step: str, phase: str, *, name: str = "", message: str = "", **outputs: str) -> dict[str, Any]:
    """Write a pod's node."""
    parameters = [{"name": key, "value": value} for key, value in outputs.items()]
    return {
        "type": "Pod",
        "templateName": step,
        "displayName": name or step,
        "phase": phase,
        "message": message,
        "outputs": {"parameters": parameters},
    }


def a_run(*nodes: Mapping[str, Any], phase: str = "Running", message: str = "", started: bool = True) -> Manifest:
    """Write a run with these nodes."""
    return {
        "metadata": {"name": "load-test-1", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": {
            "phase": phase,
            "message": message,
            "startedAt": "2026-01-01T00:00:01Z" if started else None,
            "nodes": {str(number): {**node, "id": str(number)} for number, node in enumerate(nodes)},
        },
    }


@dataclass(slots=True)
class AnArgo:
    """Argo's objects, of which a run is looked at again and again."""

    looks: Iterator[Look | Manifest] = field(default_factory=lambda: iter(()))
    """What there is to see of the run, look by look; the last one stays."""
    objects: dict[str, Manifest] = field(default_factory=dict)
    """Templates and schedules by kind and name."""
    done: list[str] = field(default_factory=list)
    namespace: str = "loadtest"
    _last: Look | Manifest | None = None

    def read(self, kind: Kind, name: str) -> Manifest | None:
        """Look once more."""
        if kind != "workflows":
            return self.objects.get(f"{kind}/{name}")
        self._last = next(self.looks, self._last)
        return self._last() if callable(self._last) else self._last

    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Keep an object."""
        name = manifest["metadata"].get("name", "load-test-1")
        made = {**manifest, "metadata": {**manifest["metadata"], "name": name, "resourceVersion": "1"}}
        self.objects[f"{kind}/{name}"] = made
        self.done.append(f"create {kind}/{name}")
        return made

    def replace(self, kind: Kind, name: str, manifest: Manifest) -> None:
        """Keep another in its place."""
        self.objects[f"{kind}/{name}"] = manifest
        self.done.append(f"replace {kind}/{name}")

    def workflows(self, label_selector: str) -> tuple[Manifest, ...]:
        """List runs."""
        self.done.append(f"list {label_selector}")
        return tuple(found for found in self.objects.values() if "status" in found)

    def stop(self, name: str) -> None:
        """Note that."""
        self.done.append(f"stop {name}")

    def terminate(self, name: str) -> None:
        """Note that."""
        self.done.append(f"terminate {name}")

    def delete(self, name: str) -> None:
        """Note that."""
        self.done.append(f"delete {name}")
