"""EmoArt in the lab: precision and recall of the emotion classifier at confidence thresholds 0.5 to 0.95, from stored scores.

    .venv/bin/python benchmarks/emoart_thresholds.py --workspace demo/workspace --truth demo/world/paintings --json thresholds.json

Reads what a finished `make demo` has left and runs no model. Precision: share of the selected paintings with their true emotion. Recall:
share of the paintings with one of the six emotions that are selected with it. The last line is what was kept, after the alignment filter
has dropped its fraction of the selected.
"""

import argparse
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from coemogen_core.curation.decisions import read_decisions, read_record, resolve_version
from coemogen_core.curation.selection import judge_scores
from coemogen_core.emotions import EMOART_EMOTIONS, Emotion
from coemogen_core.evaluation.emoart import emoart_metrics, truth_of_images
from coemogen_core.lab.corpora import read_truth
from coemogen_core.storage.workspace import Workspace
from schemas.metrics import EmoArtMetrics

FLOOR = {"threshold": 0.75, "precision": 0.9, "recall": 0.7}
THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


class ThresholdRow(BaseModel):
    """What a confidence threshold selects, before captions and alignment drop more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(description="the confidence must be greater")
    selected: int = Field(ge=0, description="pictures with a collected emotion above the threshold, whose truth is known")
    precision: float | None = Field(description="share of them with their true emotion; null without any")
    recall: float | None = Field(description="share of the pictures whose true emotion is collected that are selected with it")


def measure(workspace: Workspace, dataset: str, truth: Path) -> tuple[list[ThresholdRow], EmoArtMetrics]:
    """The table of the scores behind a dataset's current version, and the metrics of that version.

    Raises:
        ValueError: no classifier decided that version.
    """
    version = resolve_version(workspace, dataset)
    record = read_record(workspace, dataset, version)
    classifier_id = record.recipe.selection.classifier_id
    if classifier_id is None:
        raise ValueError(f"{dataset} {version} was selected by labels, not by a classifier: name a dataset of build-emoart")
    emotions = {path: scene.emotion for path, scene in read_truth(truth).items()}
    by_image = truth_of_images(workspace, record.source, emotions)
    scores = workspace.table("emotion_scores", record.source, classifier_id).read(["image_id", "label", "confidence"], list(record.parts))
    collected = record.recipe.selection.emotions
    return threshold_table(scores, by_image, emotions=collected), emoart_metrics(
        read_decisions(workspace, dataset, version), by_image, collected
    )


def threshold_table(
    scores: pl.DataFrame,
    truth: Mapping[str, Emotion | None],
    thresholds: Sequence[float] = THRESHOLDS,
    emotions: Collection[str] = EMOART_EMOTIONS,
) -> list[ThresholdRow]:
    """What another confidence threshold would select, from stored scores: no model runs, and no caption is needed.

    Args:
        scores: `image_id`, `label`, `confidence` of the scored pictures.
        truth: as in `emoart_metrics`; paintings missing here are left out.
        thresholds: the confidence must be greater.
        emotions: those that are collected.

    Returns:
        A row for each threshold, in the given order.
    """
    known = scores.filter(pl.col("image_id").is_in(list(truth))).unique("image_id", keep="first", maintain_order=True)
    labels = pl.Series("truth", [truth[image_id] for image_id in known["image_id"]], dtype=pl.String)
    known = known.with_columns(labels)
    wanted = known.filter(pl.col("truth").is_in(list(emotions))).height
    rows = []
    for threshold in thresholds:
        selected = known.filter(judge_scores(known, emotions, threshold)["reason"].is_null())
        right = selected.filter(pl.col("label") == pl.col("truth")).height
        rows.append(
            ThresholdRow(
                threshold=threshold,
                selected=selected.height,
                precision=right / selected.height if selected.height else None,
                recall=right / wanted if wanted else None,
            )
        )
    return rows


def main() -> None:
    """Print the table; exit with 1 where the floors are missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", default="demo/workspace")
    parser.add_argument("--dataset", default="emoart")
    parser.add_argument("--truth", type=Path, default=Path("demo/world/paintings"), help="the lab's painting set; its truth lies beside it")
    parser.add_argument("--json", type=Path, help="takes the numbers")
    arguments = parser.parse_args()
    rows, kept = measure(Workspace(arguments.workspace), arguments.dataset, arguments.truth)
    print(f"{'threshold':>10} {'selected':>9} {'precision':>10} {'recall':>8}")
    for row in rows:
        print(f"{row.threshold:>10.2f} {row.selected:>9} {_share(row.precision):>10} {_share(row.recall):>8}")
    print(f"{'kept':>10} {kept.kept:>9} {_share(kept.precision):>10} {_share(kept.recall):>8}")
    floor = next(row for row in rows if row.threshold == FLOOR["threshold"])
    met = (floor.precision or 0) >= FLOOR["precision"] and (floor.recall or 0) >= FLOOR["recall"]
    print(f"precision >= {FLOOR['precision']} and recall >= {FLOOR['recall']} at {FLOOR['threshold']}: {'yes' if met else 'NO'}")
    if arguments.json:
        report = {"thresholds": [row.model_dump() for row in rows], "kept": kept.model_dump(mode="json"), "met": met}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    raise SystemExit(0 if met else 1)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
