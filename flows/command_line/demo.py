"""The demo."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.command_line.front import app
from flows.environment import prepare_environment


@app.command
def demo(
    *,
    folder: Annotated[Path, Parameter(help="Takes the drawn corpora, the workspace and the report.")] = Path("demo"),
    short: Annotated[bool, Parameter(help="A fraction of everything, to see that it runs.", negative="")] = False,
) -> None:
    """Run the whole chain on the lab's world and print where the report is."""
    folder.mkdir(parents=True, exist_ok=True)
    prepare_environment(prefect_home=folder / "prefect")
    from flows.demo import run_demo

    run_demo(folder, short=short)
