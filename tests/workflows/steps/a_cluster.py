"""A stand-in for a cluster's API on the loopback address: it keeps objects, and nothing acts on them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = ["Asked", "StandIn", "a_deployment", "a_pod", "a_stand_in", "kubeconfig"]

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that the stand-in got."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    body: Any


@dataclass(slots=True)
class StandIn:
    """What the API has, and what it was asked."""

    objects: dict[str, Object] = field(default_factory=dict)
    """Each by its path, such as /apis/apps/v1/namespaces/NAMESPACE/deployments/NAME."""
    asked: list[Asked] = field(default_factory=list)
    refusals: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    """What to answer instead to a method and a path: status and message."""
    texts: dict[str, str] = field(default_factory=dict)
    """Logs by path."""
    reactions: dict[tuple[str, str], Any] = field(default_factory=dict)
    """Functions to call before a method and a path are answered: what a cluster does by itself."""
    url: str = ""

    def answer(self, asked: Asked) -> tuple[int, Object | str]:
        """Do as the API does."""
        self.asked.append(asked)
        self.reactions.get((asked.method, asked.path), lambda: None)()
        if (asked.method, asked.path) in self.refusals:
            status, message = self.refusals[asked.method, asked.path]
            return status, {"kind": "Status", "message": message, "code": status}
        if asked.path == "/version/":
            return 200, {"major": "1", "minor": "37", **dict.fromkeys(_VERSION, "")}
        return getattr(self, f"_{asked.method.lower()}")(asked)  # type: ignore[no-any-return]

    def of(self, method: str) -> list[Asked]:
        """Tell what was asked by one method, in its order."""
        return [asked for asked in self.asked if asked.method == method]

    def _get(self, asked: Asked) -> tuple[int, Object | str]:
        if asked.path in self.texts:
            return 200, self.texts[asked.path]
        if asked.path in self.objects:
            return 200, self.objects[asked.path]
        if asked.path.rpartition("/")[2] in {"pods", "events"}:
            items = [value for path, value in self.objects.items() if path.startswith(f"{asked.path}/")]
            return 200, {"items": items, "metadata": {}}
        return 404, {"message": f"{asked.path} not found"}

    def _patch(self, asked: Asked) -> tuple[int, Object]:
        kept = self.objects.get(asked.path, {}).get("metadata", {})
        metadata = {"uid": "1", "generation": 1, **kept, **asked.body["metadata"]}
        self.objects[asked.path] = {**asked.body, "metadata": metadata}
        return 200, self.objects[asked.path]

    def _post(self, asked: Asked) -> tuple[int, Object]:
        metadata = {"uid": f"uid-{next(_UIDS)}", **asked.body["metadata"]}
        path = f"{asked.path}/{metadata['name']}"
        self.objects[path] = {**asked.body, "metadata": metadata}
        return 201, self.objects[path]

    def _delete(self, asked: Asked) -> tuple[int, Object]:
        found = self.objects.pop(asked.path, None)
        return (200, found) if found else (404, {"message": f"{asked.path} not found"})


_UIDS = count(1)
_VERSION = ("buildDate", "compiler", "gitCommit", "gitTreeState", "gitVersion", "goVersion", "platform")


@contextmanager
def a_stand_in() -> Iterator[StandIn]:
    """Serve an API that has nothing yet."""
    stand_in = StandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            parts, size = urlsplit(self.path), int(self.headers.get("Content-Length", 0))
            status, content = stand_in.answer(
                Asked(
                    method=self.command,
                    path=parts.path,
                    query=dict(parse_qsl(parts.query)),
                    content_type=self.headers.get("Content-Type", ""),
                    body=json.loads(self.rfile.read(size)) if size else None,
                )
            )
            told = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815  (the names that http.server calls)

        def log_message(self, *_: object) -> None:
            """Be silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        stand_in.url = f"http://127.0.0.1:{server.server_port}"
        yield stand_in
        server.shutdown()


def kubeconfig(file: Path, url: str, *, user: Object | None = None) -> Path:
    """Write a kubeconfig with the contexts `here`, the current one, and `there`."""
    contexts = [{"name": name, "context": {"cluster": name, "user": "user"}} for name in ("here", "there")]
    addresses = {"here": url, "there": "http://127.0.0.1:1"}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": contexts,
        "clusters": [{"name": name, "cluster": {"server": address}} for name, address in addresses.items()],
        "users": [{"name": "user", "user": user or {"token": "token"}}],
    }
    file.write_text(json.dumps(content))
    return file


def a_deployment(*, status: Object | None = None, **spec: Any) -> Object:
    """Write a Deployment of three pods, rolled out but for what is said otherwise."""
    pods = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 3)
    return {
        "metadata": {"name": "loadtest-api", "generation": 2},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "api"}},
            "template": {
                "metadata": {"annotations": {"load-test/run": "run-1"}},
                "spec": {"containers": [{"name": "api"}]},
            },
            **spec,
        },
        "status": {"observedGeneration": 2, **pods, **(status or {})},
    }


def a_pod(name: str = "api-1", *, run: str = "run-1", phase: str = "Pending", **status: Any) -> Object:
    """Write a pod of a run."""
    return {
        "metadata": {"name": name, "labels": {"app": "api"}, "annotations": {"load-test/run": run}},
        "spec": {"containers": [{"name": "api"}]},
        "status": {"phase": phase, **status},
    }
