"""Prefect's server as we start it: `python -m flows.server.serve server start ...` is `prefect server start ...`.

On SQLite each of its transactions takes the right to write as it begins. Prefect begins most of them as readers: one that read,
and wants to write after another has written, is refused at once ("database is locked", 503, a page that says "Oops"), however
long SQLite may wait for a lock. Those that begin as writers wait for each other, and they do so in the event loop. One that waits
inside of SQLite keeps its connection locked: a cursor of it that Python's garbage collector comes upon holds up the loop, in
which the writer that is waited for cannot go on. It took a minute, and then all who waited were refused.

What Prefect reads again after an automation was changed is read beside the loop's other work: Prefect waits for it, and it may
wait for the loop.

Its newer pages are not served, nor offered by a banner: they ask an outside host, and show a sheet of images as a broken one.
The others may show no images from elsewhere: that for a new work pool asks an outside host for logos.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import prefect
from prefect.server.api import server
from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration
from prefect.server.events import triggers
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

logger = logging.getLogger("prefect.server.synclr")
NOT_SERVED = Path(__file__).parent / "no-such-pages"
OWN_IMAGES = {"Content-Security-Policy": "img-src 'self' data: blob:"}
_create_ui_app = server.create_ui_app
_automation_changed = triggers.automation_changed
TURN_SECONDS = 60.0
"""As long as SQLite waits for a lock in Prefect's connections."""
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
_writing: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[Any]] = WeakKeyDictionary()
"""Whose turn it is."""
_readings: set[asyncio.Task[None]] = set()
"""Kept, since an event loop does not keep its tasks."""


@asynccontextmanager
async def _begin_as_writer(
    self: AioSqliteConfiguration, session: AsyncSession, with_for_update: bool = False
) -> AsyncGenerator[AsyncSessionTransaction, None]:
    """At once, and this session alone: what is called or started inside would inherit the mode, and wait for this one's end."""
    del self, with_for_update
    async with _turn(), session.begin() as transaction:
        token = SQLITE_BEGIN_MODE.set("IMMEDIATE")
        try:
            await session.connection()
        finally:
            SQLITE_BEGIN_MODE.reset(token)
        yield transaction


@asynccontextmanager
async def _turn() -> AsyncGenerator[None, None]:
    """After the writers of this loop that came before, unless one of them has it for too long, or encloses this one."""
    loop, me = asyncio.get_running_loop(), asyncio.current_task()
    turn, mine = _turns.setdefault(loop, asyncio.Lock()), False
    if _writing.get(loop) is not me:
        with suppress(TimeoutError):
            async with asyncio.timeout(TURN_SECONDS):
                mine = await turn.acquire()
    if mine and me:
        _writing[loop] = me
    try:
        yield
    finally:
        if mine:
            _writing.pop(loop, None)
            turn.release()


def _read_what_changed(automation_id: UUID, event: Any) -> Awaitable[None]:
    """Prefect calls it as a transaction is committed, and holds its event loop up until what is returned here has ended.

    Prefect's own reads the automation under a lock that its `reconcile_automations` may have at that moment, which needs the loop
    to let go of it: the server would answer nobody any more.
    """
    reading = asyncio.get_running_loop().create_task(_automation_changed(automation_id, event))
    _readings.add(reading)
    reading.add_done_callback(_read)
    return asyncio.sleep(0)


def _read(reading: asyncio.Task[None]) -> None:
    _readings.discard(reading)
    if not reading.cancelled() and (error := reading.exception()):
        logger.error("an automation that was changed could not be read; it is within a minute: %r", error)


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
    triggers.automation_changed = _read_what_changed  # type: ignore[assignment]
    from prefect.cli import app

    return app()


if __name__ == "__main__":
    main()
