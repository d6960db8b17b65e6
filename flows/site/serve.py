"""Serve a site on loopback until the process is asked to end."""

import socket
from collections.abc import Callable

import uvicorn

from data_specs.errors import SpecError
from flows.site.app import HOSTS, site_app
from flows.site.site import Site

PORT = 4201
SECONDS_TO_STOP = 3
"""Given to pages that are being read."""


def serve_site(site: Site, port: int | None, tell: Callable[[str], None]) -> None:
    """Blocks; `tell` is called with the address once it is listened to. None: `PORT`, or any that is free where that is taken.

    Raises SpecError if the port that was given is taken.
    """
    with _listening(port) as listening:
        tell(f"http://{HOSTS[0]}:{listening.getsockname()[1]}")
        config = uvicorn.Config(
            site_app(site),
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=SECONDS_TO_STOP,
        )
        uvicorn.Server(config).run(sockets=[listening])


def _listening(port: int | None) -> socket.socket:
    try:
        return socket.create_server((HOSTS[0], port or PORT))
    except OSError as error:
        if port is None:
            return socket.create_server((HOSTS[0], 0))
        raise SpecError(
            f"port {port} of {HOSTS[0]} cannot be used ({error.strerror}); choose another with --port"
        ) from error
