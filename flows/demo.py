"""The demo: all three flows on the lab's world, in one process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape

from coemogen_core.lab.corpora import write_paintings, write_photos
from coemogen_core.methods.registry import LABELS
from coemogen_core.report.pictures import contact_sheet
from coemogen_core.storage.workspace import Workspace
from flows.build_emoart import build_emoart
from flows.build_emoset import build_emoset
from flows.metrics_table import metrics_table
from flows.params import BuildEmoartParams, BuildEmosetParams, TrainAndEvalParams
from flows.profiles import load_params
from flows.train_and_eval import train_and_eval
from schemas.metrics import Metrics
from tasks.progress import console

SEED = 7
PHOTOS, PAINTINGS = 2400, 1200
SHORT_PHOTOS, SHORT_PAINTINGS = 480, 240
SHORT_RUN = {
    "training": {"steps": 60, "warmup_steps": 5},
    "images_per_emotion": 8,
    "evaluation": {"minimum_reference": 40, "resamples": 100},
}
LICENCE = "Apache-2.0 (drawn by the lab)"


def run_demo(folder: Path, *, short: bool) -> Metrics:
    """Draw the corpora, build both, train, evaluate; print the table and the report's path.

    Args:
        folder: takes everything; what stands there from an earlier demo is used again.
        short: a fifth of the pictures and a tenth of the training.
    """
    workspace = str(folder / "workspace")
    with console.status("drawing the lab's photos and paintings"):
        photos = write_photos(folder / "world" / "photos", SHORT_PHOTOS if short else PHOTOS, SEED)
        paintings = write_paintings(folder / "world" / "paintings", SHORT_PAINTINGS if short else PAINTINGS, SEED + 1)
    outcomes = [
        build_emoset(_params("build-emoset", BuildEmosetParams, workspace, source=_source("photos", "emoset", photos))),
        build_emoart(
            _params(
                "build-emoart", BuildEmoartParams, workspace, source=_source("paintings", "wikiart", paintings), labelled_source="photos"
            )
        ),
    ]
    shown = {"emoart_dataset": "emoart", "emoart_truth": str(paintings), **(SHORT_RUN if short else {})}
    run = train_and_eval(_params("train-and-eval", TrainAndEvalParams, workspace, **shown))
    if all(stage.recomputed_nothing for outcome in [*outcomes, run] for stage in outcome.stages):
        console.print("Nothing was recomputed: every part of every stage stood in the workspace already.")
    for name in ("metrics.json", "report.html"):
        (folder / name).write_bytes(Workspace(workspace).read_file("runs", run.run_id, name))
    baseline_first = dict(sorted(run.sample_runs.items(), reverse=True))
    (folder / "gallery.png").write_bytes(contact_sheet(Workspace(workspace), baseline_first, LABELS))
    metrics = Metrics.model_validate_json((folder / "metrics.json").read_bytes())
    console.print(metrics_table(metrics, "CoEmoGen and its baseline on the lab's world"))
    console.print(f"report: [bold]{escape(str((folder / 'report.html').resolve()))}[/bold]", soft_wrap=True, highlight=False)
    return metrics


def _source(name: str, layout: str, root: Path) -> dict[str, str]:
    return {"name": name, "layout": layout, "root": str(root), "licence": LICENCE}


def _params(flow: Any, model: Any, workspace: str, **overrides: Any) -> Any:
    values: Mapping[str, Any] = {"workspace": workspace, **overrides}
    return load_params("lab", flow, model, values)
