"""What holds for runs of deployments alone: where their workspace may be, and the pause for the caption audit.

In that pause a run shows captions, gives its process back, and goes on when somebody resumes it.
"""

from pathlib import Path

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.flow_runs import suspend_flow_run
from prefect.runtime import deployment

from coemogen_core.captioning.audit.page import write_audit
from coemogen_core.captioning.audit.sample import draw_from_dataset
from coemogen_core.curation.decisions import read_record
from coemogen_core.storage.workspace import Workspace
from flows.artifacts import publish_markdown

PAUSE = "caption-audit"


def refuse_relative_workspace(uri: str) -> None:
    """A worker runs deployments in a temporary folder, which would take the tables with it.

    Raises:
        ValueError: this is a run of a deployment, and the path is relative.
    """
    if deployment.id is not None and "://" not in uri and not Path(uri).is_absolute():
        raise ValueError(f"workspace {uri!r} is relative, and a deployment runs in a temporary folder: give an absolute path or a URI")


def pausable_run() -> FlowRun:
    """The flow run, of a deployment: what is not run by a worker could not be resumed. To be said before hours of captioning, not after.

    Raises:
        ValueError: this is no run of a deployment.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow_run.deployment_id is None:
        raise ValueError(
            "pause_for_audit needs a run of a deployment (prefect deployment run build-emoset/lab); here leave it off, "
            "and let `coemogen audit` write the page when the run is over"
        )
    return context.flow_run


def suspend_for_audit(workspace: Workspace, dataset: str, version: str) -> None:
    """Show a page with a sample of the captions that this version keeps, and end the process until somebody resumes the run.

    A resumed run comes through here again and goes on: its verdicts, where there are any, are part of the version that it has decided anew.
    """
    run = pausable_run()
    if run.empirical_policy is not None and PAUSE in (run.empirical_policy.pause_keys or set()):
        return
    decided = read_record(workspace, dataset, version)
    captions = draw_from_dataset(workspace, decided, per_emotion=50, seed=0, kept_only=True)
    page = write_audit(workspace, decided.source, captions)
    publish_markdown(
        f"audit-{dataset}",
        f"# The captions of {dataset} wait for a person\n\n"
        f"1. Open the page in a browser, judge, export: `{page.uri}`\n"
        f"2. `coemogen import-audit verdicts-{page.audit_id}.json --workspace {workspace.uri}`\n"
        f"3. Resume the run: the button above, or `coemogen resume {run.id}`. Rejected captions are never current.\n",
    )
    suspend_flow_run(key=PAUSE)
