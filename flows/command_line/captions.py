"""Commands about captions: better ones, judging them, serving a captioner."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.command_line.front import app, errors
from flows.command_line.options import ProfileName, Settings, WorkspaceUri, nested
from flows.environment import prepare_environment


@app.command(name="recaption")
def recaption_command(
    *,
    workspace: WorkspaceUri,
    dataset: Annotated[str, Parameter(help="Dataset whose weak captions are asked for again.")] = "emoset",
    profile: ProfileName = "lab",
    settings: Settings = [],  # noqa: B006
) -> None:
    """Weak, failed or stale captions of a built dataset to better ones."""
    prepare_environment()
    from flows.params import RecaptionParams
    from flows.profiles import load_params, merge
    from flows.recaption import recaption

    overrides = merge({"workspace": workspace, "dataset": dataset}, nested(settings))
    outcome = recaption(load_params(profile, "recaption", RecaptionParams, overrides))  # type: ignore[arg-type]
    print(
        f"{outcome.chosen} chosen ({outcome.exhausted} left alone, {outcome.over_budget} beyond the budget), "
        f"{outcome.captioned} captioned, {outcome.became_current} became current in {outcome.version}"
    )


@app.command(name="audit")
def audit_command_line(
    *,
    workspace: WorkspaceUri,
    dataset: Annotated[str, Parameter(help="Dataset whose captions are judged.")] = "emoset",
    version: Annotated[str, Parameter(help="Version of its decisions; current = the last one that was built.")] = "current",
    per_emotion: Annotated[int, Parameter(help="Captions of each emotion.")] = 50,
    seed: Annotated[int, Parameter(help="Another seed draws others.")] = 0,
    kept_only: Annotated[bool, Parameter(help="Only captions of pictures that were kept.")] = True,
    destination: Annotated[str | None, Parameter(help="File or folder for a copy of the page.")] = None,
) -> None:
    """A page on which a person accepts or rejects a sample of captions."""
    prepare_environment()
    from flows.audit_command import audit

    audit(
        workspace=workspace,
        dataset=dataset,
        version=version,
        per_emotion=per_emotion,
        seed=seed,
        kept_only=kept_only,
        destination=destination,
    )


@app.command(name="import-audit")
def import_audit_command_line(
    file: Annotated[str, Parameter(help="What the page exported: verdicts-<audit id>.json.")],
    *,
    workspace: WorkspaceUri,
    source: Annotated[str | None, Parameter(help="Refuse verdicts on any other source.")] = None,
) -> None:
    """Record a person's verdicts; rejected captions are never current and are asked for again by recaption."""
    prepare_environment()
    from flows.audit_command import import_audit

    import_audit(file, workspace=workspace, source=source)


@app.command(name="captioner")
def captioner_command(
    *,
    model: Annotated[str, Parameter(help="Folder of a saved model, a hub id, or lab:captioner.")],
    port: Annotated[int, Parameter(help="On 127.0.0.1; 0 takes a free one.")] = 8000,
    log_file: Annotated[Path | None, Parameter(help="Takes what vLLM writes; by default a file in the user's cache.")] = None,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Serve a captioner with vLLM (after `make captioner`) until Ctrl-C."""
    prepare_environment()
    from coemogen_core.captioning.server.own_server_settings import OwnServerSettings
    from flows.captioner_command import run_captioner
    from flows.profiles import merge

    values = merge({"model": model, "port": port}, nested(settings))
    run_captioner(OwnServerSettings.model_validate(values), log_file, errors)
