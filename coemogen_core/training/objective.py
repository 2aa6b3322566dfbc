"""The training objective L = L_LDM + w L_SEM (paper, section on the losses) as one module over frozen and trained parts."""

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import Tensor, nn

from coemogen_core.emotions import EMOTIONS
from coemogen_core.model.base_models import BaseModels, load_noise_scheduler, load_text_encoder
from coemogen_core.model.conditioner import Conditioner
from coemogen_core.model.gates import gates_for, restrict
from coemogen_core.model.hilora import HiLoRA, inject
from coemogen_core.model.losses import semantic_loss
from coemogen_core.model.text_encoder import EncodedText
from coemogen_core.training.batches import TrainingBatch
from coemogen_core.training.denoising_objective import DTYPES, DenoisingObjective, load_training_unet
from coemogen_core.training.recipes import TrainingRecipe


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

    def condition(self, batch: TrainingBatch) -> EncodedText:
        """Emotion and visual embedding through the conditioner."""
        return self.conditioner(self.one_hot[batch.label], batch.visual)

    def prepare_unet(self, batch: TrainingBatch) -> None:
        """Every sample's own gates."""
        self.hilora.set_gates(self.gates[batch.label])

    def semantic(self, encoded: EncodedText, batch: TrainingBatch) -> Tensor:
        """L_SEM: conditioning against caption."""
        assert encoded.pooled is not None
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
