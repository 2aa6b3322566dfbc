"""A trained model, a small world and the workspace that the three flows make of it, both once a test run."""

import shutil
from pathlib import Path

import pytest

from coemogen_core.model.base_models import BaseModels
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.generation.small_model import new_trained_model
from tests.flows.chain import run_chain, write_world
from tests.once_a_run import once_a_run


@pytest.fixture(scope="session")
def trained_workspace(models: BaseModels, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A workspace with a model in the run `train-1`; not to be changed."""
    workspace = Workspace(str(tmp_path_factory.mktemp("trained")))
    new_trained_model(models).save(workspace.path("runs", "train-1", "model"))
    return workspace.uri


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos and paintings; not to be changed."""
    return once_a_run(tmp_path_factory, "world", write_world)


@pytest.fixture(scope="session")
def chain(world: Path, tiny_clip: Path, tiny_diffusion: Path, prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace after all three flows; not to be changed."""
    return once_a_run(tmp_path_factory, "chain", lambda folder: run_chain(world, str(folder), tiny_clip, tiny_diffusion))


@pytest.fixture
def chain_copy(chain: Path, tmp_path: Path) -> Workspace:
    """A copy of it, with the same times, to go on with."""
    return Workspace(str(shutil.copytree(chain, tmp_path / "chain")))
