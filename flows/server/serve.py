"""Prefect's server as we start it: `python -m flows.server.serve server start ...` is `prefect server start ...`.

On SQLite each of its transactions takes the right to write as it begins. Prefect begins most of them as readers: one that read,
and wants to write after another has written, is refused at once ("database is locked", 503, a page that says "Oops"), however
long SQLite may wait for a lock. Those that begin as writers wait for each other, a minute at most.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

_begin_transaction = AioSqliteConfiguration.begin_transaction


@asynccontextmanager
async def _begin_as_writer(
    self: AioSqliteConfiguration, session: AsyncSession, with_for_update: bool = False
) -> AsyncGenerator[AsyncSessionTransaction, None]:
    del with_for_update
    async with _begin_transaction(self, session, with_for_update=True) as transaction:
        yield transaction


def main() -> Any:
    AioSqliteConfiguration.begin_transaction = _begin_as_writer  # type: ignore[method-assign]
    from prefect.cli import app

    return app()


if __name__ == "__main__":
    main()
