"""How gunicorn serves the API: `python -m gunicorn -c api/gunicorn_conf.py api.main:app`.

Three settings come from the environment: API_BIND (host:port, or fd://N for a socket that was inherited), API_WORKERS
and API_LOG_LEVEL (of gunicorn's own lines: requests are never logged).
"""

import os
from pathlib import Path

__all__ = ["bind", "parse_workers", "workers"]


def parse_workers(text: str) -> int:
    """Read a number of worker processes.

    Raises:
        SystemExit: the text is no such number. Of any other error gunicorn would print the traceback.
    """
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise SystemExit(f"API_WORKERS is {text!r}: give a whole number of 1 or more, such as 4")
    return int(text)


bind = os.environ.get("API_BIND") or "0.0.0.0:5000"
workers = parse_workers(os.environ.get("API_WORKERS", "4"))

# gunicorn's own asgi worker leaves the backlog at asyncio's 100, and an idle connection holds up its stop until
# graceful_timeout; uvicorn's takes the backlog as set and closes idle connections at once.
worker_class = "uvicorn_worker.UvicornWorker"

# One import for all workers, and a broken one ends gunicorn instead of restarting workers for ever.
preload_app = True

# A load test may open thousands of connections at one instant, and each that finds no room tries again after 1 s.
# The kernel caps this at net.core.somaxconn, 4096 by default.
backlog = 4096

# Who keeps connections open longer than this may send a request just as it closes, and count an error that the API is
# not to blame for. vegeta keeps them for ever, AWS's load balancers for 60 s, Google's for 600 s.
keepalive = 620

# Kubernetes kills after 30 s: what was accepted is answered well before.
graceful_timeout = 20

# Under load, a log line a request would be part of what is measured.
accesslog = None
errorlog = "-"
loglevel = os.environ.get("API_LOG_LEVEL", "info")

# Workers tell by a file's date that they live: in memory, since the container's root file system is read-only and a
# disk might stall.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  (a file without a name there)

# Nobody controls these workers from outside, and the socket would be a file in the home folder.
control_socket_disable = True
