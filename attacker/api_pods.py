"""The pods of the API under attack: what they were as the attack began, what they are after it, and what that means."""

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from attacker.exits import RunBrokenError

__all__ = ["ApiPod", "ApiPods", "Snapshot", "parse_snapshot", "render_snapshot", "snapshot_path"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPod:
    """One pod that is meant to answer."""

    name: str
    uid: str
    node: str
    restarts: int
    """Of its containers together."""
    last_end: str = ""
    """How a container of it ended last, in Kubernetes' word, such as OOMKilled."""
    is_ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All of the API's pods at one moment, or why nobody could tell."""

    pods: tuple[ApiPod, ...]
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPods:
    """The API's pods before and after the attack; None where nobody looked."""

    before: Snapshot | None
    after: Snapshot | None

    @property
    def trouble(self) -> str:
        """Why the two cannot be compared; empty where they can."""
        for moment, taken in (("before", self.before), ("after", self.after)):
            if taken is None:
                return f"nobody looked at the API's pods {moment} the attack"
            if taken.trouble:
                return f"the API's pods could not be looked at {moment} the attack: {taken.trouble}"
        return ""

    @property
    def changes(self) -> tuple[str, ...]:
        """What somebody did to the API, a sentence each: it was another one afterwards."""
        before, after = self._by_uid()
        gone = [f"pod {pod.name} on {pod.node} is gone" for uid, pod in before.items() if uid not in after]
        new = [f"pod {pod.name} on {pod.node} was not there before" for uid, pod in after.items() if uid not in before]
        return (*gone, *new)

    @property
    def behaviour(self) -> tuple[str, ...]:
        """What the API did under the load, a sentence each: it crashed, or is not ready."""
        before, after = self._by_uid()
        told = []
        for uid, pod in after.items():
            restarts = pod.restarts - before[uid].restarts if uid in before else 0
            if restarts > 0:
                how = f" ({pod.last_end})" if pod.last_end else ""
                told.append(f"pod {pod.name} restarted {restarts} time{'s' if restarts > 1 else ''}{how}")
            elif uid in before and before[uid].is_ready and not pod.is_ready:
                told.append(f"pod {pod.name} was not ready any more")
        return tuple(told)

    def _by_uid(self) -> tuple[dict[str, ApiPod], dict[str, ApiPod]]:
        taken = (self.before, self.after)
        before, after = ({pod.uid: pod for pod in (one.pods if one else ())} for one in taken)
        return before, after


_SNAPSHOT = TypeAdapter(Snapshot)


def snapshot_path(run: str, moment: str) -> str:
    """Tell where a run's snapshot lies in the bucket; `moment` is before or after."""
    return f"runs/{run}/api/{moment}.json"


def render_snapshot(snapshot: Snapshot) -> bytes:
    """Write a snapshot as JSON."""
    return _SNAPSHOT.dump_json(snapshot, indent=2) + b"\n"


def parse_snapshot(data: bytes) -> Snapshot:
    """Read what `render_snapshot` wrote.

    Raises:
        RunBrokenError: it is something else.
    """
    try:
        return _SNAPSHOT.validate_json(data)
    except ValidationError as error:
        raise RunBrokenError(f"{data[:80]!r} is no snapshot of the API's pods: report with the run's image") from error
