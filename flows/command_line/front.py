"""The command that all others hang on, and the one line that it ends with when something is wrong."""

import os
import signal
import sys
import tempfile
import traceback
from typing import Any

from cyclopts import App, CycloptsError
from rich.console import Console
from rich.markup import escape

from coemogen_core.captioning.server.proxies import require_usable_proxies
from coemogen_core.errors import CoEmoGenError
from flows.command_line.signals import end_at_once_after_a_signal, end_soon_after_a_signal
from flows.environment import STARTUP_TIMEOUT, prepare_environment

app = App(
    name="coemogen",
    help="Emotional image generators, end to end: corpora, EmoArt, HiLoRA, generation, evaluation.",
    help_format="plaintext",  # every other one eats <placeholders>
)
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
TRACEBACK = "COEMOGEN_TRACEBACK"  # 1: tracebacks are printed
LOUD = ("serve", "revive")  # services inherit the environment, and their logs are what an operator reads
LONGEST_VALUE = 100  # characters of a refused value that are repeated


def run() -> None:
    """Entry point. The exit code is 2 when something is wrong that a person can mend, 1 when the fault is ours, 130 when interrupted."""
    try:
        end_soon_after_a_signal()
        command, bound, _ = app.parse_args(exit_on_error=False, print_error=False)
        require_usable_proxies()
        prepare_environment(quiet=command.__name__ not in LOUD)
        command(*bound.args, **bound.kwargs)
    except KeyboardInterrupt:
        errors.print("interrupted; the same command goes on where it stopped")
        sys.exit(130)
    except SystemExit:
        raise
    except BaseException as error:
        if type(error).__name__ == "TerminationSignal":  # Prefect's answer to SIGTERM
            errors.print("ended by SIGTERM; the same command goes on where it stopped")
            sys.exit(128 + signal.SIGTERM)
        sys.exit(report(error))
    finally:
        end_at_once_after_a_signal()


def report(error: BaseException) -> int:
    """Say in a line what is wrong; returns the exit code. Below the line come further ones where an error of ours has them."""
    if os.environ.get(TRACEBACK) == "1":
        traceback.print_exception(error)
    line, *further = str(error).strip().splitlines() or [""]
    if isinstance(error, CoEmoGenError):
        print_error(line)
        for each in further:
            errors.print(escape(each), soft_wrap=True)
        return 2
    text = reason(error)
    if text is not None:
        print_error(text)
        return 2
    print_error(f"{type(error).__name__}: {line} (a fault of coemogen, not of your input; {_where_written(error)})")
    return 1


def reason(error: BaseException) -> str | None:
    """What a person can mend, in a line; None when it is nothing that a person could."""
    from pydantic import ValidationError

    if "ephemeral Prefect API server" in str(error):
        waited = os.environ.get(STARTUP_TIMEOUT, "20")
        return (
            f"Prefect's temporary server did not start within {waited} s: run the command again when the machine is less busy, "
            f"set {STARTUP_TIMEOUT} to more, or start `coemogen serve` and set PREFECT_API_URL as it says"
        )
    if _prefect_is_another(error):
        said = " ".join(str(error).split())[:LONGEST_VALUE]
        return f"what answers at {_prefect_address()} is no Prefect server of this version ({said}): correct or unset PREFECT_API_URL"
    if isinstance(error, ValidationError):
        return "; ".join(_problem(each) for each in error.errors())
    if isinstance(error, OSError) and error.errno and error.filename and type(error).__str__ is OSError.__str__:  # the system's words alone
        return f"{error.filename}: {error.strerror}: give another path, or see to this one"
    if isinstance(error, (CycloptsError, ValueError, OSError, ModuleNotFoundError)):
        return " ".join(str(error).split())
    if _prefect_is_away(error):
        return (
            f"no Prefect server answers at {_prefect_address()}: start it (`coemogen serve`), or unset PREFECT_API_URL to run without one"
        )
    if type(error).__name__ == "OutOfMemoryError":
        return f"{str(error).partition('. ')[0]}: a smaller batch_size needs less (docs/operations.md)"
    return None


def print_error(text: str) -> None:
    """The line that a command ends with."""
    errors.print(f"[red]error:[/red] {escape(text)}", soft_wrap=True)


def say_if_nothing_was_done(outcome: object) -> None:
    """Say when a flow found everything in the workspace already."""
    if all(stage.recomputed_nothing for stage in getattr(outcome, "stages", ())):
        errors.print("Nothing was recomputed: all results exist in the workspace already.")


def _problem(problem: Any) -> str:
    if not problem["loc"]:  # a validator of ours speaks of several parameters together: its sentence names them
        return problem["msg"].removeprefix("Value error, ")
    given = repr(problem["input"])
    short = given if len(given) <= LONGEST_VALUE else f"{given[:LONGEST_VALUE]}..."
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']} (given: {short})"


def _prefect_is_away(error: BaseException | None) -> bool:
    """Whether a request to Prefect's API went unanswered; other programs of ours ask other servers, by httpx too."""
    httpx, settings = sys.modules.get("httpx"), sys.modules.get("prefect.settings")
    while error is not None and httpx is not None and settings is not None:
        if _is_unreached(error):
            return True
        if isinstance(error, httpx.TransportError):
            return str(error.request.url).startswith(str(settings.PREFECT_API_URL.value()))
        error = error.__cause__ or error.__context__
    return False


def _prefect_is_another(error: BaseException) -> bool:
    """Whether Prefect's client could make nothing of an answer: something else listens there."""
    if _is_unreached(error) or not isinstance(error, (ValueError, RuntimeError)):
        return False
    frames = traceback.walk_tb(error.__traceback__)
    return any("/prefect/client/orchestration/" in frame.f_code.co_filename for frame, _ in frames)


def _is_unreached(error: BaseException) -> bool:
    """Prefect's own words, in an error of no kind of its own."""
    return isinstance(error, RuntimeError) and str(error).startswith("Failed to reach API")


def _prefect_address() -> str:
    return os.environ.get("PREFECT_API_URL", "the address in Prefect's settings")


def _where_written(error: BaseException) -> str:
    try:
        with tempfile.NamedTemporaryFile("w", prefix="coemogen-", suffix=".txt", delete=False) as file:
            traceback.print_exception(error, file=file)
        return f"traceback in {file.name}"
    except OSError:
        return f"{TRACEBACK}=1 shows the traceback"
