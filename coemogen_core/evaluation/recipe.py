"""The evaluation recipe: everything that decides a number besides the images."""

import threading
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.evaluation.encoder_extractors import ClassifierProbe, HeadProbe, is_classifier_folder
from coemogen_core.evaluation.extractors import EmotionClassifier, ExtractorSet
from coemogen_core.evaluation.lab_extractors import LAB_CLIP, lab_extractors
from coemogen_core.evaluation.paper_extractors import PaperExtractors, paper_extractors
from coemogen_core.recipe import IdentifiedOtherwise, NotIdentifying, Recipe, recipe_id
from coemogen_core.storage.model_source import ModelName
from schemas.choices import Device, EvaluationProtocol

FEATURES_VERSION = 1
"""Part of every recipe id: raise it when features or pairs are computed differently."""
NUMBERS_VERSION = 6
"""Part of every cached set of numbers: raise it when a metric or the layout of MethodMetrics changes."""

_LOADING = threading.Lock()


class EvaluationRecipe(Recipe):
    """How images are evaluated. The networks say themselves what identifies them: `features_id`."""

    protocol: EvaluationProtocol = Field(
        default="corrected",
        description="how images are preprocessed and paired: emogen repeats the errors of EmoGen's public code (docs/metrics.md)",
    )
    extractors: Annotated[Literal["lab", "paper"], IdentifiedOtherwise] = Field(
        default="lab", description="which networks look at the images; paper needs `paper`"
    )
    paper: Annotated[PaperExtractors | None, IdentifiedOtherwise] = Field(
        default=None, description="where the weights of the paper's networks lie; none = lab"
    )
    clip_model: Annotated[ModelName | None, IdentifiedOtherwise] = Field(
        default=None, description="CLIP for Sem-D: folder or hub id; none = the lab's own"
    )
    probe: Annotated[str | tuple[str, ...] | None, IdentifiedOtherwise] = Field(
        default=None,
        description="probes of Emo-A before the extractors' own, the first of them gives it: EmoGen's published head on the CLIP "
        "(path or URI), or a classifier of a workspace (WORKSPACE/classifiers/ID)",
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="seed of LPIPS pairs, bootstrap resamples, and draws of equally many pictures")
    lpips_neighbours: int = Field(default=8, ge=1, le=1000, description="every image is compared with twice as many of its emotion")
    resamples: int = Field(default=1000, ge=20, le=100_000, description="bootstrap resamples")
    confidence_level: float = Field(default=0.95, gt=0.5, lt=1, description="level of the intervals")
    minimum_reference: Annotated[int, IdentifiedOtherwise] = Field(
        default=500, ge=2, description="a test split with fewer real images is not used alone"
    )
    batch_size: Annotated[int, NotIdentifying] = Field(default=64, ge=1, le=4096, description="pictures in memory at a time")
    device: Annotated[Device, NotIdentifying] = Field(default="auto", description="where the networks run")

    @model_validator(mode="after")
    def _paper_has_paths(self) -> Self:
        if (self.extractors == "paper") != (self.paper is not None):
            raise ValueError("extractors = paper needs the paths in `paper`, and lab takes none")
        if self.paper is not None and self.clip_model:
            raise ValueError("the paper's extractors name their CLIP themselves: use paper.clip")
        return self

    @property
    def probes(self) -> tuple[str, ...]:
        """The named probes, however many."""
        return (self.probe,) if isinstance(self.probe, str) else self.probe or ()

    @property
    def pair_neighbours(self) -> int:
        """LPIPS partners that are computed with the features: none under "emogen", which draws its pairs from all images of a set."""
        return self.lpips_neighbours if self.protocol == "corrected" else 0

    def features_id(self, extractors: ExtractorSet) -> str:
        """Recipe id of the features: hashes the identity of every extractor and the choice of pairs."""
        pairs = {"seed": self.seed, "neighbours": self.pair_neighbours}
        fields = {"version": FEATURES_VERSION, "protocol": self.protocol, "pairs": pairs, "extractors": extractors.identities()}
        return recipe_id("features", fields)

    def numbers_identity(self, extractors: ExtractorSet) -> dict[str, Any]:
        """Everything that turns images into numbers: the networks and pairs, the metrics' version, and the statistics.

        Which real images they are compared with is the selection's to say (`reference.ReferenceSelection`).
        """
        statistics = {
            name: value for name, value in self.identity.items() if name != "lpips_neighbours"
        }  # in the features' id if it matters
        return {"features": self.features_id(extractors), "version": NUMBERS_VERSION, "statistics": statistics}


def load_extractors(recipe: EvaluationRecipe) -> ExtractorSet:
    """The networks of a recipe, loaded once per process.

    Raises:
        FileNotFoundError: a model is missing; the message names it.
        ValueError: a file of weights holds something else, or the probe reads another CLIP.
    """
    with _LOADING:
        return _load(recipe.paper, recipe.clip_model, recipe.probes, recipe.device, recipe.protocol)


@lru_cache(maxsize=1)
def _load(
    paper: PaperExtractors | None, clip_model: str | None, probes: tuple[str, ...], device: Device, protocol: EvaluationProtocol
) -> ExtractorSet:
    extractors = lab_extractors(clip_model, device, protocol) if paper is None else paper_extractors(paper, device, protocol)
    clip = EncoderRecipe(model=clip_model or LAB_CLIP, unit_length=False, device=device)
    if paper is not None:
        clip = EncoderRecipe(model=paper.clip, revision=paper.clip_revision, unit_length=False, device=device)
    found = {probe.identity: probe for probe in (*(_probe(name, clip) for name in probes), *extractors.emotion_probes)}
    return replace(extractors, emotion_probes=tuple(found.values()))


def _probe(name: str, clip: EncoderRecipe) -> EmotionClassifier:
    return ClassifierProbe(name, clip.model, clip.device) if is_classifier_folder(name) else HeadProbe(name, load_encoder(clip))
