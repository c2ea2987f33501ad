"""Ask the API that runs beside this process whether it is healthy: exit code 0 if so, else 1."""

import sys
from http.client import HTTPConnection, HTTPException

from api.gunicorn_conf import bind

__all__ = ["is_healthy"]


def is_healthy(address: str, *, timeout_s: float = 2) -> bool:
    """Tell whether the API at host:port answers `GET /health` with 200.

    The address may be the one bound to: Linux takes a connection to 0.0.0.0 or [::] as one to the machine itself.
    """
    host_port = f"127.0.0.1{address}" if address.startswith(":") else address
    connection = HTTPConnection(host_port, timeout=timeout_s)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not is_healthy(bind))
