"""Prefect's server as we start it: `python -m flows.server.serve server start ...` is `prefect server start ...`.

On SQLite each of its transactions takes the right to write as it begins. Prefect begins most of them as readers: one that read,
and wants to write after another has written, is refused at once ("database is locked", 503, a page that says "Oops"), however
long SQLite may wait for a lock. Those that begin as writers wait for each other, a minute at most.

Its newer pages are not served, nor offered by a banner: they ask an outside host, and show a sheet of images as a broken one.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import prefect
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

NOT_SERVED = Path(__file__).parent / "no-such-pages"
_begin_transaction = AioSqliteConfiguration.begin_transaction


@asynccontextmanager
async def _begin_as_writer(
    self: AioSqliteConfiguration, session: AsyncSession, with_for_update: bool = False
) -> AsyncGenerator[AsyncSessionTransaction, None]:
    del with_for_update
    async with _begin_transaction(self, session, with_for_update=True) as transaction:
        yield transaction


def main() -> Any:
    prefect.__ui_v2_static_path__ = NOT_SERVED
    AioSqliteConfiguration.begin_transaction = _begin_as_writer  # type: ignore[method-assign]
    from prefect.cli import app

    return app()


if __name__ == "__main__":
    main()
