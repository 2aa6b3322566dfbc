"""Every id that the lab's profile gives, by name; run as a program, it prints them: another checkout must print the same."""

import json
import sys
from pathlib import Path

import polars as pl
import torch

from coemogen_core.classifier.probe_training import classifier_id, labelled_pictures
from coemogen_core.curation.selection import Selection
from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.plan import plan_source
from coemogen_core.evaluation.recipe import load_extractors
from coemogen_core.lab.corpora import write_photos
from coemogen_core.methods.sample_plan import SamplePlan
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.row_digest import rows_digest
from coemogen_core.storage.tensor_files import safetensors_bytes
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.run import training_run_id
from flows.params import BuildEmoartParams, BuildEmosetParams, RecaptionParams, load_params
from flows.train_params import TrainAndEvalParams

PHOTOS = 16


def lab_ids(folder: Path) -> dict[str, object]:
    """Ids of parts, encoders, captions, classifier, corpus, features, training, samples and numbers.

    Args:
        folder: takes drawn photos and a workspace; where it lies must change no id.
    """
    workspace = Workspace(str(folder / "workspace"))
    source = {"name": "photos", "layout": "emoset", "root": str(write_photos(folder / "photos", PHOTOS, 1))}
    given = {"workspace": workspace.uri}
    emoset = load_params("lab", BuildEmosetParams, {**given, "source": source, "part_size": 4})
    emoart = load_params("lab", BuildEmoartParams, {**given, "source": source, "labelled_source": "photos"})
    recaption = load_params("lab", RecaptionParams, {**given, "dataset": "emoset"})
    training = load_params("lab", TrainAndEvalParams, given)
    parts = plan_source(workspace, "photos", "emoset", source["root"], part_size=emoset.part_size)
    for part in parts:
        ingest_part(workspace, "photos", part)
    labelled = labelled_pictures(workspace, "photos", parts)
    feature_id = training.features.feature_id("v1")
    facts = json.dumps({"rows": rows_digest(pl.DataFrame({"image_id": ["0" * 64]})), "picture_id": training.features.picture_id})
    header = safetensors_bytes({"label": torch.zeros(1)}, {"coemogen": facts})  # which is all that a run's id asks for
    workspace.write_file(header, "features", "emoset", feature_id, f"{parts[0]}.safetensors")
    run_id = training_run_id(workspace, "emoset", feature_id, training.models, training.training)
    plans = [SamplePlan(method, 8, 0, training.generation, training.models, run_id) for method in training.methods]
    evaluation = training.evaluation
    return {
        "parts": parts,
        "encoder": emoset.encoder.encoder_id,
        "captions": emoset.caption.recipe_id(emoset.captioner.backend),
        "new captions": recaption.caption.recipe_id(recaption.captioner.backend),
        "classifier": classifier_id(labelled, emoart.classifier_encoder.encoder_id, emoart.probe),
        "corpus": recipe_id("emoset", {"recipe": emoset.curation_recipe(Selection())}),
        "features": feature_id,
        "training": run_id,
        "samples": [plan.run_id for plan in plans],
        "numbers": recipe_id("numbers", evaluation.numbers_identity(load_extractors(evaluation))),
    }


if __name__ == "__main__":
    print(json.dumps({"code": __import__("coemogen_core").__file__, "ids": lab_ids(Path(sys.argv[1]))}))
