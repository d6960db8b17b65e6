"""Link to a run in our own pages, from wherever it is shown."""

import os
from urllib.parse import quote

SITE = "SYNCLR_SITE"
"""The environment variable with their address: `synclr ui` sets it for its worker and its deployments."""


def site_link(run: str, text: str) -> str:
    """Markdown; nothing where no pages are known to stand."""
    site = os.environ.get(SITE)
    return f"[{text}]({site}/runs/{quote(run, safe='')}/index.html)" if site else ""
