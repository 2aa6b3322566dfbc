"""Commands that start and end the services of the deployments."""

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from flows.command_line.front import app, errors
from flows.environment import prepare_environment

Folder = Annotated[Path, Parameter(help="Takes Prefect's database, logs, and the list of what was started.")]


@app.command(name="serve")
def serve_command(
    *,
    workspace: Annotated[str, Parameter(help="Folder or URI of the tables.", env_var="COEMOGEN_WORKSPACE")] = "my-workspace",
    photos: Annotated[str, Parameter(help="Labelled photos in EmoSet's layout.", env_var="COEMOGEN_PHOTOS")] = "demo/world/photos",
    paintings: Annotated[str, Parameter(help="Paintings in WikiArt's.", env_var="COEMOGEN_PAINTINGS")] = "demo/world/paintings",
    port: Annotated[int, Parameter(help="Of the server, on 127.0.0.1.")] = 4200,
    folder: Folder = Path(".prefect"),
    gpu: Annotated[bool, Parameter(help="Start a worker for the pool gpu as well.", negative="")] = False,
    runs_at_once: Annotated[int, Parameter(help="Flow runs side by side in the pool lab.")] = 2,
    gpus: Annotated[int, Parameter(help="GPUs of this machine: so many tasks may use one at once.")] = 1,
) -> None:
    """Start Prefect's server and workers, deploy all flows; what runs already is left as it is."""
    prepare_environment(quiet=False)
    for name, value in (("COEMOGEN_WORKSPACE", workspace), ("COEMOGEN_PHOTOS", photos), ("COEMOGEN_PAINTINGS", paintings)):
        os.environ[name] = value if "://" in value else str(Path(value).resolve())  # prefect.yaml reads them
    from flows.operations.serve import ServiceError, serve
    from flows.operations.settings import ServiceSettings

    settings = ServiceSettings(folder=folder, port=port, places=("lab", "gpu") if gpu else ("lab",), gpus=gpus, runs_at_once=runs_at_once)
    try:
        serve(settings, print)
    except ServiceError as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
    print(f"\nopen {settings.ui_url}, or:\n  export PREFECT_API_URL={settings.api_url}")
    print("  prefect deployment run build-emoset/lab --watch\n  prefect deployment run build-emoart/lab --watch")
    for option, value in (("--photos", photos), ("--paintings", paintings)):
        if "://" not in value and not Path(value).exists():
            print(f"\n{value} does not exist: `make demo-short` draws the demo's pictures, `coemogen serve {option} FOLDER` takes yours")


@app.command(name="revive")
def revive_command(*, folder: Folder = Path(".prefect")) -> None:
    """Start again what `coemogen serve` started and has died since; for cron. Deployments, schedules and limits are left as they are."""
    prepare_environment(quiet=False)
    from flows.operations.serve import ServiceError, revive

    try:
        revived = revive(folder)
    except ServiceError as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
    if revived:
        print(f"started again: {', '.join(revived)}")


@app.command(name="automations")
def automations_command(*, gpu: Annotated[bool, Parameter(help="For the place gpu instead of lab.", negative="")] = False) -> None:
    """Set up the automations on the server at PREFECT_API_URL, where the deployments are; `serve` does it by itself."""
    prepare_environment()
    import asyncio

    from prefect.client.orchestration import get_client

    from flows.operations.automations import set_up

    async def on_server() -> list[str]:
        async with get_client() as client:
            return await set_up(client, ("gpu" if gpu else "lab",))

    print(f"automations: {', '.join(asyncio.run(on_server()))}")


@app.command(name="resume")
def resume_command(run: Annotated[str, Parameter(help="Id of the flow run, as its page shows it.")]) -> None:
    """Let a flow run go on that waits for the caption audit."""
    prepare_environment()
    from uuid import UUID

    from prefect.flow_runs import resume_flow_run

    resume_flow_run(UUID(run))
    print(f"flow run {run} goes on as soon as a worker takes it")


@app.command(name="stop")
def stop_command(*, folder: Folder = Path(".prefect")) -> None:
    """End what `coemogen serve` started, and nothing else. Trainings save their step first."""
    from flows.operations.processes import ProcessList

    ended = ProcessList(folder).stop_all()
    print(f"ended: {', '.join(ended)}" if ended else "nothing was running")
