"""Servers that break connections off, close them, or talk nonsense, as a test wants them to; and a name server."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["HANG_UP", "RESET", "a_name_server", "a_server_that_ends_with"]

HANG_UP, RESET = b"", b"\0"
"""How a connection ends: in silence, or broken off."""
# RFC 1035: the flags of an answer, a question for an address of version 4, and the head of one.
_NO_SUCH_NAME, _HERE_IT_IS = 0x8183, 0x8180
_TYPE_A, _NAME_ABOVE = b"\0\1", b"\xc0\x0c"
_A_RECORD = struct.pack("!HHIH", 1, 1, 60, 4)


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
def a_name_server(knows: str | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """Give every name the same address, or deny that there is such a name; yields its place and the questions."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        serving = threading.Thread(target=_answer_all, args=(server, knows, asked))
        serving.start()
        host, port = server.getsockname()
        yield f"{host}:{port}", asked
        server.sendto(b"", (host, port))
        serving.join(10)


def _answer_all(server: socket.socket, knows: str | None, asked: list[bytes]) -> None:
    while True:
        query, client = server.recvfrom(1 << 12)
        if not query:
            return
        question = query[12 : query.index(b"\0", 12) + 5]  # the name, its type, its class
        asked.append(question)
        flags = _NO_SUCH_NAME if knows is None else _HERE_IT_IS
        records = (
            [] if knows is None or question[-4:-2] != _TYPE_A else [_NAME_ABOVE + _A_RECORD + socket.inet_aton(knows)]
        )
        head = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
        server.sendto(head + question + b"".join(records), client)
