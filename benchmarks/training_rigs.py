"""The same training step in several builds: ours with gated HiLoRA, without any LoRA, and with PEFT's adapters one sample at a time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from peft import LoraConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from coemogen_core.emotions import EMOTIONS
from coemogen_core.model.base_models import BaseModels, load_noise_scheduler, load_text_encoder, load_unet
from coemogen_core.model.conditioner import Conditioner
from coemogen_core.model.gates import PAIRS, gates_for
from coemogen_core.model.hilora import ATTENTION_TARGETS, HiLoRA, inject
from coemogen_core.model.hilora_linear import GateInput
from coemogen_core.model.text_encoder import FrozenTextEncoder
from coemogen_core.training.batches import TrainingBatch
from coemogen_core.training.objective import TrainingObjective
from coemogen_core.training.optimizer import PairwiseAdamW
from coemogen_core.training.recipes import TrainingRecipe

Seconds = dict[str, float]


@dataclass(frozen=True)
class FrozenParts:
    """What a step trains through."""

    unet: UNet2DConditionModel
    text_encoder: FrozenTextEncoder
    noise_scheduler: DDPMScheduler
    visual_width: int  # of the CLIP image embedding

    @classmethod
    def load(cls, models: BaseModels, visual_width: int) -> "FrozenParts":
        """The base models in float32."""
        unet = load_unet(models).requires_grad_(False)
        return cls(unet, load_text_encoder(models).float(), load_noise_scheduler(models), visual_width)


class NoLoRA(HiLoRA):
    """In HiLoRA's place where the U-Net has no LoRA."""

    def __init__(self) -> None:
        super().__init__({}, GateInput(1, 1.0))

    def set_gates(self, gates: Tensor | None) -> None:
        """There are none."""


class PeftPairs(HiLoRA):
    """The ten pairs as PEFT's adapters of one U-Net: one sample's two are made active, as PEFT can."""

    def __init__(self, unet: UNet2DConditionModel, rank: int) -> None:
        super().__init__({}, GateInput(rank, float(rank)))
        config = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(ATTENTION_TARGETS))
        self.model = get_peft_model(unet, config, adapter_name=PAIRS[0])
        for pair in PAIRS[1:]:
            self.model.add_adapter(pair, config)

    def set_gates(self, gates: Tensor | None) -> None:
        """Make the open pairs of one sample's gates [1, 10] active."""
        assert gates is not None
        assert len(gates) == 1
        self.model.base_model.set_adapter([PAIRS[index] for index in gates[0].nonzero().flatten().tolist()])

    def parameters(self) -> list[nn.Parameter]:
        """Weights of all adapters, active or not."""
        layers = [module for module in self.model.modules() if isinstance(module, BaseTunerLayer)]
        return [weight for layer in layers for name in ("lora_A", "lora_B") for weight in getattr(layer, name).parameters()]


class WholeStep:
    """Conditioner, U-Net, both losses, gradient clipping and optimizer; `take` is a step that keeps the time of its parts."""

    def __init__(
        self,
        objective: TrainingObjective,
        optimizer: torch.optim.Optimizer,
        trained: Sequence[nn.Parameter],
        autocast: torch.dtype | None = None,
    ) -> None:
        self.objective, self._optimizer, self._trained, self._autocast = objective, optimizer, list(trained), autocast

    @classmethod
    def gated(cls, parts: FrozenParts, recipe: TrainingRecipe, autocast: torch.dtype | None = None) -> "WholeStep":
        """Ours, on the device where the parts are."""
        hilora = inject(parts.unet, recipe.rank, seed=recipe.seed)
        objective = _objective(parts, parts.unet, hilora, recipe)
        conditioner = list(objective.conditioner.parameters())
        optimizer = PairwiseAdamW(hilora.parameters(), conditioner, recipe.learning_rate, weight_decay=recipe.weight_decay)
        return cls(objective, optimizer, [*hilora.parameters(), *conditioner], autocast)

    @classmethod
    def without_lora(cls, parts: FrozenParts, recipe: TrainingRecipe) -> "WholeStep":
        """Nothing but the conditioner is trained, through the U-Net as it came."""
        objective = _objective(parts, parts.unet, NoLoRA(), recipe)
        return cls._with_adamw(objective, list(objective.conditioner.parameters()), recipe)

    @classmethod
    def peft(cls, parts: FrozenParts, recipe: TrainingRecipe) -> "WholeStep":
        """Ten PEFT adapters; takes batches of one sample."""
        pairs = PeftPairs(parts.unet, recipe.rank)
        objective = _objective(parts, pairs.model, pairs, recipe)
        return cls._with_adamw(objective, [*pairs.parameters(), *objective.conditioner.parameters()], recipe)

    @classmethod
    def _with_adamw(cls, objective: TrainingObjective, trained: list[nn.Parameter], recipe: TrainingRecipe) -> "WholeStep":
        return cls(objective, torch.optim.AdamW(trained, recipe.learning_rate, weight_decay=recipe.weight_decay), trained)

    def take(self, batch: TrainingBatch) -> Seconds:
        """One optimizer step; returns seconds by part (on a GPU: of handing the work over)."""
        clock = [time.perf_counter()]
        with torch.autocast(batch.latents.device.type, self._autocast, enabled=self._autocast is not None):
            losses = self.objective(batch)
            loss = losses.diffusion.mean() + self.objective.recipe.semantic_weight * losses.semantic.mean()
        clock.append(time.perf_counter())
        loss.backward()
        clock.append(time.perf_counter())
        torch.nn.utils.clip_grad_norm_(self._trained, self.objective.recipe.max_gradient_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        clock.append(time.perf_counter())
        parts = ("forward", "backward", "clipping and optimizer")
        return {part: end - start for part, start, end in zip(parts, clock[:-1], clock[1:], strict=True)}


class UNetStep:
    """The U-Net alone: forward, backward to a condition that stands for the conditioner's output, clipping and optimizer."""

    def __init__(self, unet: UNet2DConditionModel, batch_size: int, *, gated: bool) -> None:
        generator = torch.Generator().manual_seed(0)
        side = unet.config.sample_size
        self._unet = unet.requires_grad_(False)
        self._latents = torch.randn(batch_size, 4, side, side, generator=generator)
        self._timesteps = torch.randint(1000, (batch_size,), generator=generator)
        self._condition = torch.randn(batch_size, 77, unet.config.cross_attention_dim, generator=generator, requires_grad=True)
        self._hilora = inject(unet) if gated else None
        if self._hilora is not None:
            self._hilora.set_gates(gates_for(index % len(EMOTIONS) for index in range(batch_size)))
            self._optimizer = PairwiseAdamW(self._hilora.parameters())

    def take(self) -> None:
        """One step."""
        self._predict().square().mean().backward()
        self._condition.grad = None
        if self._hilora is not None:
            torch.nn.utils.clip_grad_norm_(self._hilora.parameters(), 1.0)
            self._optimizer.step()
            self._optimizer.zero_grad()

    @torch.no_grad()
    def forward_only(self) -> None:
        """Predict, without a graph."""
        self._predict()

    def _predict(self) -> Tensor:
        return self._unet(self._latents, self._timesteps, encoder_hidden_states=self._condition).sample


def _objective(parts: FrozenParts, unet: nn.Module, hilora: HiLoRA, recipe: TrainingRecipe) -> TrainingObjective:
    """The objective around a U-Net that may be wrapped, everything on that U-Net's device."""
    conditioner = Conditioner(recipe.conditioner, parts.text_encoder, parts.visual_width, seed=recipe.seed)
    return TrainingObjective(unet, hilora, conditioner, parts.noise_scheduler, recipe).to(next(unet.parameters()).device)
