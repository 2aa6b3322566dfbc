"""Very many task runs, a bounded number of them at a time: what is done is handed on and let go before the next ones are submitted.

Prefect's server is told of task runs by events, of which it keeps 10,000 until they are written down, and drops the others: a task run
would look as if it were still running. So every now and then a stage waits until the server has caught up.
"""

import time
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any
from uuid import UUID

import httpx
from prefect import Task
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException
from prefect.futures import PrefectFuture

AHEAD = 4  # task runs per worker that are submitted and not done: the next one stands ready when a worker becomes free
CATCH_UP_EVERY = 1000  # task runs, of three events each or more
CATCH_UP_S = 60.0  # a server that takes longer loses its events some other way, and is not waited for again
LOOK_AGAIN_S = 0.2


def run_in_waves(
    runner: Any,
    task: Task[..., Any],
    calls: Iterable[dict[str, Any]],
    workers: Callable[[], int],
    done: Callable[[Any], None],
    advance: Callable[[], None],
) -> None:
    """Run a task for every call and wait for all; at most `AHEAD` times the workers' number are submitted and not done.

    Args:
        runner: a task runner that has been started.
        calls: the task's parameters, made when their turn comes.
        workers: how many task runs go on side by side; asked again with every wave, for a cluster grows and shrinks.
        done: takes each result as it comes.
        advance: is called after each task run, failed or not.

    Raises:
        Exception: a task run failed: the first of those that did, in the order of the calls, after all have had their turn.
    """
    finished: SimpleQueue[PrefectFuture[Any]] = SimpleQueue()
    taken, waits = 0, True
    running: dict[PrefectFuture[Any], int] = {}
    failed: tuple[int, Exception] | None = None  # one is kept: each holds the frames that it came through

    def take_one(forget: Callable[[PrefectFuture[Any]], None]) -> None:
        nonlocal failed, taken, waits
        future = finished.get()
        number = running.pop(future)
        future.wait()
        try:
            done(future.result())
        except Exception as error:
            if failed is None or number < failed[0]:
                failed = number, error
        forget(future)
        advance()
        taken += 1
        if waits and taken % CATCH_UP_EVERY == 0:
            waits = _caught_up(future.task_run_id)

    with _own_books(runner) as forget:
        room = left = 0
        for number, call in enumerate(calls):
            if not left:
                room = left = AHEAD * workers()
            left -= 1
            while len(running) >= room:
                take_one(forget)
            future = runner.submit(task, parameters=call)
            running[future] = number
            future.add_done_callback(finished.put)
        while running:
            take_one(forget)
    if failed is not None:
        raise failed[1]


def _caught_up(task_run_id: UUID) -> bool:
    """Wait until the server has written down how a task run ended; False when that takes too long."""
    end = time.monotonic() + CATCH_UP_S
    with get_client(sync_client=True) as client:
        while not _is_recorded(client, task_run_id):
            if time.monotonic() > end:
                return False
            time.sleep(LOOK_AGAIN_S)
    return True


def _is_recorded(client: Any, task_run_id: UUID) -> bool:
    try:
        state = client.read_task_run(task_run_id).state
    except (PrefectException, httpx.HTTPError):  # not known yet, or the server is away
        return False
    return state is not None and bool(state.is_final())


def flow_runner() -> Any:
    """What runs the task runs of the present flow."""
    return _flow_run().task_runner


def _flow_run() -> FlowRunContext:
    flow_run = FlowRunContext.get()
    if flow_run is None:
        raise RuntimeError("parts run as tasks of a Prefect flow: call this from inside of one")
    return flow_run


@contextmanager
def _own_books(runner: Any) -> Iterator[Callable[[PrefectFuture[Any]], None]]:
    """Prefect's context of the flow run, with books of its own; yields what strikes a finished task run out of them.

    Prefect 3.8.8 keeps of every task run, until its flow ends: a state for each object in the result, by its `id`, to draw later on which
    task an argument came from; its assets; and, in a pool of threads, an event to cancel it by. No task is given what a part's task made.
    """
    flow_run = _flow_run()
    results, assets = ChainMap({}, flow_run.run_results), ChainMap({}, flow_run.task_run_assets)
    to_cancel: dict[Any, Any] = getattr(runner, "_cancel_events", {})

    def forget(future: PrefectFuture[Any]) -> None:
        results.maps[0].clear()
        assets.maps[0].clear()
        to_cancel.pop(future.task_run_id, None)

    with flow_run.model_copy(update={"run_results": results, "task_run_assets": assets}):
        yield forget
