"""Step ready: wait until every target has answered once as its author expects."""

import threading
import time
from collections.abc import Callable, Sequence

import httpx

from attacker.exits import RunBrokenError
from attacker.sending import USUAL, Sending
from attacker.targets import Target
from attacker.tls import tls_context

__all__ = ["ready"]

_POLL_S = 0.1
_NOT_YET = {502, 503, 504}  # what proxies and load balancers say while nothing is behind them
_SHOWN_CHARACTERS = 300
_NEVER_BY_PROXY = ("all://localhost", "all://127.0.0.1", "all://[::1]")  # whatever the environment says, as in vegeta


def ready(
    targets: Sequence[Target],
    *,
    timeout_s: float,
    answer_timeout_s: float,
    stop: threading.Event,
    sending: Sending = USUAL,
    alive: Callable[[], None] = lambda: None,
) -> None:
    """Send each target's request until it is answered; one that is answered otherwise than expected ends the wait.

    Args:
        targets: with whole URLs.
        timeout_s: for all of them together.
        answer_timeout_s: for one answer.
        stop: when it is set, the wait ends.
        sending: how the attack will ask, and so how it is asked here: certificates, HTTP/2, redirects, proxies.
        alive: raises where there is nothing to wait for any more.

    Raises:
        RunBrokenError: an unexpected answer, shown, or none in time.
        InvalidLoadTestError: a certificate's file cannot be used.
    """
    until = time.monotonic() + timeout_s
    with _client(sending, answer_timeout_s) as client:
        for target in targets:
            trouble: str | None = "it was not asked"
            while trouble is not None and not stop.is_set():
                trouble = _trouble(client, target)
                if trouble is None:
                    break
                alive()
                if time.monotonic() > until:
                    raise RunBrokenError(
                        f"{target.name}: {target.method} {target.url} was not ready within {timeout_s:.3g} s: "
                        f"{trouble}; start the API, or give a longer ready_timeout"
                    )
                stop.wait(_POLL_S)


def _client(sending: Sending, answer_timeout_s: float) -> httpx.Client:
    return httpx.Client(
        timeout=answer_timeout_s,
        follow_redirects=sending.redirects >= 0,
        max_redirects=max(0, sending.redirects),
        verify=tls_context(sending),
        http1=not sending.h2c,
        http2=sending.http2 or sending.h2c,
        trust_env=sending.proxies,
        mounts=dict.fromkeys(_NEVER_BY_PROXY),
    )


def _trouble(client: httpx.Client, target: Target) -> str | None:
    """Ask once; returns why it is not ready yet, None where it is."""
    try:
        answer = client.request(target.method, target.url, headers=target.sent_headers, content=target.body or None)
    except httpx.TransportError as error:
        return f"no answer ({str(error) or type(error).__name__})"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RunBrokenError(f"{target.name}: {target.method} {target.url}: {error}: mend the target") from error
    if target.is_success(answer.status_code):
        return None
    told = f"{answer.status_code} {answer.reason_phrase}: {_shown(answer)}"
    if answer.status_code in _NOT_YET:
        return told
    expected = ", ".join(map(str, target.expected_status)) or "200 to 399"
    raise RunBrokenError(
        f"{target.name}: {target.method} {target.url} answered {told} (expected {expected}): mend the target or the API"
    )


def _shown(answer: httpx.Response) -> str:
    text = " ".join(answer.text.split())
    return text[:_SHOWN_CHARACTERS] + "…" if len(text) > _SHOWN_CHARACTERS else text or "an empty answer"
