"""A finished run: a trained model (with weights away from zero) in a workspace."""

import pytest

from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.saved_model import SavedModel
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.generation.small_model import new_trained_model


@pytest.fixture(scope="session")
def models(tiny_clip, tiny_diffusion) -> BaseModels:
    return BaseModels(diffusion=str(tiny_diffusion), clip=str(tiny_clip))


@pytest.fixture(scope="session")
def trained(models) -> SavedModel:
    return new_trained_model(models)


@pytest.fixture(scope="session")
def workspace(tmp_path_factory, trained) -> Workspace:
    workspace = Workspace(str(tmp_path_factory.mktemp("generation")))
    trained.save(workspace.path("runs", "run-1", "model"))
    return workspace
