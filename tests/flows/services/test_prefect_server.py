"""Transactions on SQLite that read first and write then, side by side."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.ext.asyncio import AsyncSession

from flows.services.prefect_server import WaitingSqlite

READ, WRITE = sa.text("SELECT value FROM counter"), sa.text("UPDATE counter SET value = :value")


@asynccontextmanager
async def transaction(database: AioSqliteConfiguration) -> AsyncGenerator[AsyncSession, None]:
    session = await database.session(await database.engine())
    async with session, database.begin_transaction(session):
        yield session


async def reading(database: AioSqliteConfiguration) -> int:
    async with await database.session(await database.engine()) as session:
        return int((await session.execute(READ)).scalar_one())


async def count_up(database: AioSqliteConfiguration) -> None:
    async with transaction(database) as session:
        value = (await session.execute(READ)).scalar_one()
        await asyncio.sleep(0.05)
        await session.execute(WRITE, {"value": value + 1})


async def write_and_fail(database: AioSqliteConfiguration) -> None:
    async with transaction(database) as session:
        await session.execute(WRITE, {"value": 7})
        raise ZeroDivisionError


async def count_side_by_side(database: AioSqliteConfiguration, times: int) -> int:
    async with (await database.engine()).begin() as connection:
        await connection.execute(sa.text("CREATE TABLE counter (value INTEGER)"))
        await connection.execute(sa.text("INSERT INTO counter VALUES (0)"))
    await asyncio.gather(*(count_up(database) for _ in range(times)))
    return await reading(database)


def test_transactions_that_read_and_then_write_wait_for_each_other(tmp_path: Path) -> None:
    assert asyncio.run(count_side_by_side(WaitingSqlite(f"sqlite+aiosqlite:///{tmp_path}/waiting.db"), 8)) == 8


def test_prefect_alone_still_refuses_them(tmp_path: Path) -> None:
    """When this fails, Prefect has mended it, and `flows.services.prefect_server` can go."""
    database = AioSqliteConfiguration(f"sqlite+aiosqlite:///{tmp_path}/refusing.db")

    async def write_between_read_and_write() -> None:
        await count_side_by_side(database, 0)
        async with transaction(database) as session:
            await session.execute(READ)
            await count_up(database)
            with pytest.raises(sa.exc.OperationalError, match="database is locked"):
                await session.execute(WRITE, {"value": 9})
            await session.rollback()

    asyncio.run(write_between_read_and_write())


def test_a_session_that_only_reads_does_not_wait_for_the_transaction_around_it(tmp_path: Path) -> None:
    database = WaitingSqlite(f"sqlite+aiosqlite:///{tmp_path}/nested.db", timeout=1)

    async def both() -> tuple[int, int]:
        await count_side_by_side(database, 1)
        async with transaction(database) as session:
            await session.execute(WRITE, {"value": 5})
            within = await asyncio.wait_for(reading(database), timeout=300)
        return within, await reading(database)

    assert asyncio.run(both()) == (1, 5)


def test_a_transaction_that_fails_lets_the_next_one_in(tmp_path: Path) -> None:
    database = WaitingSqlite(f"sqlite+aiosqlite:///{tmp_path}/failed.db")

    async def fail_and_count() -> int:
        await count_side_by_side(database, 0)
        with pytest.raises(ZeroDivisionError):
            await write_and_fail(database)
        await count_up(database)
        return await reading(database)

    assert asyncio.run(fail_and_count()) == 1
