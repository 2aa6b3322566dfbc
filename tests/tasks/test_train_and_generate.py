import hashlib
import io

import polars as pl
import pytest
from PIL import Image
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from coemogen_core.emotions import EMOTIONS
from coemogen_core.methods.coemogen import CoEmoGen
from coemogen_core.methods.prompted import PlainDiffusion
from coemogen_core.methods.sample_plan import SamplePlan
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.features import FeatureRecipe
from coemogen_core.training.recipes import TrainingRecipe
from schemas.tables import Decisions, Images
from tasks.train import cache_features_part_task, generate_part_task, train_task
from tests.coemogen_core.curation.small_tables import decisions_frame

PART = "part-00000-cccccccc"


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    """One picture of each emotion, all kept."""
    images, decisions = [], []
    for index, emotion in enumerate(EMOTIONS):
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64), (index * 30, 100, 50)).save(buffer, "PNG")
        image = {"bytes": buffer.getvalue(), "path": "x.png"}
        key = hashlib.sha256(buffer.getvalue()).hexdigest()
        empty = dict.fromkeys(("artist", "style", "genre", "licence", "attributes"))
        images.append({"image_id": key, "image": image, "width": 64, "height": 64, "label": emotion, "split": "train", **empty})
        scores = {"confidence": None, "similarity": 0.3}
        decisions.append({"image_id": key, "kept": True, "reason": "kept", "label": emotion, "caption": f"{emotion} colour", **scores})
    workspace.table("images", "photos").write_part(PART, pl.DataFrame(images, infer_schema_length=None), Images)
    workspace.table("decisions", "emoset", "v1").write_part(PART, decisions_frame(decisions), Decisions)
    return workspace


def test_the_chain_of_tasks_from_decisions_to_samples(prefect_server, workspace, tiny_clip, tiny_diffusion, taken):
    models = BaseModels(diffusion=str(tiny_diffusion), clip=str(tiny_clip))
    features = FeatureRecipe(models=models, resolution=64, device="cpu")
    method = CoEmoGen("coemogen", TrainingRecipe(steps=2, batch_size=8, log_every=1, device="cpu"))
    generation = GenerationRecipe(num_inference_steps=1, device="cpu")

    @flow
    def chain():
        cached = cache_features_part_task(workspace.uri, "emoset", "v1", "photos", PART, features)
        trained = train_task(workspace.uri, "emoset", features.feature_id("v1"), models, method)
        plans = [
            SamplePlan(method, 2, 0, generation, models, trained.run_id),
            SamplePlan(PlainDiffusion("sd"), 2, 0, generation, models),
        ]
        samples = [generate_part_task(workspace.uri, plan, "awe-00000") for plan in plans]
        return cached, trained, samples

    cached, trained, samples = chain()
    assert (cached.rows, trained.steps, [sample.rows for sample in samples]) == (8, 2, [2, 2])
    run_id = SamplePlan(method, 2, 0, generation, models, trained.run_id).run_id
    assert workspace.table("runs", run_id, "samples", "coemogen").parts() == ["awe-00000"]
    assert taken == [("gpu", 1)] * 4
    again_cached, again_trained, again_samples = chain()
    assert len(taken) == 4  # what stands already waits for nothing
    assert again_cached.reused
    assert again_trained.reused
    assert all(sample.reused for sample in again_samples)
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["training"])))
    assert max(artifact.data for artifact in found) == 100
