"""Commands that build the corpora."""

from typing import Annotated, Any

from cyclopts import Parameter

from flows.command_line.front import app, say
from flows.command_line.options import ProfileName, Root, Settings, WorkspaceUri, nested
from flows.environment import prepare_environment


@app.command(name="build-emoset")
def build_emoset_command(
    root: Root,
    *,
    workspace: WorkspaceUri,
    profile: ProfileName = "lab",
    layout: str = "emoset",
    name: str = "emoset",
    licence: str | None = None,
    settings: Settings = [],  # noqa: B006  cyclopts reads the default, nobody changes it
) -> None:
    """Labelled photos to a captioned, filtered training corpus."""
    prepare_environment()
    from flows.build_emoset import build_emoset
    from flows.params import BuildEmosetParams
    from flows.profiles import load_params, merge

    source = {"name": name, "layout": layout, "root": root, "licence": licence}
    overrides = merge({"workspace": workspace, "source": source}, nested(settings))
    say(build_emoset(load_params(profile, "build-emoset", BuildEmosetParams, overrides)))  # type: ignore[arg-type]


@app.command(name="build-emoart")
def build_emoart_command(
    root: Root,
    *,
    workspace: WorkspaceUri,
    labelled: Annotated[str, Parameter(help="Name of the labelled set in the workspace.")] = "emoset",
    labelled_root: Annotated[str | None, Parameter(help="Folder or URI of the labelled set, if it is not ingested yet.")] = None,
    labelled_layout: Annotated[str, Parameter(help="How the labelled set's folders are arranged.")] = "emoset",
    valence_ratings: Annotated[str | None, Parameter(help="OASIS's valence ratings of the labelled set, a CSV.")] = None,
    art_ratings: Annotated[str | None, Parameter(help="WikiArt-Emotions' ratings of the paintings, a TSV.")] = None,
    profile: ProfileName = "lab",
    layout: str = "wikiart",
    name: str = "wikiart",
    licence: str | None = None,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Unlabelled paintings to a scored, captioned, filtered and published EmoArt."""
    prepare_environment()
    from flows.build_emoart import build_emoart
    from flows.params import BuildEmoartParams
    from flows.profiles import load_params, merge

    source = {"name": name, "layout": layout, "root": root, "licence": licence}
    given: dict[str, Any] = {"workspace": workspace, "source": source, "labelled_source": labelled}
    if labelled_root is not None:
        given["labelled_set"] = {"name": labelled, "layout": labelled_layout, "root": labelled_root}
    given |= {key: file for key, file in (("valence_ratings", valence_ratings), ("art_ratings", art_ratings)) if file is not None}
    overrides = merge(given, nested(settings))
    say(build_emoart(load_params(profile, "build-emoart", BuildEmoartParams, overrides)))  # type: ignore[arg-type]
