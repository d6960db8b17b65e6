"""On SQLite nobody who reads and then writes is refused: writers wait for each other."""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa
from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration

from flows.server import serve
from flows.server.serve import _begin_as_writer, _read_what_changed


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


def test_nobody_waits_for_another_inside_of_sqlite(tmp_path):
    """A connection that does is locked: were a cursor of it collected meanwhile, the loop would stand still for a minute."""

    async def begun_while_one_writes():
        database = AioSqliteConfiguration(f"sqlite+aiosqlite:///{tmp_path}/prefect.db")
        engine, begun = await database.engine(), []
        sa.event.listen(engine.sync_engine, "before_cursor_execute", lambda *said: begun.append(said[2]))

        async def write():
            session = await database.session(engine)
            async with session, _begin_as_writer(database, session):
                await asyncio.sleep(0.2)
                return begun.count("BEGIN IMMEDIATE")

        return await asyncio.gather(*(write() for _ in range(4)))

    assert asyncio.run(begun_while_one_writes()) == [1, 2, 3, 4]


def test_a_transaction_inside_of_another_is_refused_and_does_not_wait_for_ever(tmp_path):
    async def nested():
        database = AioSqliteConfiguration(f"sqlite+aiosqlite:///{tmp_path}/prefect.db")
        engine = await database.engine()
        sa.event.listen(engine.sync_engine, "connect", lambda connection, _: impatient(connection.cursor()))
        outer, inner = await database.session(engine), await database.session(engine)
        async with outer, _begin_as_writer(database, outer), inner, _begin_as_writer(database, inner):
            pass

    def impatient(cursor):
        cursor.execute("PRAGMA busy_timeout = 50")
        cursor.close()

    with pytest.raises(sa.exc.OperationalError, match="database is locked"):
        asyncio.run(asyncio.wait_for(nested(), 30))


def test_what_is_started_inside_of_a_transaction_does_not_begin_as_a_writer(tmp_path):
    async def mode_inside():
        database = AioSqliteConfiguration(f"sqlite+aiosqlite:///{tmp_path}/prefect.db")
        session = await database.session(await database.engine())
        async with session, _begin_as_writer(database, session):
            return await asyncio.create_task(_mode())

    async def _mode():
        return SQLITE_BEGIN_MODE.get()

    assert asyncio.run(mode_inside()) is None


def test_a_changed_automation_is_read_though_the_loop_is_held_up_by_whoever_waits_for_that(monkeypatch):
    """As Prefect waits: in a thread, with the loop of the server held up, while a task of that loop has the automations' lock."""
    seen = []

    async def server():
        lock, held = asyncio.Lock(), asyncio.Event()

        async def automation_changed(automation, event):
            async with lock:
                seen.append((automation, event))

        async def reconcile():
            async with lock:
                held.set()
                await asyncio.sleep(0.1)

        monkeypatch.setattr(serve, "_automation_changed", automation_changed)
        reconciling = asyncio.create_task(reconcile())
        await held.wait()
        with ThreadPoolExecutor(1) as prefect:
            prefect.submit(asyncio.run, _read_what_changed("a", "automation__updated")).result(timeout=30)
        await reconciling
        await asyncio.gather(*serve._readings)

    asyncio.run(server())
    assert seen == [("a", "automation__updated")]
