"""The server's half of an HTTP/2 connection, over TLS or without."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded

__all__ = ["Reply", "converse"]

Reply = tuple[int, Mapping[str, str], bytes]
"""Status, headers and body."""


@dataclass
class _Request:
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class _Conversation:
    connection: H2Connection
    answer: Callable[[str, str, dict[str, str], bytes], Reply]
    requests: dict[int, _Request] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            headers = {str(name): str(value) for name, value in event.headers}
            self.requests[event.stream_id] = _Request(headers)
        elif isinstance(event, DataReceived):
            self.requests[event.stream_id].body += event.data
            self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            self._reply(event.stream_id, self.requests.pop(event.stream_id))

    def _reply(self, stream: int, request: _Request) -> None:
        method, path = request.headers[":method"], request.headers[":path"]
        status, headers, body = self.answer(method, path, request.headers, request.body)
        lower = [(name.lower(), value) for name, value in headers.items()]
        self.connection.send_headers(stream, [(":status", str(status)), *lower])
        self.connection.send_data(stream, body, end_stream=True)


def converse(client: socket.socket, answer: Callable[[str, str, dict[str, str], bytes], Reply]) -> None:
    """Answer every request on a connection until the client leaves; bodies fit into HTTP/2's first window.

    Args:
        client: the connection, on which HTTP/2 is agreed.
        answer: of method, path, headers and body.
    """
    configuration = H2Configuration(client_side=False, header_encoding="utf-8")
    conversation = _Conversation(H2Connection(configuration), answer)
    conversation.connection.initiate_connection()
    client.sendall(conversation.connection.data_to_send())
    while data := client.recv(1 << 16):
        for event in conversation.connection.receive_data(data):
            conversation.take(event)
        client.sendall(conversation.connection.data_to_send())
