"""`prefect server start` with automations that fire on a busy SQLite: `python -m flows.operations.prefect_server --host ... --port ...`.

Prefect 3.8.8 evaluates triggers in transactions that read first and write then. When anybody else writes in between, SQLite refuses the
write at once ("database is locked"); after four tries within a tenth of a second the event is dropped, and an automation never learns of
it. That happened at the end of runs, when most events come. The remedy is the one that Prefect's own comments name (in its
`database/configurations.py`): take the lock when the transaction begins, and wait for it. On PostgreSQL nothing changes.
"""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from prefect.server.database import provide_database_interface
from prefect.server.events import triggers


@asynccontextmanager
async def locking_session(begin_transaction: bool = False) -> AsyncGenerator[Any, None]:
    """As Prefect's `automations_session`, but a transaction is one that writes from its beginning."""
    database = provide_database_interface()
    async with database.session_context(begin_transaction=begin_transaction, with_for_update=begin_transaction) as session:
        yield session


def main(arguments: list[str]) -> None:
    """Start the server; ends with it.

    Raises:
        AttributeError: this Prefect evaluates triggers in another way: see whether it still needs this module.
    """
    assert triggers.automations_session
    triggers.automations_session = locking_session
    from prefect.cli import app

    sys.argv = ["prefect", "server", "start", *arguments]
    app()


if __name__ == "__main__":
    main(sys.argv[1:])
