"""Commands that run the corpus flows: build the training corpus, build EmoArt, ask again for weak captions."""

from typing import Annotated

from cyclopts import Parameter

from flows.command_line.front import app, say_if_nothing_was_done
from flows.command_line.options import Licence, ProfileName, Root, Settings, WorkspaceUri, flow_params, given_only
from schemas.choices import Layout

LayoutName = Annotated[Layout, Parameter(help="How the pictures' folders are arranged.")]
Name = Annotated[str, Parameter(help="What the set is called in the workspace.")]


@app.command
def build_emoset(
    root: Root,
    *,
    workspace: WorkspaceUri,
    profile: ProfileName = "lab",
    layout: LayoutName = "emoset",
    name: Name = "emoset",
    licence: Licence = None,
    settings: Settings = [],  # noqa: B006  cyclopts reads the default, nobody changes it
) -> None:
    """Labelled photos to a captioned, filtered training corpus."""
    from flows import build_emoset as flow
    from flows.params import BuildEmosetParams

    given = {"workspace": workspace, "source": {"name": name, "layout": layout, "root": root, "licence": licence}}
    say_if_nothing_was_done(flow.build_emoset(flow_params(profile, BuildEmosetParams, given, settings)))


@app.command
def build_emoart(
    root: Root,
    *,
    workspace: WorkspaceUri,
    labelled: Annotated[str, Parameter(help="Name of the labelled set in the workspace.")] = "emoset",
    labelled_root: Annotated[str | None, Parameter(help="Folder or URI of the labelled set, if it is not ingested yet.")] = None,
    labelled_layout: Annotated[Layout, Parameter(help="How the labelled set's folders are arranged.")] = "emoset",
    valence_ratings: Annotated[str | None, Parameter(help="OASIS's valence ratings of the labelled set, a CSV.")] = None,
    art_ratings: Annotated[str | None, Parameter(help="WikiArt-Emotions' ratings of the paintings, a TSV.")] = None,
    profile: ProfileName = "lab",
    layout: LayoutName = "wikiart",
    name: Name = "wikiart",
    licence: Licence = None,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Unlabelled paintings to a scored, captioned, filtered and published EmoArt."""
    from flows import build_emoart as flow
    from flows.params import BuildEmoartParams

    source = {"name": name, "layout": layout, "root": root, "licence": licence}
    given = {"workspace": workspace, "source": source, "labelled_source": labelled}
    if labelled_root is not None:
        given["labelled_set"] = {"name": labelled, "layout": labelled_layout, "root": labelled_root}
    given |= given_only(valence_ratings=valence_ratings, art_ratings=art_ratings)
    say_if_nothing_was_done(flow.build_emoart(flow_params(profile, BuildEmoartParams, given, settings)))


@app.command
def recaption(
    *,
    workspace: WorkspaceUri,
    dataset: Annotated[str, Parameter(help="Dataset whose weak captions are asked for again.")] = "emoset",
    profile: ProfileName = "lab",
    settings: Settings = [],  # noqa: B006
) -> None:
    """Weak, failed or stale captions of a built dataset to better ones."""
    from flows import recaption as flow
    from flows.params import RecaptionParams

    outcome = flow.recaption(flow_params(profile, RecaptionParams, {"workspace": workspace, "dataset": dataset}, settings))
    print(
        f"{outcome.chosen} chosen ({outcome.exhausted} left alone, {outcome.over_budget} beyond the budget), "
        f"{outcome.captioned} captioned, {outcome.became_current} became current in {outcome.version}"
    )
