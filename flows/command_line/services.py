"""Commands that start and end what runs beside the flows: the services of the deployments, a captioner."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import UUID

from cyclopts import Parameter

from flows.command_line.front import app, errors
from flows.command_line.options import Settings, Whole, nested
from flows.deployments import FLOWS

Folder = Annotated[Path, Parameter(help="Folder of Prefect's database, the logs, and the list of what was started.")]
say = partial(print, flush=True)  # whoever waits reads it while they wait


@app.command
def serve(
    *,
    workspace: Annotated[str, Parameter(help="Folder or URI of the tables.", env_var="COEMOGEN_WORKSPACE")] = "my-workspace",
    photos: Annotated[str, Parameter(help="Labelled photos in EmoSet's layout.", env_var="COEMOGEN_PHOTOS")] = "demo/world/photos",
    paintings: Annotated[str, Parameter(help="Paintings in WikiArt's.", env_var="COEMOGEN_PAINTINGS")] = "demo/world/paintings",
    port: Annotated[Whole, Parameter(help="Of the server, on 127.0.0.1.")] = 4200,
    folder: Folder = Path(".prefect"),
    gpu: Annotated[bool, Parameter(help="Start a worker for the pool gpu as well.", negative="")] = False,
    runs_at_once: Annotated[Whole, Parameter(help="Flow runs side by side in the pool lab.")] = 2,
    gpus: Annotated[Whole, Parameter(help="GPUs of this machine: so many tasks may use one at once.")] = 1,
) -> None:
    """Start Prefect's server and workers, deploy all flows; what runs already is left as it is."""
    for name, value in (("COEMOGEN_WORKSPACE", workspace), ("COEMOGEN_PHOTOS", photos), ("COEMOGEN_PAINTINGS", paintings)):
        os.environ[name] = value if "://" in value else str(Path(value).resolve())  # prefect.yaml reads them
    from flows.services import serve as services
    from flows.services.settings import ServiceSettings

    settings = ServiceSettings(folder=folder, port=port, pools=("lab", "gpu") if gpu else ("lab",), gpus=gpus, runs_at_once=runs_at_once)
    services.serve(settings, say)
    print(f"\nopen {settings.ui_url}, or:\n  export PREFECT_API_URL={settings.api_url}")
    for corpus in (flow.name for flow in FLOWS if flow.tag == "corpus"):
        print(f"  prefect deployment run {corpus}/lab --watch")
    for option, value in (("--photos", photos), ("--paintings", paintings)):
        if "://" not in value and not Path(value).exists():
            print(f"\n{value} does not exist: `make demo-short` draws the demo's pictures, `coemogen serve {option} FOLDER` takes yours")


@app.command
def revive(*, folder: Folder = Path(".prefect")) -> None:
    """Start again what `coemogen serve` started and has died since; for cron. Deployments, schedules and limits are left as they are."""
    from flows.services import serve as services

    _require_served(folder)
    if revived := services.revive(folder, say):
        print(f"started again: {', '.join(revived)}")


def _require_served(folder: Path) -> None:
    """Raises FileNotFoundError when nothing can ever have been served from a folder."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder.resolve()} does not exist: nothing was served from it; give the --folder of `coemogen serve`")


@app.command
def automations(*, gpu: Annotated[bool, Parameter(help="For the pool gpu instead of lab.", negative="")] = False) -> None:
    """Set up the automations on the server at PREFECT_API_URL, where the deployments are; `serve` does it by itself."""
    import asyncio

    from prefect.client.orchestration import get_client

    from flows.services.resources import set_up_automations

    async def on_server() -> list[str]:
        async with get_client() as client:
            return await set_up_automations(client, ("gpu" if gpu else "lab",))

    print(f"automations: {', '.join(asyncio.run(on_server()))}")


@app.command
def resume(run: Annotated[UUID, Parameter(help="Id of the flow run, as its page shows it.")]) -> None:
    """Let a flow run go on that waits for the caption audit."""
    from prefect.exceptions import FlowPauseTimeout, NotPausedError, ObjectNotFound
    from prefect.flow_runs import resume_flow_run

    try:
        resume_flow_run(run)
    except ObjectNotFound:
        raise ValueError(f"no flow run {run} on this server: PREFECT_API_URL says which server is asked") from None
    except (NotPausedError, FlowPauseTimeout) as error:
        raise ValueError(f"flow run {run} does not wait for anybody: {error}") from error
    print(f"flow run {run} goes on as soon as a worker takes it")


@app.command
def stop(*, folder: Folder = Path(".prefect")) -> None:
    """End what `coemogen serve` started, and nothing else. Trainings save their step first."""
    from flows.services.processes import ProcessList

    _require_served(folder)
    with ProcessList(folder).changing("stop", say) as processes:
        ended = processes.stop_all()
    print(f"ended: {', '.join(ended)}" if ended else "nothing was running")


@app.command
def captioner(
    *,
    model: Annotated[str, Parameter(help="Folder of a saved model, a hub id, or lab:captioner.")],
    port: Annotated[Whole, Parameter(help="On 127.0.0.1; 0 takes a free one.")] = 8000,
    log_file: Annotated[Path | None, Parameter(help="File of vLLM's log; by default in the user's cache.")] = None,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Serve a captioner with vLLM (after `make captioner`) until Ctrl-C."""
    import logging
    import signal

    from rich.logging import RichHandler

    from coemogen_core.captioning.server.own_server import logger, serve
    from coemogen_core.captioning.server.own_server_settings import OwnServerSettings
    from coemogen_core.captioning.server.vllm_checkpoint import cache_folder
    from coemogen_core.recipe import merge

    wanted = OwnServerSettings.model_validate(merge({"model": model, "port": port}, nested(settings)))
    logger.addHandler(RichHandler(console=errors, show_level=False, show_path=False, log_time_format="[%X]"))
    logger.setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with serve(wanted, log_file or cache_folder() / "logs" / f"port-{wanted.port}.log") as server:
            print(f"{server.endpoint} serves {server.model}", flush=True)
            server.wait()
    except KeyboardInterrupt:
        errors.print("the captioner is stopped")
