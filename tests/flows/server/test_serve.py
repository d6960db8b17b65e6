"""On SQLite nobody who reads and then writes is refused: writers wait for each other."""

import asyncio
import sqlite3
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration

from flows.server.serve import _begin_as_writer


async def read_then_write(folder, begin, monkeypatch):
    """Two at once, each of whom has read before either writes if both may; the count that they leave."""
    monkeypatch.setattr(AioSqliteConfiguration, "begin_transaction", begin)
    database = AioSqliteConfiguration(f"sqlite+aiosqlite:///{folder}/prefect.db")
    engine = await database.engine()

    @asynccontextmanager
    async def transaction():
        session = await database.session(engine)
        async with session, database.begin_transaction(session):
            yield session

    async with transaction() as session:
        await session.execute(sa.text("CREATE TABLE counts (n INTEGER)"))
        await session.execute(sa.text("INSERT INTO counts VALUES (0)"))

    async def count_up():
        async with transaction() as session:
            n = (await session.execute(sa.text("SELECT n FROM counts"))).scalar_one()
            await asyncio.sleep(0.3)
            await session.execute(sa.text(f"UPDATE counts SET n = {n + 1}"))

    await asyncio.gather(count_up(), count_up())
    async with transaction() as session:
        return (await session.execute(sa.text("SELECT n FROM counts"))).scalar_one()


def test_prefect_by_itself_refuses_one_of_them(tmp_path, monkeypatch):
    """If it ever does not, `flows/server/serve.py` has had its day."""
    with pytest.raises(sa.exc.OperationalError, match="database is locked") as refused:
        asyncio.run(read_then_write(tmp_path, AioSqliteConfiguration.begin_transaction, monkeypatch))
    assert isinstance(refused.value.orig, sqlite3.OperationalError)


def test_our_server_lets_them_wait_for_each_other(tmp_path, monkeypatch):
    assert asyncio.run(read_then_write(tmp_path, _begin_as_writer, monkeypatch)) == 2
