"""An attack in a network of its own, where ports are few or no way leads anywhere: `unshare --net` and this program.

`python -m tests.attacker.own_network FIRST LAST` lets connections begin at those ports only, and attacks a server that
holds 60 of them at once; without ports, it attacks an address that no way leads to. Results go to standard output.
"""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

from tests.attacker.by_vegeta import attacked
from tests.attacker.loopback import loopback

__all__ = ["attacked_in_own_network", "why_there_is_none"]

_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_UNSHARE = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]


def why_there_is_none() -> str:
    """Say why this machine lets nobody have a network of their own; empty where it does."""
    if shutil.which("unshare") is None:
        return "there is no unshare on this machine"
    write_again = f'ports=$(cat {_PORT_RANGE}) && echo "$ports" > {_PORT_RANGE}'
    try:
        subprocess.run([*_UNSHARE, "sh", "-c", write_again], capture_output=True, text=True, check=True, timeout=10)
    except subprocess.CalledProcessError as error:
        return f"this machine gives nobody a network of their own: {error.stderr.strip()}"
    return ""


def attacked_in_own_network(*ports: int) -> bytes:
    """Run this program; returns the results file."""
    command = [*_UNSHARE, sys.executable, "-m", __name__, *map(str, ports)]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, capture_output=True, check=True, timeout=60).stdout


def _switch_on_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))


def _attack_with_ports(first: str, last: str) -> bytes:
    _switch_on_loopback()
    with loopback() as server:
        _PORT_RANGE.write_text(f"{first} {last}")
        return attacked([f"{server.url}/?wait_s=2"], "-rate=300/s", "-duration=499ms")


def _main(*ports: str) -> None:
    results = _attack_with_ports(*ports) if ports else attacked(["http://10.0.0.1/"], "-rate=20/s", "-duration=199ms")
    sys.stdout.buffer.write(results)


if __name__ == "__main__":
    _main(*sys.argv[1:])
