"""The report of a run, from the tables of a workspace; and that of pictures that were evaluated alone, without either."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from coemogen_core.captioning.alignment_filter import LOW_ALIGNMENT
from coemogen_core.curation.decisions import read_decisions, read_record
from coemogen_core.curation.funnel import funnel
from coemogen_core.data.find_pictures import find_pictures
from coemogen_core.device import Slot
from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.alone import METHOD, AloneEvaluation
from coemogen_core.evaluation.recipe import EvaluationRecipe, load_extractors
from coemogen_core.evaluation.reference import ReferenceSelection, load_reference
from coemogen_core.evaluation.sample_pictures import evaluated_samples
from coemogen_core.experiments.files import read_experiments
from coemogen_core.methods.registry import LABELS
from coemogen_core.methods.sample_plan import SampleSet
from coemogen_core.recipe import Recipe
from coemogen_core.report.data import CorpusPart, Example, FunnelStep, Picture, ReportData
from coemogen_core.report.failures import failure_parts
from coemogen_core.report.map import map_part
from coemogen_core.report.nearest_pictures import TrainingSet, memorisation_part
from coemogen_core.report.pictures import inline_picture
from coemogen_core.report.render import render_report
from coemogen_core.report.training import trained_features, training_part
from coemogen_core.storage.workspace import Workspace
from schemas.metrics import Metrics

REPORT_VERSION = 3
"""Part of the id of every run with a report: raise it when a report or metrics.json says other things of the same numbers."""
SHOWN = 8
COUNTED = ("one", "two", "three", "four", "five", "six", "seven", "eight")
INTRODUCTION_ALONE = (
    "Pictures that were made to evoke emotions, measured by CoEmoGen's evaluation against real ones. What each number means and which "
    "networks were asked stands below the table of metrics."
)
SIZE_BUDGET = 160
"""Gallery pictures beyond this many become smaller, so that the file stays below about 6 MB."""


class ReportRecipe(Recipe):
    """What a report shows."""

    title: str = Field(default="", description="headline; empty = says how many emotions there are")
    columns: int = Field(default=8, ge=1, le=32, description="gallery pictures per emotion and method")
    examples: int = Field(default=8, ge=0, le=48, description="kept and dropped examples of each corpus, this many of both")
    failures: int = Field(default=8, ge=0, le=48, description="failures of each method, besides the worst of every emotion")
    seed: int = Field(default=0, ge=0, description="which examples, failures and points of the map are shown")
    labels: dict[str, str] = Field(default_factory=dict, description="what methods are called, where not as their matrix says")


class CorpusVersion(Recipe):
    """A version of the decisions of a dataset."""

    dataset: str = Field(min_length=1, description="name of the dataset, e.g. emoset or emoart")
    version: str = Field(min_length=1, description="version of its decisions")


def write_report(workspace: Workspace, data: ReportData) -> str:
    """Write `runs/<run_id>/report.html`; returns its URI."""
    return workspace.write_file(render_report(data).encode(), "runs", data.metrics.run_id, "report.html")


def build_report_data(
    workspace: Workspace,
    metrics: Metrics,
    sample_runs: Mapping[str, str],
    recipe: ReportRecipe,
    corpora: Sequence[CorpusVersion] = (),
    art: CorpusVersion | None = None,
    selection: ReferenceSelection | None = None,
    evaluation: EvaluationRecipe | None = None,
    *,
    slot: Slot = nullcontext,
) -> ReportData:
    """Collect everything that the report of a run shows.

    Args:
        workspace: holds samples, images and decisions.
        metrics: the numbers.
        sample_runs: by method, the run whose samples are shown.
        recipe: what is shown.
        corpora: what the run trains on.
        art: the curated art corpus.
        selection: the real images; without it there is no map.
        evaluation: how the numbers were made; without it neither failures, nor the map, nor the nearest training pictures are shown.
        slot: entered to ask the evaluation's networks.

    Raises:
        FileNotFoundError: decisions of a named corpus do not exist, or an extractor is missing.
        ValueError: the run's experiments.json is not one.
    """
    ordered = {method: sample_runs[method] for method in metrics.in_order() if method in sample_runs}
    experiments = read_experiments(workspace, metrics.run_id)
    known = {**LABELS, **({} if experiments is None else experiments.labels), **recipe.labels}
    labels = {method: known.get(method, method) for method in metrics.methods}
    return ReportData(
        title=recipe.title or _title(metrics),
        metrics=metrics,
        labels=labels,
        gallery=_gallery(workspace, metrics, ordered, labels, recipe.columns),
        **(
            {}
            if evaluation is None or not ordered
            else _single_samples(workspace, metrics, ordered, labels, recipe, evaluation, selection, slot)
        ),
        training=training_part(workspace, ordered),
        corpora=[_corpus(workspace, corpus, recipe) for corpus in corpora],
        art=None if art is None else _corpus(workspace, art, recipe),
        experiments=None if experiments is None else experiments.model_copy(update={"labels": known}),
    )


def _title(metrics: Metrics) -> str:
    count = len({emotion for method in metrics.methods.values() for emotion in method.per_emotion})
    return f"Images that evoke {COUNTED[count - 1]} emotion{'s' * (count > 1)}" if count else "Images that evoke emotions"


def alone_report_data(evaluation: AloneEvaluation, title: str) -> ReportData:
    """What a report shows of pictures that were evaluated alone: the numbers, the first pictures of every emotion, failures and the map."""
    metrics, labels = evaluation.metrics, {METHOD: "these images"}
    unreadable = {entry.path for entry in evaluation.left_out}
    gallery = {}
    for index, emotion in enumerate(EMOTIONS):
        items = evaluation.pictures.items[index]
        good = [number for number, item in enumerate(items) if item.path not in unreadable][:SHOWN]
        loaded = evaluation.pictures.load([(index, number) for number in good])
        shown = [inline_picture(data, f"{emotion}, {items[number].path}") for number, data in zip(good, loaded, strict=True)]
        if shown:
            gallery[emotion] = {METHOD: shown}
    return ReportData(
        title=title,
        introduction=INTRODUCTION_ALONE,
        metrics=metrics,
        labels=labels,
        gallery=gallery,
        failures=failure_parts({METHOD: evaluation.evaluated}, labels, SHOWN, metrics.seed),
        map=map_part(evaluation.real, {METHOD: evaluation.evaluated.features}, metrics.methods[METHOD].sem_d.extractor, metrics.seed),
    )


def _gallery(
    workspace: Workspace, metrics: Metrics, sample_runs: Mapping[str, str], labels: Mapping[str, str], columns: int
) -> dict[str, dict[str, list[Picture]]]:
    measured = [emotion for emotion in EMOTIONS if any(emotion in method.per_emotion for method in metrics.methods.values())]
    emotions = measured or EMOTIONS
    side = 256 if len(sample_runs) * columns * len(emotions) <= SIZE_BUDGET else 144
    rows = {
        emotion: {
            method: _first_samples(workspace, run_id, method, emotion, labels[method], columns, side)
            for method, run_id in sample_runs.items()
        }
        for emotion in emotions
    }
    return {emotion: pictures for emotion, pictures in rows.items() if any(pictures.values())}


def _first_samples(workspace: Workspace, run_id: str, method: str, emotion: str, label: str, columns: int, side: int) -> list[Picture]:
    first = SampleSet(workspace, run_id, method).head(emotion, columns, ["index", "seed", "image"])
    return [
        inline_picture(row["image"]["bytes"], f"{emotion}, by {label}, seed {row['seed']}", side) for row in first.iter_rows(named=True)
    ]


def _single_samples(
    workspace: Workspace,
    metrics: Metrics,
    sample_runs: Mapping[str, str],
    labels: Mapping[str, str],
    recipe: ReportRecipe,
    evaluation: EvaluationRecipe,
    selection: ReferenceSelection | None,
    slot: Slot,
) -> dict[str, Any]:
    """What the evaluation's features say of single samples: failures, the map, the nearest training pictures."""
    extractors = load_extractors(evaluation)
    sets = {
        method: evaluated_samples(workspace, run_id, method, evaluation, extractors, metrics.methods[method].per_emotion, slot=slot)
        for method, run_id in sample_runs.items()
    }
    found: dict[str, Any] = {"failures": failure_parts(sets, labels, recipe.failures, recipe.seed)}
    if selection is not None:
        real = load_reference(workspace, selection, evaluation, extractors)
        features = {method: samples.features for method, samples in sets.items()}
        found["map"] = map_part(real, features, extractors.clip.identity, recipe.seed)
    if trained := trained_features(workspace, sample_runs):
        found["memorisation"] = memorisation_part(
            TrainingSet(workspace, trained), sets, labels, extractors.clip, recipe.columns, recipe.seed, slot=slot
        )
    return found


def _corpus(workspace: Workspace, corpus: CorpusVersion, recipe: ReportRecipe) -> CorpusPart:
    decisions = read_decisions(workspace, corpus.dataset, corpus.version)
    record = read_record(workspace, corpus.dataset, corpus.version)
    wanted = record.recipe.selection.emotions
    counts = funnel(decisions)
    chosen = _choose_examples(decisions, recipe.examples, recipe.seed)
    return CorpusPart(
        name=corpus.dataset,
        candidates=counts["candidates"],
        kept=counts["kept"],
        steps=[FunnelStep(**step) for step in counts["steps"] if step["dropped"]],
        per_emotion={
            emotion: numbers["kept"] for emotion, numbers in counts["per_emotion"].items() if numbers["candidates"] and emotion in wanted
        },
        examples=list(_examples(workspace, record.source, chosen)),
    )


def _choose_examples(decisions: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    """Up to `count` kept and `count` dropped rows: a seeded draw that goes round the emotions and reasons.

    Among the dropped ones those with a caption come first: there the picture shows whether the filter was right.
    """
    order = np.random.default_rng(seed).permutation(decisions.height)
    shuffled = decisions[order].with_columns(position=pl.int_range(pl.len()))
    turn = pl.int_range(pl.len()).over("kept", "label", "reason").alias("turn")
    aligned = (pl.col("reason") == LOW_ALIGNMENT).cast(pl.Int8)
    ranked = shuffled.with_columns(turn, aligned.alias("aligned")).sort(
        ["turn", "aligned", "position"], descending=[False, True, False], maintain_order=True
    )
    kept, dropped = (ranked.filter(pl.col("kept") == wanted).head(count) for wanted in (True, False))
    return pl.concat([kept, dropped]).drop("position", "turn", "aligned")


def _examples(workspace: Workspace, source: str, chosen: pl.DataFrame) -> Iterator[Example]:
    pictures = find_pictures(workspace, source, chosen["image_id"].to_list(), ("image", "artist", "style"))
    for row in chosen.iter_rows(named=True):
        found = pictures.get(row["image_id"])
        if found is None:
            continue
        names = [str(found[key]).replace("_", " ").replace("-", " ") for key in ("artist", "style") if found[key]]
        alt = row["caption"] or f"picture without a caption, {row['reason']}"
        yield Example(
            picture=inline_picture(found["image"]["bytes"], alt),
            emotion=row["label"],
            caption=row["caption"],
            similarity=row["similarity"],
            confidence=row["confidence"],
            kept=row["kept"],
            reason=row["reason"],
            origin=", ".join(names) or None,
        )
