"""What all tasks have in common: who remembers what was done, and when a task is tried again.

The workspace remembers. A part's path holds the recipe id and the part's name, which hash all that its rows depend on; its existence means
done. That is the key of the cache, and Prefect's own is off (`NO_CACHE`): a second memory would say "done" of parts that somebody has
removed. A part that stood there already is shown as `Cached` all the same (`shown`).
"""

from typing import Any, TypeVar

from prefect.cache_policies import NO_CACHE
from prefect.transactions import TransactionState, get_transaction

from coemogen_core.storage.passing_failure import may_pass
from schemas.outcomes import PartOutcome

Outcome = TypeVar("Outcome", bound=PartOutcome)

REMEMBERED: dict[str, Any] = {"cache_policy": NO_CACHE}
"""Options of a task whose answer stands in the workspace, or costs nothing."""


def failed_of(state: Any) -> BaseException | None:
    """Why a task run failed; None where it did not."""
    try:
        state.result()
    except Exception as error:
        return error
    return None


def storage_may_come_back(task: Any, task_run: Any, state: Any) -> bool:  # noqa: ARG001  Prefect's signature
    """Whether a task run failed of what time mends: see `may_pass`."""
    error = failed_of(state)
    return error is not None and may_pass(error)


STORED: dict[str, Any] = REMEMBERED | {
    "retries": 3,
    "retry_delay_seconds": [5, 30, 180],
    "retry_jitter_factor": 0.3,  # parts that failed together do not come back together
    "retry_condition_fn": storage_may_come_back,
}
"""Options of a task that reads and writes a workspace, which may be remote."""


def shown(outcome: Outcome) -> Outcome:
    """The outcome of a part, as it is; where it stood in the workspace already, Prefect's transaction of this task run is told so.

    A part's write is the commit of its task: it appears whole or not at all. Prefect shows a run whose transaction was committed
    before as `Cached`.
    """
    transaction = get_transaction()
    if outcome.reused and transaction is not None:
        transaction.state = TransactionState.COMMITTED
    return outcome
