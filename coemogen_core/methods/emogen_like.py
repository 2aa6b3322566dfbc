"""Baseline after EmoGen (Yang et al. 2024): a draw from the emotion's cluster -> MLP -> one pseudo-word; the U-Net stays as it is.

Differs from EmoGen: the space of the clusters is CLIP's image embedding instead of that of an emotion encoder of its own; the semantic loss
pulls towards the picture's caption (1 - cosine, as CoEmoGen's L_SEM) instead of the names of its attributes, by cross-entropy and weighted
with their emotion confidence; the text encoder's projection is not trained. So it is CoEmoGen's road without emotion input, attention and
HiLoRA, with one word.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, UNet2DConditionModel
from pydantic import Field, field_validator
from torch import Tensor, nn

from coemogen_core.generation.pipeline import EmotionPipeline
from coemogen_core.methods.generator import Generator
from coemogen_core.methods.method import TrainingData
from coemogen_core.methods.pseudo_words import PromptFrame, PseudoWordGenerator, split_prompt
from coemogen_core.methods.trained import OnProgress, TrainedBaseline, load_frozen, load_tensors, save_tensors
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.clusters import Covariance, EmotionClusters
from coemogen_core.model.conditioner import semantic_loss
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.model.text_encoder import EncodedText, FrozenTextEncoder
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.batches import TrainingBatch
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.objective import DenoisingObjective
from coemogen_core.training.optimisation import OptimisationRecipe
from coemogen_core.training.trainer import Trainer


class EmoGenLikeRecipe(OptimisationRecipe):
    """How the mapper is trained."""

    prompt: str = Field(default="an image of {word}", description="prompt in training and generation; {word} = the mapped word")
    hidden_width: int = Field(default=512, ge=1, description="hidden width of the mapper")
    semantic_weight: float = Field(default=1.0, ge=0, description="weight of the semantic loss")
    covariance: Covariance = Field(default="diagonal", description="of the emotion clusters; CoEmoGen's unless it is given")

    _has_place = field_validator("prompt")(lambda prompt: (split_prompt(prompt), prompt)[1])


class WordMapper(nn.Module):
    """Visual embedding [b, visual_width] of any length -> one word [b, 1, width] in units of the word embeddings' spread."""

    def __init__(self, visual_width: int, width: int, hidden_width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(visual_width, hidden_width), nn.SiLU(), nn.Linear(hidden_width, width))

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw the weights so that spreads of about one stay about one."""
        with torch.no_grad():
            for linear in (self.layers[0], self.layers[2]):
                linear.weight.copy_(torch.randn(linear.weight.shape, generator=generator) * linear.in_features**-0.5)
                linear.bias.zero_()

    def forward(self, visual: Tensor) -> Tensor:
        """Map directions: raw and unit-length embeddings agree."""
        return self.layers(F.normalize(visual, dim=-1) * math.sqrt(visual.shape[-1])).unsqueeze(1)


class EmoGenLikeObjective(DenoisingObjective):
    """L_LDM and the semantic loss; trained is the mapper."""

    recipe: EmoGenLikeRecipe

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text_encoder: FrozenTextEncoder,
        scheduler: DDPMScheduler,
        recipe: EmoGenLikeRecipe,
        visual_width: int,
    ) -> None:
        super().__init__(unet, text_encoder, scheduler, recipe)
        self.mapper = WordMapper(visual_width, text_encoder.width, recipe.hidden_width)
        self.mapper.reset_parameters(torch.Generator().manual_seed(recipe.seed))
        self.semantic_weight = recipe.semantic_weight
        self._frame = PromptFrame(text_encoder, recipe.prompt)

    def condition(self, batch: TrainingBatch) -> EncodedText:
        """The prompt with each picture's own word."""
        return self.text_encoder(self._frame.around(self.mapper(batch.visual)))

    def semantic(self, encoded: EncodedText, batch: TrainingBatch) -> Tensor:
        """Prompt against caption."""
        return semantic_loss(encoded.pooled.float(), batch.caption)


class EmoGenLike(TrainedBaseline[EmoGenLikeRecipe]):
    """`model/mapper.safetensors` and `model/clusters.safetensors`."""

    kind: ClassVar[str] = "emogen-like"

    def fit(self, data: TrainingData, run_id: str, features: FeatureSet, on_progress: OnProgress) -> None:
        """One training for all emotions."""
        objective = EmoGenLikeObjective(*load_frozen(data.models, self.recipe, with_projection=True), self.recipe, features.visual_width)
        Trainer(data.workspace, run_id, features, objective).train(on_progress)
        clusters = EmotionClusters.fit(features.visual_embeddings(), features.labels, self.recipe.covariance)
        data.workspace.write_file(clusters.to_bytes(), "runs", run_id, "model", "clusters.safetensors")
        save_tensors(data.workspace, run_id, "mapper", objective.mapper.state_dict())

    def load(self, models: BaseModels, recipe: GenerationRecipe, model_folder: str) -> Generator:
        """The base model with the mapper."""
        weights = load_tensors(model_folder)["mapper"]
        clusters = EmotionClusters.from_bytes(Workspace(model_folder).read_file("clusters.safetensors"))
        return EmoGenLikeGenerator(models, recipe, self.recipe, weights, clusters)


class EmoGenLikeGenerator(PseudoWordGenerator):
    """Pictures from words that are mapped from draws of the emotion's cluster."""

    def __init__(
        self,
        models: BaseModels,
        recipe: GenerationRecipe,
        training: EmoGenLikeRecipe,
        weights: dict[str, Tensor],
        clusters: EmotionClusters,
    ) -> None:
        super().__init__(models, recipe, training.prompt)
        self._clusters = clusters
        self._mapper = WordMapper(clusters.width, self._text_encoder.width, training.hidden_width).eval()
        self._mapper.load_state_dict(weights)

    def pseudo_words(self, emotion: str, seeds: Sequence[int]) -> Tensor:
        """One word a picture; its draw is that of CoEmoGen's picture of the same seed."""
        visual = torch.stack([self._clusters.sample(emotion, EmotionPipeline.visual_seed(seed)) for seed in seeds])
        return self._mapper(visual)
