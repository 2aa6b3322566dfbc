"""What generation and training test with, methods do too."""

import pytest

from coemogen_core.methods.method import TrainingData
from tests.coemogen_core.generation.conftest import trained, workspace
from tests.coemogen_core.training.conftest import cached, corpus, feature_recipe

__all__ = ["cached", "corpus", "feature_recipe", "trained", "workspace"]


@pytest.fixture(scope="session")
def data(corpus, cached, models) -> TrainingData:
    return TrainingData(corpus, "emoset", cached, models)
