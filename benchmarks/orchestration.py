"""build-emoart through Prefect's server and a worker, beside the same functions of the core in a plain loop.

    .venv/bin/python benchmarks/orchestration.py --json orchestration.json

Both start from an empty workspace, in turns, on the same drawn paintings and with the parameters of the deployment build-emoart/lab. The
clock of ours runs from the start of the first task to the end of the run, as the server recorded them; that of the loop from its first call
to its last. Both have loaded their libraries by then, neither has loaded a model. The tables must have the same bytes.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from child_process import in_child
from results_table import Row, report, row
from torch.distributed.elastic.utils.distributed import get_free_port

from coemogen_core.captioning.alignment import align_captions
from coemogen_core.captioning.caption_part import caption_part
from coemogen_core.classifier.classifier_store import score_part
from coemogen_core.classifier.probe_training import train_classifier
from coemogen_core.classifier.style_audit import audit_styles
from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import mark_current
from coemogen_core.curation.funnel import write_funnel
from coemogen_core.curation.selection import Selection
from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.plan import plan_source
from coemogen_core.encoders.embedding import embed_part
from coemogen_core.lab.corpora import write_paintings, write_photos
from coemogen_core.publication.publication import publish
from coemogen_core.recipe import merge
from coemogen_core.storage.workspace import Workspace
from flows.params import BuildEmoartParams, Source
from flows.services.processes import ProcessList
from flows.services.serve import serve
from flows.services.settings import ServiceSettings

BAR = 1.10
LABELLED = 400
DEPLOYMENT = "build-emoart/lab"
TABLES = ("images", "embeddings", "emotion_scores", "alignment", "decisions", "curated")
END_STATES = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def main() -> None:
    """Run both in turns, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--parts", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--world", type=Path, help="keeps the drawn pictures, for another time: drawing 20,000 takes ten minutes")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(plain_loop(json.loads(chosen.child))))
        return
    with tempfile.TemporaryDirectory(prefix="orchestration-") as folder:
        world = (chosen.world or Path(folder)).resolve()
        report(measure(Path(folder), world, chosen.images, chosen.parts, chosen.rounds), chosen.json)


def measure(folder: Path, world: Path, images: int, parts: int, rounds: int) -> list[Row]:
    """The rows of the table; services and workspaces in `folder`, pictures in `world`."""
    print(f"drawing {images:,} paintings, unless they are there")
    photos, paintings = write_photos(world / "photos", LABELLED, 3), write_paintings(world / "paintings", images, 4)
    settings = ServiceSettings(folder=folder / "prefect", port=get_free_port())
    places = {"WORKSPACE": folder / "unused", "PHOTOS": photos, "PAINTINGS": paintings}
    os.environ |= {f"COEMOGEN_{name}": str(place) for name, place in places.items()}
    ours, loops, starts, tasks = [], [], [], 0
    try:
        serve(settings, print)
        _switch_off_automations(settings)
        for number in range(rounds):
            for side in ("run", "loop"):
                shutil.rmtree(folder / side, ignore_errors=True)
            found = run_deployment(settings, {"workspace": str(folder / "run"), "part_size": -(-images // parts)})
            loop = in_child(__file__, found["params"] | {"workspace": str(folder / "loop")}, OMP_NUM_THREADS=str(os.cpu_count()))
            _compare(folder / "run", folder / "loop")
            ours.append(found["seconds"])
            loops.append(loop["seconds"])
            starts.append(found["until_first_task"])
            tasks = found["tasks"]
            print(f"round {number + 1}: {ours[-1]:.1f} s in {tasks} tasks, {loops[-1]:.1f} s in the loop")
    finally:
        with ProcessList(settings.folder).changing("stop", print) as processes:
            processes.stop_all()
    mine, theirs = statistics.median(ours), statistics.median(loops)
    return [
        row(f"build-emoart, {images:,} images in {parts} parts", "s", mine, theirs, BAR, mine / theirs <= BAR),
        row("a task, beyond its work", "ms", 1000 * (mine - theirs) / tasks, None, None, None),
        row("from the request to the first task", "s", statistics.median(starts), None, None, None),
    ]


def run_deployment(settings: ServiceSettings, changed: dict[str, Any]) -> Row:
    """Run build-emoart/lab to its end; its seconds from the first task on, and those before."""
    with httpx.Client(base_url=f"{settings.api_url}/", timeout=60) as api:
        deployment = api.get(f"deployments/name/{DEPLOYMENT}").json()
        params = merge(deployment["parameters"]["params"], changed)
        asked = time.time()
        body = {"state": {"type": "SCHEDULED"}, "parameters": {"params": params}}
        run = api.post(f"deployments/{deployment['id']}/create_flow_run", json=body).json()
        while run["state_type"] not in END_STATES:
            time.sleep(1)
            run = api.get(f"flow_runs/{run['id']}").json()
        if run["state_type"] != "COMPLETED":
            raise RuntimeError(f"the run ended as {run['state']}: see {settings.folder}/logs")
        tasks = _task_runs(api, run["id"])
    first = min(_seconds(task["start_time"]) for task in tasks)
    return {"seconds": _seconds(run["end_time"]) - first, "until_first_task": first - asked, "tasks": len(tasks), "params": params}


def plain_loop(job: Row) -> Row:
    """What build-emoart does, by the core alone."""
    params = BuildEmoartParams.model_validate(job)
    workspace, name = Workspace(params.workspace), params.source.name
    started = time.perf_counter()
    parts = _ingest(workspace, params.source, params.part_size)
    for part in parts:
        embed_part(workspace, name, part, params.encoder)
    assert params.labelled_set is not None
    labelled = _ingest(workspace, params.labelled_set, params.part_size)
    for part in labelled:
        embed_part(workspace, params.labelled_source, part, params.encoder)
    encoder_id = params.encoder.encoder_id
    classifier = train_classifier(workspace, params.labelled_source, labelled, encoder_id, params.probe).card.classifier_id
    for part in parts:
        score_part(workspace, name, part, encoder_id, classifier)
    audit_styles(workspace, params.dataset, name, parts, classifier, params.encoder, params.min_confidence)
    selection = Selection.by_confidence(classifier, params.emotions, params.min_confidence)
    for part in parts:
        caption_part(workspace, name, part, selection.wanted(workspace, name, part), params.caption, params.captioner)
    for part in parts:
        align_captions(workspace, name, part, params.caption_policy, params.encoder)
    decided = decide(workspace, name, parts, params.curation_recipe(selection))
    mark_current(workspace, params.dataset, decided.version)
    write_funnel(workspace, params.dataset, decided.version)
    publish(workspace, params.dataset, decided.version, name)
    return {"seconds": time.perf_counter() - started}


def _ingest(workspace: Workspace, source: Source, part_size: int) -> list[str]:
    parts = plan_source(workspace, source.name, source.layout, source.root, source.licence, part_size, source.image_column)
    for part in parts:
        ingest_part(workspace, source.name, part)
    return parts


def _switch_off_automations(settings: ServiceSettings) -> None:
    """No training after a finished run."""
    with httpx.Client(base_url=f"{settings.api_url}/", timeout=60) as api:
        for each in api.post("automations/filter", json={}).json():
            api.patch(f"automations/{each['id']}", json={"enabled": False}).raise_for_status()


def _task_runs(api: httpx.Client, run_id: str) -> list[Row]:
    found: list[Row] = []
    while True:
        body = {"flow_runs": {"id": {"any_": [run_id]}}, "limit": 200, "offset": len(found)}
        page = api.post("task_runs/filter", json=body).json()
        if not page:
            return found
        found += page


def _compare(one: Path, other: Path) -> None:
    """Both made the same tables; captions carry times and are compared through what was decided by them."""
    files = sorted(path.relative_to(other) for table in TABLES for path in (other / table).rglob("*.parquet"))
    different = [str(file) for file in files if not (one / file).is_file() or (one / file).read_bytes() != (other / file).read_bytes()]
    if different or not files:
        raise RuntimeError(f"{len(different)} of {len(files)} parts differ, e.g. {different[:3]}")


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


if __name__ == "__main__":
    main()
