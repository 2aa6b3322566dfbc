"""What a training computes: noise the cached latents, predict the noise under some conditioning, compare.

CoEmoGen's objective is L = L_LDM + w L_SEM (paper, section on the losses) as one module over frozen and trained parts.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, SchedulerMixin, UNet2DConditionModel
from diffusers.training_utils import compute_snr
from torch import Tensor, nn

from coemogen_core.emotions import EMOTIONS
from coemogen_core.model.base_models import BaseModels, load_noise_scheduler, load_text_encoder, load_unet
from coemogen_core.model.conditioner import Conditioner, semantic_loss
from coemogen_core.model.gates import gates_for, restrict
from coemogen_core.model.hilora import HiLoRA, inject
from coemogen_core.model.text_encoder import EncodedText, FrozenTextEncoder
from coemogen_core.training.batches import TrainingBatch
from coemogen_core.training.optimisation import OptimisationRecipe
from coemogen_core.training.recipes import TrainingRecipe
from schemas.choices import Precision

DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Losses(NamedTuple):
    """Losses of each sample, float32 [b]."""

    diffusion: Tensor  # L_LDM
    semantic: Tensor  # L_SEM, before its weight


class DenoisingObjective(nn.Module):
    """L_LDM, and a second loss where a subclass has one. A subclass says what is trained and how a sample is conditioned."""

    empty_prompt: Tensor
    semantic_weight: float = 0.0

    def __init__(
        self, unet: UNet2DConditionModel, text_encoder: FrozenTextEncoder, scheduler: DDPMScheduler, recipe: OptimisationRecipe
    ) -> None:
        super().__init__()
        self.unet = unet
        self.scheduler = scheduler
        self.recipe = recipe
        self._text_encoder = [text_encoder]  # in a list, so that it is no submodule: its weights are neither trained nor saved
        self.register_buffer("empty_prompt", text_encoder.encode_prompts([""]).sequence, persistent=False)

    @property
    def text_encoder(self) -> FrozenTextEncoder:
        """The frozen text encoder."""
        return self._text_encoder[0]

    @abstractmethod
    def condition(self, batch: TrainingBatch) -> EncodedText:
        """What the U-Net attends to: sequences [b, positions, width]."""

    def trainable(self) -> dict[str, nn.Parameter]:
        """The trained parameters by name, always in the same order."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}

    def stacks(self) -> list[nn.Parameter]:
        """Those of the trained parameters whose rows are trained one by one (see `PairwiseAdamW`)."""
        return []

    def row_shares(self, labels: Sequence[int]) -> Tensor:  # noqa: ARG002 (a subclass with stacks looks at them)
        """Share of the samples that train each row of the stacks, float32 [rows], where these labels come equally often."""
        return torch.zeros(0)

    def prepare_unet(self, batch: TrainingBatch) -> None:
        """Set what the U-Net needs to know of a batch besides its conditioning."""

    def semantic(self, encoded: EncodedText, batch: TrainingBatch) -> Tensor:  # noqa: ARG002 (subclasses compare it)
        """The second loss of each sample [b]; zeros where there is none."""
        return torch.zeros(len(batch.label), device=batch.label.device)

    def forward(self, batch: TrainingBatch) -> Losses:
        """Both losses of a batch."""
        noisy = self.scheduler.add_noise(batch.latents, batch.noise, batch.timesteps)
        if self.recipe.channels_last:
            noisy = noisy.contiguous(memory_format=torch.channels_last)
        encoded = self.condition(batch)
        sequence = encoded.sequence
        if self.recipe.condition_dropout > 0:
            sequence = torch.where(batch.unconditional[:, None, None], self.empty_prompt.to(sequence.dtype), sequence)
        self.prepare_unet(batch)
        predicted = self.unet(noisy, batch.timesteps, encoder_hidden_states=sequence).sample
        diffusion = F.mse_loss(predicted.float(), self._target(batch).float(), reduction="none").flatten(1).mean(1)
        if self.recipe.min_snr_gamma is not None:
            diffusion = diffusion * min_snr_weight(self.scheduler, batch.timesteps, self.recipe.min_snr_gamma)
        return Losses(diffusion, self.semantic(encoded, batch))

    def _target(self, batch: TrainingBatch) -> Tensor:
        kind = self.scheduler.config.prediction_type
        if kind == "epsilon":
            return batch.noise
        if kind == "v_prediction":
            return self.scheduler.get_velocity(batch.latents, batch.noise, batch.timesteps)
        raise ValueError(f"the base model predicts {kind!r}; supported are epsilon (SD 1.x) and v_prediction")


def load_training_unet(models: BaseModels, recipe: OptimisationRecipe) -> UNet2DConditionModel:
    """The U-Net as a recipe wants it, frozen."""
    unet = load_unet(models, DTYPES[recipe.precision])
    if recipe.channels_last:
        unet.to(memory_format=torch.channels_last)
    if recipe.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
        unet.train()  # diffusers recomputes in training mode only; SD's U-Net has no dropout that this would switch on
    return unet.requires_grad_(False)


def min_snr_weight(scheduler: SchedulerMixin, timesteps: Tensor, gamma: float) -> Tensor:
    """Weights [b] of the noise-prediction losses at these timesteps (Hang et al. 2023, arXiv 2303.09556): min(SNR, gamma) / SNR.

    For a model that predicts v the divisor is SNR + 1.
    """
    ratio = compute_snr(scheduler, timesteps)
    return ratio.clamp(max=gamma) / (ratio + 1 if scheduler.config.prediction_type == "v_prediction" else ratio)


class TrainingObjective(DenoisingObjective):
    """Both losses of a batch. Trained are the conditioner and HiLoRA; what no step changes is computed here once."""

    gates: Tensor
    one_hot: Tensor
    recipe: TrainingRecipe

    def __init__(
        self, unet: UNet2DConditionModel, hilora: HiLoRA, conditioner: Conditioner, scheduler: DDPMScheduler, recipe: TrainingRecipe
    ) -> None:
        super().__init__(unet, conditioner.text_encoder, scheduler, recipe)
        self.conditioner = conditioner
        self.hilora = hilora
        self.semantic_weight = recipe.semantic_weight
        gates = restrict(gates_for(range(len(EMOTIONS))), emotions=recipe.use_emotion_pairs, polarities=recipe.use_polarity_pairs)
        self.register_buffer("gates", gates, persistent=False)
        self.register_buffer("one_hot", torch.eye(len(EMOTIONS)), persistent=False)

    def stacks(self) -> list[nn.Parameter]:
        """HiLoRA's parameters, a row for every pair."""
        return list(self.hilora.parameters())

    def row_shares(self, labels: Sequence[int]) -> Tensor:
        """An emotion's pair sees its emotion, a polarity's the emotions of it; pairs that are left out see none."""
        return self.gates[list(labels)].gt(0).float().mean(0).cpu()

    def condition(self, batch: TrainingBatch) -> EncodedText:
        """Emotion and visual embedding through the conditioner."""
        return self.conditioner(self.one_hot[batch.label], batch.visual)

    def prepare_unet(self, batch: TrainingBatch) -> None:
        """Every sample's own gates."""
        self.hilora.set_gates(self.gates[batch.label])

    def semantic(self, encoded: EncodedText, batch: TrainingBatch) -> Tensor:
        """L_SEM: conditioning against caption."""
        return semantic_loss(encoded.pooled.float(), batch.caption, self.recipe.semantic_loss)


def build_objective(models: BaseModels, visual_width: int, recipe: TrainingRecipe) -> TrainingObjective:
    """Load the base models, freeze them in the recipe's precision and put conditioner and HiLoRA on top, freshly initialised in float32."""
    unet = load_training_unet(models, recipe)
    text_encoder = load_text_encoder(models)
    conditioner = Conditioner(recipe.conditioner, text_encoder, visual_width, seed=recipe.seed)
    text_encoder.to(DTYPES[recipe.precision])
    hilora = inject(unet, recipe.rank, recipe.alpha, recipe.targets, seed=recipe.seed)
    if recipe.compile:
        unet.compile()  # in place: names, weights and state stay those of the U-Net
    return TrainingObjective(unet, hilora, conditioner, load_noise_scheduler(models), recipe)
