"""What a form sends, where everything is text: nothing, and a list with a line each."""

__all__ = ["list_of_lines", "none_if_empty"]


def none_if_empty(value: object) -> object:
    """Take an empty text, as a form sends it, for nothing."""
    return None if value == "" else value


def list_of_lines(value: object) -> object:
    """Accept lines of text as well as a list."""
    return [line.strip() for line in value.splitlines() if line.strip()] if isinstance(value, str) else value
