"""Servers that fail as a test wants them to: they break connections off, close them, talk nonsense, know no name."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["HANG_UP", "RESET", "a_name_server_without_names", "a_server_that_ends_with"]

HANG_UP, RESET = b"", b"\0"
"""How a connection ends: in silence, or broken off."""
_NO_SUCH_NAME = 0x8183
"""The flags of an answer of RFC 1035: a response, recursion, NXDOMAIN."""


@contextmanager
def a_server_that_ends_with(last_words: bytes) -> Iterator[str]:
    """Read each connection's request, and end it with these words, or as HANG_UP and RESET say; yields the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=_end_connections, args=(listener, last_words))
        serving.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)
        serving.join(10)


def _end_connections(listener: socket.socket, last_words: bytes) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:  # it is shut down
            return
        with client:
            client.recv(1 << 16)
            if last_words == RESET:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                client.sendall(last_words)


@contextmanager
def a_name_server_without_names() -> Iterator[tuple[str, list[bytes]]]:
    """Answer every question with "there is no such name"; yields the address and the questions."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        serving = threading.Thread(target=_deny_all, args=(server, asked))
        serving.start()
        host, port = server.getsockname()
        yield f"{host}:{port}", asked
        server.sendto(b"", (host, port))
        serving.join(10)


def _deny_all(server: socket.socket, asked: list[bytes]) -> None:
    while True:
        question, client = server.recvfrom(1 << 12)
        if not question:
            return
        asked.append(question)
        server.sendto(question[:2] + struct.pack("!HHHHH", _NO_SUCH_NAME, 1, 0, 0, 0) + question[12:], client)
