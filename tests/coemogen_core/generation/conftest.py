"""A finished run: a trained model (with weights away from zero) in a workspace."""

import pytest

from coemogen_core.generation.pipeline import EmotionPipeline
from coemogen_core.model.saved_model import SavedModel
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.generation.small_model import new_trained_model


@pytest.fixture(scope="session")
def trained(models) -> SavedModel:
    return new_trained_model(models)


@pytest.fixture(scope="session")
def workspace(tmp_path_factory, trained) -> Workspace:
    workspace = Workspace(str(tmp_path_factory.mktemp("generation")))
    trained.save(workspace.path("runs", "run-1", "model"))
    return workspace


@pytest.fixture(scope="module")
def pipe(models, workspace) -> EmotionPipeline:
    return EmotionPipeline.from_run(models, workspace.path("runs", "run-1", "model"), device="cpu")
