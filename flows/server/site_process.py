"""Keep our own pages over the runs up beside a Prefect server."""

import os
import sys
from pathlib import Path

from data_specs.errors import SpecError
from flows.server.kept_process import KeptProcess
from flows.server.prefect_server import HOST, PrefectServer, free_port, taken


class SiteProcess(KeptProcess):
    """`synclr site` as a process of its own, which links to the pages of `server`."""

    def __init__(self, root: str, server: PrefectServer, port: int | None, log: Path) -> None:
        """`port` None: the one after the server's, or any that is free where that is taken too.

        Raises SpecError for a port that was given and is taken.
        """
        beside = int(server.address.rsplit(":", 1)[1]) + 1
        if port is not None and (port == beside - 1 or taken(port)):
            raise SpecError(f"port {port} of {HOST} is taken; choose another with --site-port")
        port = port or (free_port() if beside > 65535 or taken(beside) else beside)
        self.address = f"http://{HOST}:{port}"
        words = ["site", "--root", root, "--port", str(port), "--prefect", server.address]
        super().__init__("site", [sys.executable, "-m", "flows.cli", *words], os.environ, log)
