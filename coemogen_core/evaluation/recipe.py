"""The evaluation recipe: everything that decides a number besides the images."""

import threading
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.lab_extractors import lab_extractors
from coemogen_core.model_source import ModelName
from coemogen_core.recipe import recipe_id
from schemas.metrics import EvaluationProtocol

FEATURES_VERSION = 1
"""Part of every recipe id: raise it when features or pairs are computed differently."""
NUMBERS_VERSION = 1
"""Part of every cached set of numbers: raise it when a metric or the layout of MethodMetrics changes."""

_LOADING = threading.Lock()


class EvaluationRecipe(BaseModel):
    """How images are evaluated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: EvaluationProtocol = Field(
        default="corrected", description="how images are preprocessed and paired: emogen repeats the public code's faults (docs/metrics.md)"
    )
    extractors: Literal["lab"] = Field(default="lab", description="which networks look at the images")
    clip_model: ModelName | None = Field(default=None, description="CLIP for Sem-D: folder or hub id; none = the lab's own")
    seed: int = Field(default=0, ge=0, lt=2**32, description="seed of LPIPS pairs and bootstrap resamples")
    lpips_neighbours: int = Field(default=8, ge=1, le=1000, description="every image is compared with twice as many of its emotion")
    resamples: int = Field(default=1000, ge=20, le=100_000, description="bootstrap resamples; not part of the features' id")
    confidence_level: float = Field(default=0.95, gt=0.5, lt=1, description="level of the intervals; not part of the features' id")
    minimum_reference: int = Field(default=500, ge=2, description="a test split with fewer real images is not used alone")
    batch_size: int = Field(default=64, ge=1, le=4096, description="pictures per forward pass; not part of the id")
    device: str = Field(default="cpu", description="where the networks run; not part of the id")

    @property
    def pair_neighbours(self) -> int:
        """LPIPS partners that are computed with the features: none under "emogen", which draws its pairs from all images of a set."""
        return self.lpips_neighbours if self.protocol == "corrected" else 0

    def features_id(self, extractors: ExtractorSet) -> str:
        """Recipe id of the features: hashes the identity of every extractor and the choice of pairs."""
        pairs = {"seed": self.seed, "neighbours": self.lpips_neighbours}
        fields = {"version": FEATURES_VERSION, "protocol": self.protocol, "pairs": pairs, "extractors": extractors.identities()}
        return recipe_id("features", fields)


def load_extractors(recipe: EvaluationRecipe) -> ExtractorSet:
    """The networks of a recipe, loaded once per process.

    Raises:
        FileNotFoundError: a model is missing; the message names it.
    """
    with _LOADING:
        return _load(recipe.clip_model, recipe.device, recipe.protocol)


@lru_cache(maxsize=1)
def _load(clip_model: str | None, device: str, protocol: EvaluationProtocol) -> ExtractorSet:
    return lab_extractors(clip_model, device, protocol)
