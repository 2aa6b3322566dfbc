"""The training objective L = L_LDM + w L_SEM (paper, section on the losses) as one module over frozen and trained parts."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, SchedulerMixin, UNet2DConditionModel
from diffusers.training_utils import compute_snr
from torch import Tensor, nn

from coemogen_core.emotions import EMOTIONS
from coemogen_core.model.conditioner import Conditioner
from coemogen_core.model.gates import gates_for, restrict
from coemogen_core.model.hilora import HiLoRA
from coemogen_core.model.losses import semantic_loss
from coemogen_core.training.batches import TrainingBatch
from coemogen_core.training.recipes import TrainingRecipe


class Losses(NamedTuple):
    """Losses of each sample, float32 [b]."""

    diffusion: Tensor  # L_LDM
    semantic: Tensor  # L_SEM, before its weight


class TrainingObjective(nn.Module):
    """Both losses of a batch. Trained are the conditioner and HiLoRA; what no step changes is computed here once."""

    gates: Tensor
    one_hot: Tensor
    empty_prompt: Tensor

    def __init__(
        self, unet: UNet2DConditionModel, hilora: HiLoRA, conditioner: Conditioner, scheduler: DDPMScheduler, recipe: TrainingRecipe
    ) -> None:
        super().__init__()
        self.unet = unet
        self.conditioner = conditioner
        self.hilora = hilora
        self.scheduler = scheduler
        self.recipe = recipe
        gates = restrict(gates_for(range(len(EMOTIONS))), emotions=recipe.use_emotion_pairs, polarities=recipe.use_polarity_pairs)
        self.register_buffer("gates", gates, persistent=False)
        self.register_buffer("one_hot", torch.eye(len(EMOTIONS)), persistent=False)
        self.register_buffer("empty_prompt", conditioner.text_encoder.encode_prompts([""]).sequence, persistent=False)

    def trainable(self) -> dict[str, nn.Parameter]:
        """The trained parameters by name, always in the same order."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}

    def forward(self, batch: TrainingBatch) -> Losses:
        """Noise the latents, predict the noise under each sample's own gates, compare; compare conditioning and caption."""
        noisy = self.scheduler.add_noise(batch.latents, batch.noise, batch.timesteps)
        if self.recipe.channels_last:
            noisy = noisy.contiguous(memory_format=torch.channels_last)
        encoded = self.conditioner(self.one_hot[batch.label], batch.visual)
        sequence = encoded.sequence
        if self.recipe.condition_dropout > 0:
            sequence = torch.where(batch.unconditional[:, None, None], self.empty_prompt.to(sequence.dtype), sequence)
        self.hilora.set_gates(self.gates[batch.label])
        predicted = self.unet(noisy, batch.timesteps, encoder_hidden_states=sequence).sample
        diffusion = F.mse_loss(predicted.float(), self._target(batch).float(), reduction="none").flatten(1).mean(1)
        if self.recipe.min_snr_gamma is not None:
            diffusion = diffusion * min_snr_weight(self.scheduler, batch.timesteps, self.recipe.min_snr_gamma)
        assert encoded.pooled is not None
        return Losses(diffusion, semantic_loss(encoded.pooled.float(), batch.caption, self.recipe.semantic_loss))

    def _target(self, batch: TrainingBatch) -> Tensor:
        kind = self.scheduler.config.prediction_type
        if kind == "epsilon":
            return batch.noise
        if kind == "v_prediction":
            return self.scheduler.get_velocity(batch.latents, batch.noise, batch.timesteps)
        raise ValueError(f"the base model predicts {kind!r}; supported are epsilon (SD 1.x) and v_prediction")


def min_snr_weight(scheduler: SchedulerMixin, timesteps: Tensor, gamma: float) -> Tensor:
    """Weights [b] of the noise-prediction losses at these timesteps (Hang et al. 2023, arXiv 2303.09556): min(SNR, gamma) / SNR.

    For a model that predicts v the divisor is SNR + 1.
    """
    ratio = compute_snr(scheduler, timesteps)
    return ratio.clamp(max=gamma) / (ratio + 1 if scheduler.config.prediction_type == "v_prediction" else ratio)
