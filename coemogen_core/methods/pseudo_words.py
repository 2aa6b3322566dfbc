"""Prompts with pseudo-words in them: what Textual Inversion and EmoGen's mapper put in a word's place."""

import threading
from abc import abstractmethod
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from coemogen_core.generation.denoising import batches, denoising_arguments, load_base_pipeline, use_scheduler
from coemogen_core.methods.generator import Generator
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


class PseudoWordGenerator(Generator):
    """The base diffusion model with a prompt that has pseudo-words in it."""

    def __init__(self, models: BaseModels, recipe: GenerationRecipe, prompt: str) -> None:
        """Load the base pipeline."""
        self._base = load_base_pipeline(models, recipe.device)
        self._scheduler = self._base.scheduler
        self._recipe = recipe
        self._text_encoder = FrozenTextEncoder(self._base.text_encoder, self._base.tokenizer)
        self._frame = PromptFrame(self._text_encoder, prompt)
        self._empty_prompt = self._text_encoder.encode_prompts([""]).sequence
        self._lock = threading.Lock()

    @abstractmethod
    def pseudo_words(self, emotion: str, seeds: Sequence[int]) -> Tensor:
        """Pseudo-words of each picture [n, words, width], in units of the word embeddings' spread.

        Raises:
            ValueError: the training corpus lacked this emotion.
        """

    @torch.inference_mode()
    def generate(self, emotion: str, seeds: Sequence[int]) -> list[Image.Image]:
        """One picture per seed."""
        pictures: list[Image.Image] = []
        with self._lock:
            for chunk in batches(seeds, self._recipe.batch_size):
                words = self.pseudo_words(emotion, chunk).to(self._base.device)
                sequence = self._text_encoder(self._frame.around(words)).sequence.to(self._base.unet.dtype)
                use_scheduler(self._base, self._scheduler, self._recipe)
                result = self._base(
                    prompt_embeds=sequence,
                    negative_prompt_embeds=self._empty_prompt.expand_as(sequence).to(sequence.dtype),
                    **denoising_arguments(self._base, self._recipe, chunk),
                )
                pictures.extend(result.images)
        return pictures
