"""Any CLIP that transformers opens, as two functions: pictures to unit vectors, texts to unit vectors.

Which pixels a model sees (size, crop, mean) is part of the model's folder, so its fingerprint covers the preprocessing.
"""

import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Annotated, TypeVar

import numpy as np
import torch
import transformers  # opens what is used of it, when it is used
from PIL import Image
from pydantic import Field

from coemogen_core.device import placed
from coemogen_core.encoders.compute_settings import ComputeSettings
from coemogen_core.encoders.filled_batches import MULTIPLE, filled_up
from coemogen_core.recipe import IdentifiedOtherwise, recipe_id
from coemogen_core.storage.model_source import ModelName, fingerprint, locate, opening

Item = TypeVar("Item")
_LOADING = threading.Lock()


class EncoderRecipe(ComputeSettings):
    """Which CLIP, and how it runs."""

    model: Annotated[ModelName, IdentifiedOtherwise] = Field(
        min_length=1, description="folder of a saved CLIPModel with tokenizer and image processor, or a hub id"
    )
    revision: Annotated[str | None, IdentifiedOtherwise] = Field(default=None, description="commit of a hub model; none = its main branch")
    unit_length: bool = Field(
        default=True,
        description="off = image embeddings keep the length that the model gives them: EmoGen's published head needs that",
    )

    @property
    def encoder_id(self) -> str:
        """Recipe id: hashes weights, tokenizer and preprocessing (the model's fingerprint), the precision and whether vectors are raw.

        Raises:
            FileNotFoundError: `model` looks like a folder and is none.
        """
        return recipe_id("clip", {**self.identity, "model": fingerprint(self.model, self.revision)})


class ClipEncoder:
    """A loaded CLIP, on its device once it is asked. Get one by `load_encoder`, which keeps it for the life of the process."""

    def __init__(self, recipe: EncoderRecipe) -> None:
        source = {"pretrained_model_name_or_path": locate(recipe.model), "revision": recipe.revision or "main"}
        self.recipe = recipe
        self._device = recipe.torch_device
        self._dtype = recipe.torch_dtype
        with opening(recipe.model):
            self._model = transformers.CLIPModel.from_pretrained(**source, dtype=self._dtype).eval().requires_grad_(False)
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
            self._processor = transformers.AutoImageProcessor.from_pretrained(**source, backend="pil")

    @property
    def encoder_id(self) -> str:
        """Recipe id of its vectors."""
        return self.recipe.encoder_id

    @property
    def batch_size(self) -> int:
        """Pictures or texts per forward pass."""
        return self.recipe.batch_size

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self._model.config.projection_dim)

    @property
    def text_limit(self) -> int:
        """Longest text in tokens, begin and end tokens included; longer ones are cut."""
        return int(self._model.config.text_config.max_position_embeddings)

    @property
    def normalisation(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation, float32 [3] each, by which `preprocess` normalises pixels in [0, 1]."""
        mean, spread = self._processor.image_mean, self._processor.image_std
        return np.asarray(mean, dtype=np.float32), np.asarray(spread, dtype=np.float32)

    def preprocess(self, image: Image.Image) -> np.ndarray:
        """What the model sees of one RGB picture: float32 [3, height, width], resized, cropped and normalised."""
        return np.asarray(self._processor(images=[image], return_tensors="np")["pixel_values"][0], dtype=np.float32)

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Embeddings, float32 [n, dim], of preprocessed pictures [n, 3, height, width], in one forward pass; of unit length by default."""
        model = placed(self._model, self._device)
        with torch.inference_mode():
            values = torch.from_numpy(filled_up(pixels)).to(self._device, self._dtype)
            features = self._finite(model.get_image_features(pixel_values=values).pooler_output)[: len(pixels)]
            return (torch.nn.functional.normalize(features, dim=-1) if self.recipe.unit_length else features).cpu().numpy()

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Embeddings, float32 [n, dim], of RGB pictures of any size; of unit length by default."""
        vectors = [self.encode_pixels(np.stack([self.preprocess(image) for image in batch])) for batch in self._batches(images)]
        return np.concatenate(vectors) if vectors else np.empty((0, self.dim), dtype=np.float32)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit-length embeddings, float32 [n, dim], of texts; what exceeds `text_limit` tokens is cut off."""
        found = np.empty((len(texts), self.dim), dtype=np.float32)
        by_length: dict[int, list[int]] = {}
        for row, count in enumerate(self.count_tokens(texts)):
            by_length.setdefault(min(count + -count % MULTIPLE, self.text_limit), []).append(row)
        for length, rows in by_length.items():  # how far a text is padded is its own affair: padding moves the last bits
            for batch in self._batches(rows):
                found[batch] = self._encode_text_batch([texts[row] for row in batch], length)
        return found

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Length of each whole text in this model's tokens, both end tokens included; `encode_texts` cuts what exceeds `text_limit`."""
        return [len(ids) for ids in self._tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]] if texts else []

    def _batches(self, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        return (items[start : start + self.recipe.batch_size] for start in range(0, len(items), self.recipe.batch_size))

    def _encode_text_batch(self, texts: Sequence[str], length: int) -> np.ndarray:
        tokens = self._tokenizer(list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        ids, mask = (filled_up(tokens[name]).to(self._device) for name in ("input_ids", "attention_mask"))
        model = placed(self._model, self._device)
        with torch.inference_mode():
            features = self._finite(model.get_text_features(input_ids=ids, attention_mask=mask).pooler_output)[: len(texts)]
            return torch.nn.functional.normalize(features, dim=-1).cpu().numpy()

    def _finite(self, features: torch.Tensor) -> torch.Tensor:
        vectors = features.float()
        if not torch.isfinite(vectors).all():
            raise FloatingPointError(
                f"CLIP {self.recipe.model} gave NaN or infinite embeddings in {self.recipe.precision}: use precision float32 or bfloat16"
            )
        return vectors


def load_encoder(recipe: EncoderRecipe) -> ClipEncoder:
    """The encoder of a recipe, loaded once per process and shared by its threads.

    Raises:
        OSError: the folder or hub id holds no CLIP model, tokenizer or image processor.
    """
    with _LOADING:
        return _load_encoder(recipe)


@lru_cache(maxsize=2)
def _load_encoder(recipe: EncoderRecipe) -> ClipEncoder:
    return ClipEncoder(recipe)
