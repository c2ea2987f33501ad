"""Error texts made countable: what differs by chance from one failure to the next is taken out."""

import re

__all__ = ["normalise_error"]

# Go names both ends of a connection: `read tcp 10.1.2.3:54321->10.0.0.1:80: …`. The near one is a new port each time.
_NEAR_END = re.compile(r"\b((?:tcp|udp)[46]? )(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:.%\w]*\]):\d+->")


def normalise_error(text: str) -> str:
    """Give the same text to errors that differ only in the attacker's own ephemeral port."""
    return _NEAR_END.sub(r"\1", text)
