"""Prompts with pseudo-words in them: what Textual Inversion and EmoGen's mapper put in a word's place."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from coemogen_core.methods.generator import DiffusionGenerator
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.model.text_encoder import FrozenTextEncoder

PLACE = "{word}"


class PromptFrame:
    """The words of a prompt around the place of the pseudo-words, e.g. "an image of {word}"."""

    def __init__(self, text_encoder: FrozenTextEncoder, prompt: str) -> None:
        before, after = split_prompt(prompt)
        width = text_encoder.width
        self._before, self._after = (
            text_encoder.word_pieces(text) if text else torch.zeros(0, width, device=text_encoder.text_model.device)
            for text in (before, after)
        )
        self._scale = text_encoder.word_scale

    def around(self, pseudo_words: Tensor) -> Tensor:
        """Embeddings of the whole prompt [b, words, width] from pseudo-words [b, n, width] in units of the word embeddings' spread."""
        before, after = (part.to(pseudo_words).expand(len(pseudo_words), -1, -1) for part in (self._before, self._after))
        return torch.cat([before, pseudo_words * self._scale, after], dim=1)


def split_prompt(prompt: str) -> tuple[str, str]:
    """What stands before and after `{word}`.

    Raises:
        ValueError: it does not stand there exactly once.
    """
    if prompt.count(PLACE) != 1:
        raise ValueError(f"prompt {prompt!r} must hold {PLACE} once: there the learnt words go")
    before, _, after = prompt.partition(PLACE)
    return before.strip(), after.strip()


class PseudoWordGenerator(DiffusionGenerator):
    """The base diffusion model with a prompt that has pseudo-words in it."""

    def __init__(self, models: BaseModels, recipe: GenerationRecipe, prompt: str) -> None:
        """Load the base pipeline."""
        super().__init__(models, recipe)
        self._text_encoder = FrozenTextEncoder(self._base.text_encoder, self._base.tokenizer)
        self._frame = PromptFrame(self._text_encoder, prompt)
        self._negative = self._text_encoder.encode_prompts([recipe.negative_prompt]).sequence

    @abstractmethod
    def pseudo_words(self, emotion: str, seeds: Sequence[int]) -> Tensor:
        """Pseudo-words of each picture [n, words, width], in units of the word embeddings' spread.

        Raises:
            ValueError: the training corpus lacked this emotion.
        """

    def conditioning(self, emotion: str, seeds: Sequence[int]) -> dict[str, Any]:
        """The encoded prompt with the words in it, against the recipe's negative prompt."""
        words = self.pseudo_words(emotion, seeds).to(self._base.device)
        sequence = self._text_encoder(self._frame.around(words)).sequence.to(self._base.unet.dtype)
        return {"prompt_embeds": sequence, "negative_prompt_embeds": self._negative.expand_as(sequence).to(sequence.dtype)}
