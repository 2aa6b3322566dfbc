"""Baseline: DreamBooth (Ruiz et al. 2023) with LoRA for every emotion, by PEFT: the U-Net learns what a rare word means.

Differs from the original: low-rank updates instead of the whole U-Net (as DreamBooth is mostly used today), hundreds of pictures of an
emotion instead of a handful of a thing, and so no prior preservation.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.training_utils import cast_training_params
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from pydantic import Field, field_validator
from torch import Tensor

from coemogen_core.emotions import EMOTIONS
from coemogen_core.methods.generator import Generator, PromptedGenerator
from coemogen_core.methods.method import TrainingData
from coemogen_core.methods.trained import OnProgress, TrainedBaseline, by_emotion, load_frozen, load_tensors, save_tensors
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.model.hilora import ATTENTION_TARGETS
from coemogen_core.model.text_encoder import EncodedText, FrozenTextEncoder
from coemogen_core.training.batches import TrainingBatch
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.objective import DenoisingObjective
from coemogen_core.training.optimisation import OptimisationRecipe
from coemogen_core.training.trainer import Trainer


class DreamBoothRecipe(OptimisationRecipe):
    """How the LoRAs are trained. `steps` are those of all emotions together."""

    prompt: str = Field(default="an image of sks {emotion}", description="prompt in training and generation; sks = the rare word")
    rank: int = Field(default=8, ge=1, le=256, description="rank of each LoRA; 8 is what one emotion has in CoEmoGen (4 + 4); alpha = rank")
    targets: tuple[str, ...] = Field(default=ATTENTION_TARGETS, min_length=1, description="ends of the names of the adapted linears")

    @property
    def identity(self) -> dict[str, Any]:
        """In lower precision it says that the LoRA's weights are float32 all the same: they once were not, and learnt less."""
        return super().identity | ({} if self.precision == "float32" else {"weights": "float32"})

    @field_validator("prompt")
    @classmethod
    def _names_the_emotion(cls, prompt: str) -> str:
        if "{emotion}" not in prompt:
            raise ValueError(f"prompt {prompt!r} holds no {{emotion}}: say where the emotion's name goes")
        return prompt


class DreamBoothObjective(DenoisingObjective):
    """L_LDM of one emotion's pictures under its prompt; trained are PEFT's LoRA weights on the U-Net."""

    sequence: Tensor

    def __init__(
        self, unet: UNet2DConditionModel, text_encoder: FrozenTextEncoder, scheduler: DDPMScheduler, recipe: DreamBoothRecipe, emotion: str
    ) -> None:
        super().__init__(unet, text_encoder, scheduler, recipe)
        encoded = text_encoder.encode_prompts([recipe.prompt.format(emotion=emotion)])
        self.register_buffer("sequence", encoded.sequence, persistent=False)

    def condition(self, batch: TrainingBatch) -> EncodedText:
        """The prompt, the same for all samples."""
        return EncodedText(self.sequence.expand(len(batch.label), -1, -1), None)


def add_lora(unet: UNet2DConditionModel, recipe: DreamBoothRecipe) -> None:
    """Put a fresh LoRA on a frozen U-Net, in float32 whatever the U-Net's precision; A is drawn from the recipe's seed, B is zero.

    In bfloat16 its updates would be rounded away: AdamW's second moment, a mean over a thousand steps, stands still.

    Raises:
        ValueError: no module of the U-Net is named like a target (PEFT's own message).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)  # PEFT draws from torch's global generator
        unet.add_adapter(LoraConfig(r=recipe.rank, lora_alpha=recipe.rank, target_modules=list(recipe.targets)))
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_(".lora_" in name)
    cast_training_params(unet, torch.float32)


class DreamBoothLoRA(TrainedBaseline[DreamBoothRecipe]):
    """`model/<emotion>.safetensors` holds the LoRA of each emotion of the corpus, in PEFT's names."""

    kind: ClassVar[str] = "dreambooth-lora"

    def fit(self, data: TrainingData, run_id: str, features: FeatureSet, on_progress: OnProgress) -> None:
        """One training an emotion, below `runs/<run_id>/<emotion>/`."""
        for emotion, index, recipe in by_emotion(data, run_id, features, self.recipe):
            frozen = load_frozen(data.models, recipe)
            add_lora(frozen.unet, recipe)
            objective = DreamBoothObjective(*frozen, recipe, emotion)
            Trainer(data.workspace, f"{run_id}/{emotion}", features, objective, only=index).train(on_progress)
            save_tensors(data.workspace, run_id, emotion, get_peft_model_state_dict(frozen.unet))

    def load(self, models: BaseModels, recipe: GenerationRecipe, model_folder: str) -> Generator:
        """The base model with a LoRA for every emotion."""
        found = load_tensors(model_folder)
        loras: dict[str, dict[str, Tensor]] = {emotion: found[emotion] for emotion in EMOTIONS if emotion in found}
        return DreamBoothGenerator(models, recipe, self.recipe.prompt, loras)


class DreamBoothGenerator(PromptedGenerator):
    """Pictures from the emotion's prompt and LoRA."""

    def __init__(self, models: BaseModels, recipe: GenerationRecipe, prompt: str, loras: dict[str, dict[str, Tensor]]) -> None:
        super().__init__(models, recipe)
        self._prompt, self._emotions = prompt, tuple(loras)
        for emotion, weights in loras.items():
            self._base.unet.load_lora_adapter(dict(weights), prefix=None, adapter_name=emotion)

    def conditioning(self, emotion: str, seeds: Sequence[int]) -> dict[str, Any]:
        """The prompt, and the emotion's LoRA in the U-Net."""
        if emotion not in self._emotions:
            raise ValueError(
                f"no LoRA was trained for {emotion}: the training corpus had no such images; it has {', '.join(self._emotions)}"
            )
        self._base.unet.set_adapters([emotion])
        return super().conditioning(emotion, seeds)

    def prompts(self, emotion: str, seeds: Sequence[int]) -> list[str]:
        """The prompt of the training."""
        return [self._prompt.format(emotion=emotion)] * len(seeds)
