"""Baseline: Textual Inversion (Gal et al. 2022) for every emotion; everything is frozen but the embeddings of a few pseudo-words.

Differs from the original: one prompt instead of templates drawn at random, several words instead of one, a start at the emotion's own name.
"""

from collections.abc import Sequence
from typing import ClassVar

from diffusers import DDPMScheduler, UNet2DConditionModel
from pydantic import Field, field_validator
from torch import Tensor, nn

from coemogen_core.emotions import EMOTIONS
from coemogen_core.methods.generator import Generator
from coemogen_core.methods.method import TrainingData
from coemogen_core.methods.pseudo_words import PromptFrame, PseudoWordGenerator, split_prompt
from coemogen_core.methods.trained import OnProgress, TrainedBaseline, by_emotion, load_frozen, load_tensors, save_tensors
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.conditioner import EmotionWords
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.model.text_encoder import EncodedText, FrozenTextEncoder
from coemogen_core.training.batches import TrainingBatch
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.objective import DenoisingObjective
from coemogen_core.training.optimisation import OptimisationRecipe
from coemogen_core.training.trainer import Trainer


class TextualInversionRecipe(OptimisationRecipe):
    """How the words are learnt. `steps` are those of all emotions together."""

    prompt: str = Field(default="an image of {word}", description="prompt in training and generation; {word} = the learnt words")
    num_tokens: int = Field(default=8, ge=1, le=64, description="words learnt for each emotion; 8 is what CoEmoGen has")

    _has_place = field_validator("prompt")(lambda prompt: (split_prompt(prompt), prompt)[1])


class TextualInversionObjective(DenoisingObjective):
    """L_LDM of one emotion's pictures; trained are the words [num_tokens, width], in units of the word embeddings' spread."""

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text_encoder: FrozenTextEncoder,
        scheduler: DDPMScheduler,
        recipe: TextualInversionRecipe,
        emotion: int,
    ) -> None:
        super().__init__(unet, text_encoder, scheduler, recipe)
        self.words = nn.Parameter(EmotionWords(recipe.num_tokens, text_encoder).words[emotion].clone())
        self._frame = PromptFrame(text_encoder, recipe.prompt)

    def condition(self, batch: TrainingBatch) -> EncodedText:
        """The prompt with the words, the same for all samples."""
        return self.text_encoder(self._frame.around(self.words.expand(len(batch.label), -1, -1)))


class TextualInversion(TrainedBaseline[TextualInversionRecipe]):
    """`model/<emotion>.safetensors` holds the words of each emotion of the corpus."""

    kind: ClassVar[str] = "textual-inversion"

    def fit(self, data: TrainingData, run_id: str, features: FeatureSet, on_progress: OnProgress) -> None:
        """One training an emotion, below `runs/<run_id>/<emotion>/`."""
        for emotion, index, recipe in by_emotion(data, run_id, features, self.recipe):
            objective = TextualInversionObjective(*load_frozen(data.models, recipe), recipe, index)
            Trainer(data.workspace, f"{run_id}/{emotion}", features, objective, only=index).train(on_progress)
            save_tensors(data.workspace, run_id, emotion, {"words": objective.words})

    def load(self, models: BaseModels, recipe: GenerationRecipe, model_folder: str) -> Generator:
        """The base model with the learnt words."""
        found = load_tensors(model_folder)
        words: dict[str, Tensor] = {emotion: found[emotion]["words"] for emotion in EMOTIONS if emotion in found}
        return TextualInversionGenerator(models, recipe, self.recipe.prompt, words)


class TextualInversionGenerator(PseudoWordGenerator):
    """Pictures from learnt words."""

    def __init__(self, models: BaseModels, recipe: GenerationRecipe, prompt: str, words: dict[str, Tensor]) -> None:
        super().__init__(models, recipe, prompt)
        self._words = words

    def pseudo_words(self, emotion: str, seeds: Sequence[int]) -> Tensor:
        """The emotion's words for every picture."""
        if emotion not in self._words:
            raise ValueError(f"no words were learnt for {emotion}: the training corpus had no such images; it has {', '.join(self._words)}")
        return self._words[emotion].expand(len(seeds), -1, -1)
