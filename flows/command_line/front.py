"""The command that all others hang on, and how it says what went wrong."""

import sys
from typing import Any

from cyclopts import App
from rich.console import Console
from rich.markup import escape

app = App(name="coemogen", help="Emotional image generators, end to end: corpora, EmoArt, HiLoRA, generation, evaluation.")
errors = Console(stderr=True, highlight=False)


def run() -> None:
    """Entry point: what is wrong with the input is said in a line, without a traceback."""
    from pydantic import ValidationError

    try:
        app()
    except ValidationError as error:
        for problem in error.errors():
            field = ".".join(map(str, problem["loc"]))
            text = f"{field}: {problem['msg']} (given: {problem['input']!r})"
            errors.print(f"[red]error:[/red] {escape(text)}", soft_wrap=True)
        sys.exit(2)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        errors.print("interrupted; the same command goes on where it stopped")
        sys.exit(130)


def say(outcome: Any) -> None:
    """Say when a flow had nothing to do."""
    if all(stage.recomputed_nothing for stage in outcome.stages):
        errors.print("Nothing was recomputed: everything stood in the workspace already.")
