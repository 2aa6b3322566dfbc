"""The pause for the caption audit: a run of a deployment shows captions, gives its process back, and goes on when it is resumed."""

from prefect.context import FlowRunContext
from prefect.flow_runs import suspend_flow_run

from coemogen_core.captioning.audit.page import write_audit
from coemogen_core.captioning.audit.sample import draw_from_dataset
from coemogen_core.curation.decisions import read_record
from coemogen_core.storage.workspace import Workspace
from flows.artifacts import publish_markdown

PAUSE = "caption-audit"


def refuse_pause_without_deployment() -> None:
    """What is not run by a worker could not be resumed: say so before hours of captioning, not after.

    Raises:
        ValueError: this is no run of a deployment.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow_run.deployment_id is None:
        raise ValueError(
            "pause_for_audit needs a run of a deployment (prefect deployment run build-emoset/lab); here leave it off, "
            "and let `coemogen audit` write the page when the run is over"
        )


def suspend_for_audit(workspace_uri: str, dataset: str, version: str) -> None:
    """Show a page with a sample of the captions that this version keeps, and end the process until somebody resumes the run.

    A resumed run comes through here again and goes on: its verdicts, where there are any, are part of the version that it has decided anew.
    """
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    policy = context.flow_run.empirical_policy
    if policy is not None and PAUSE in (policy.pause_keys or set()):
        return
    workspace = Workspace(workspace_uri)
    decided = read_record(workspace, dataset, version)
    captions = draw_from_dataset(workspace, decided, per_emotion=50, seed=0, kept_only=True)
    page = write_audit(workspace, decided.source, captions)
    publish_markdown(f"audit-{dataset}", _invitation(dataset, page.uri, page.audit_id, workspace_uri, str(context.flow_run.id)))
    suspend_flow_run(key=PAUSE)


def _invitation(dataset: str, page: str, audit_id: str, workspace_uri: str, run_id: str) -> str:
    return (
        f"# The captions of {dataset} wait for a person\n\n"
        f"1. Open the page in a browser, judge, export: `{page}`\n"
        f"2. `coemogen import-audit verdicts-{audit_id}.json --workspace {workspace_uri}`\n"
        f"3. Resume the run: the button above, or `coemogen resume {run_id}`. Rejected captions are never current.\n"
    )
