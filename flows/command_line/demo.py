"""The demo: all three flows on the lab's world, in one process."""

import os
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from flows.command_line.front import app

SEED = 7
PHOTOS, PAINTINGS = 2400, 1200
SHORT_PHOTOS, SHORT_PAINTINGS = 480, 240
SHORT_RUN: dict[str, Any] = {
    "training": {"steps": 60, "warmup_steps": 5},
    "images_per_emotion": 8,
    "evaluation": {"minimum_reference": 40, "resamples": 100},
}
ON_PAINTINGS: dict[str, Any] = {"training": {"steps": 200}}  # from the model of the photos on; the baseline's pictures are there already
SHORT_ON_PAINTINGS: dict[str, Any] = {"training": {"steps": 20}}
LICENCE = "Apache-2.0 (drawn by the lab)"


@app.command
def demo(
    *,
    folder: Annotated[Path, Parameter(help="Folder of the drawn corpora, the workspace and the report.")] = Path("demo"),
    short: Annotated[bool, Parameter(help="A fraction of everything, to see that it runs.", negative="")] = False,
) -> None:
    """Run the whole chain on the lab's world and print where the report is."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PREFECT_HOME", str((folder / "prefect").resolve()))  # before Prefect is imported
    from coemogen_core.lab.corpora import write_paintings, write_photos
    from coemogen_core.methods.registry import LABELS
    from coemogen_core.recipe import merge
    from coemogen_core.report.pictures import contact_sheet
    from coemogen_core.storage.workspace import Workspace
    from flows.build_emoart import build_emoart
    from flows.build_emoset import build_emoset
    from flows.command_line.metrics_table import metrics_table
    from flows.params import BuildEmoartParams, BuildEmosetParams, load_params
    from flows.progress import console
    from flows.train_and_eval import train_and_eval
    from flows.train_params import TrainAndEvalParams
    from schemas.metrics import Metrics

    workspace = Workspace(str(folder / "workspace"))
    tables = {"workspace": workspace.uri}
    with console.status("drawing the lab's photos and paintings"):
        photos = write_photos(folder / "world" / "photos", SHORT_PHOTOS if short else PHOTOS, SEED)
        paintings = write_paintings(folder / "world" / "paintings", SHORT_PAINTINGS if short else PAINTINGS, SEED + 1)
    labelled = tables | {"source": _source("photos", "emoset", photos)}
    unlabelled = tables | {"source": _source("paintings", "wikiart", paintings), "labelled_source": "photos"}
    shown = tables | {"emoart_dataset": "emoart", "emoart_truth": str(paintings)} | (SHORT_RUN if short else {})
    emoset = build_emoset(load_params("lab", BuildEmosetParams, labelled))
    emoart = build_emoart(load_params("lab", BuildEmoartParams, unlabelled))
    run = train_and_eval(load_params("lab", TrainAndEvalParams, shown))
    on_paintings = SHORT_ON_PAINTINGS if short else ON_PAINTINGS
    begun = {"dataset": "emoart", "training": {"from_run": run.model_run_id}}
    painted = train_and_eval(
        load_params("lab", TrainAndEvalParams, merge(merge(tables | (SHORT_RUN if short else {}), on_paintings), begun))
    )
    if all(stage.recomputed_nothing for outcome in (emoset, emoart, run, painted) for stage in outcome.stages):
        console.print("Nothing was recomputed: every part of every stage exists in the workspace already.")
    for outcome, ending, what in ((run, "", "photographs"), (painted, "-paintings", "paintings")):
        for name, extension in (("metrics", "json"), ("report", "html")):
            (folder / f"{name}{ending}.{extension}").write_bytes(workspace.read_file("runs", outcome.run_id, f"{name}.{extension}"))
        metrics = Metrics.model_validate_json((folder / f"metrics{ending}.json").read_bytes())
        baseline_first = dict(sorted(outcome.sample_runs.items(), reverse=True))
        emotions = next(iter(metrics.methods.values())).per_emotion
        (folder / f"gallery{ending}.png").write_bytes(contact_sheet(workspace, baseline_first, LABELS, list(emotions)))
        console.print(metrics_table(metrics, f"CoEmoGen and its baseline on the lab's {what}; model {outcome.model_run_id}"))
    for ending in ("", "-paintings"):
        page = (folder / f"report{ending}.html").resolve()
        console.print(f"report: [bold]{escape(str(page))}[/bold]", soft_wrap=True, highlight=False)


def _source(name: str, layout: str, root: Path) -> dict[str, str]:
    return {"name": name, "layout": layout, "root": str(root), "licence": LICENCE}
