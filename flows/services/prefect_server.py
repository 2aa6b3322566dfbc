"""`prefect server start` on an SQLite that many write to: `python -m flows.services.prefect_server --host ... --port ...`.

Most transactions of prefect 3.8.8 read first and write then. When anybody else writes in between, SQLite refuses the write at once
("database is locked") instead of waiting. A request is answered 503 then; an event of a trigger is dropped after four tries within a tenth
of a second, and its automation never fires. Both happened at the end of runs, when most events come. The remedy is the one that Prefect's
own comments name (in its `database/configurations.py`), applied to every transaction: take the lock when it begins, and wait for it.
PostgreSQL needs none of this and is left alone.
"""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from prefect.server.database import dependencies
from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration
from prefect.server.utilities.database import get_dialect
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction


class WaitingSqlite(AioSqliteConfiguration):
    """Prefect's SQLite, where a transaction waits for its turn before its first read, so that its writes are never refused."""

    @asynccontextmanager
    async def begin_transaction(
        self,
        session: AsyncSession,
        with_for_update: bool = True,  # noqa: ARG002  Prefect's signature; here always so
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        """Begin with the lock in hand; it lasts as long as the block."""
        async with super().begin_transaction(session, with_for_update=True) as transaction:
            await session.connection()  # sends BEGIN IMMEDIATE now
            token = SQLITE_BEGIN_MODE.set("DEFERRED")  # or a second session that only reads in here would wait for this one, and for ever
            try:
                yield transaction
            finally:
                SQLITE_BEGIN_MODE.reset(token)


def main(arguments: list[str]) -> None:
    """Start the server; ends with it."""
    database = PREFECT_API_DATABASE_CONNECTION_URL.value()
    if get_dialect(database).name == "sqlite":
        dependencies.set_database_config(WaitingSqlite(connection_url=database))
    from prefect.cli import app

    sys.argv = ["prefect", "server", "start", *arguments]
    app()


if __name__ == "__main__":
    main(sys.argv[1:])
