"""Outlast a Prefect server that is being restarted: Prefect's client gives up at once where it never reached it before."""

import time
from collections.abc import Callable
from typing import TypeVar

import httpx

OUTAGE_SECONDS = 180.0
"""A server comes back within 10 to 20 s on two cores; on a busy machine within three minutes, or not at all."""
PAUSE_SECONDS = 2.0

Answer = TypeVar("Answer")


def lost_its_server(error: BaseException) -> bool:
    """Whether no server answered, or one that could not: some of Prefect's calls are tried once (a stage's first)."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500
    return isinstance(error, httpx.TransportError)


def outlast(ask: Callable[[], Answer], seconds: float = OUTAGE_SECONDS) -> Answer:
    """What `ask()` returns, called again while no server answers. Raises what it raised last after so many seconds."""
    until = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except httpx.TransportError:
            if time.monotonic() > until:
                raise
        time.sleep(PAUSE_SECONDS)
