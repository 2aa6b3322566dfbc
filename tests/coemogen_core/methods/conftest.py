"""What generation and training test with, methods do too."""

from tests.coemogen_core.generation.conftest import trained, workspace
from tests.coemogen_core.training.conftest import cached, corpus, feature_recipe, models

__all__ = ["cached", "corpus", "feature_recipe", "models", "trained", "workspace"]
