"""Prefect's server as we start it: `python -m flows.server.serve server start ...` is `prefect server start ...`.

On SQLite each of its transactions takes the right to write as it begins. Prefect begins most of them as readers: one that read,
and wants to write after another has written, is refused at once ("database is locked", 503, a page that says "Oops"), however
long SQLite may wait for a lock. Those that begin as writers wait for each other, a minute at most. What Prefect reads inside such
a transaction's end, with its event loop held up, begins as a reader: as a writer it would wait for one that can never end.

Its newer pages are not served, nor offered by a banner: they ask an outside host, and show a sheet of images as a broken one.
The others may show no images from elsewhere: that for a new work pool asks an outside host for logos.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import prefect
from prefect.server.api import server
from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration
from prefect.server.events import triggers
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

NOT_SERVED = Path(__file__).parent / "no-such-pages"
OWN_IMAGES = {"Content-Security-Policy": "img-src 'self' data: blob:"}
_create_ui_app = server.create_ui_app
_begin_transaction = AioSqliteConfiguration.begin_transaction
_automation_changed = triggers.automation_changed


@asynccontextmanager
async def _begin_as_writer(
    self: AioSqliteConfiguration, session: AsyncSession, with_for_update: bool = False
) -> AsyncGenerator[AsyncSessionTransaction, None]:
    del with_for_update
    async with _begin_transaction(self, session, with_for_update=True) as transaction:
        yield transaction


async def _read_what_changed(automation_id: UUID, event: Any) -> None:
    """Prefect calls it as a transaction is committed, and lets nothing else of the server run until it returns."""
    token = SQLITE_BEGIN_MODE.set(None)
    try:
        await _automation_changed(automation_id, event)
    finally:
        SQLITE_BEGIN_MODE.reset(token)


def _create_ui_app_of_own_images(ephemeral: bool) -> Starlette:
    pages = _create_ui_app(ephemeral)
    pages.add_middleware(BaseHTTPMiddleware, dispatch=_forbid_others)
    return pages


async def _forbid_others(request: Request, answer: RequestResponseEndpoint) -> Response:
    response = await answer(request)
    response.headers.update(OWN_IMAGES)
    return response


def main() -> Any:
    server.create_ui_app = _create_ui_app_of_own_images  # type: ignore[assignment]
    prefect.__ui_v2_static_path__ = NOT_SERVED
    AioSqliteConfiguration.begin_transaction = _begin_as_writer  # type: ignore[method-assign]
    triggers.automation_changed = _read_what_changed
    from prefect.cli import app

    return app()


if __name__ == "__main__":
    main()
