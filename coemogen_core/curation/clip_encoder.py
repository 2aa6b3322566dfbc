"""Any CLIP that transformers opens, as two functions: pictures to unit vectors, texts to unit vectors.

Which pixels a model sees (size, crop, mean) is part of the model's folder, so its fingerprint covers the preprocessing.
"""

import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Literal, TypeVar

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

from coemogen_core.model_source import ModelName, fingerprint
from coemogen_core.recipe import recipe_id

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
Item = TypeVar("Item")
_LOADING = threading.Lock()


class EncoderRecipe(BaseModel):
    """Which CLIP, and how it runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: ModelName = Field(min_length=1, description="folder of a saved CLIPModel with tokenizer and image processor, or a hub id")
    revision: str | None = Field(default=None, description="commit of a hub model; none = its main branch")
    precision: Literal["float32", "float16", "bfloat16"] = Field(default="float32", description="number format that the model computes in")
    batch_size: int = Field(default=64, ge=1, le=4096, description="pictures or texts per forward pass; not part of the recipe id")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="where it runs; not part of the recipe id")

    @property
    def encoder_id(self) -> str:
        """Recipe id: hashes weights, tokenizer and preprocessing (the model's fingerprint) and the precision.

        Raises:
            FileNotFoundError: `model` looks like a folder and is none.
        """
        return recipe_id("clip", {"model": fingerprint(self.model, self.revision), "precision": self.precision})

    @property
    def torch_device(self) -> torch.device:
        """The device that `device` stands for on this machine."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)


class ClipEncoder:
    """A loaded CLIP. Get one by `load_encoder`, which keeps it for the life of the process."""

    def __init__(self, recipe: EncoderRecipe) -> None:
        source = {"pretrained_model_name_or_path": recipe.model, "revision": recipe.revision or "main"}
        self.recipe = recipe
        self._device = recipe.torch_device
        self._dtype = _DTYPES[recipe.precision]
        self._model = CLIPModel.from_pretrained(**source, dtype=self._dtype).to(self._device).eval().requires_grad_(False)
        self._tokenizer = AutoTokenizer.from_pretrained(**source)
        self._processor = AutoImageProcessor.from_pretrained(**source, backend="pil")

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self._model.config.projection_dim)

    @property
    def text_limit(self) -> int:
        """Longest text in tokens, begin and end tokens included; longer ones are cut."""
        return int(self._model.config.text_config.max_position_embeddings)

    def preprocess(self, image: Image.Image) -> np.ndarray:
        """What the model sees of one RGB picture: float32 [3, height, width], resized, cropped and normalised."""
        return np.asarray(self._processor(images=[image], return_tensors="np")["pixel_values"][0], dtype=np.float32)

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Unit-length embeddings, float32 [n, dim], of preprocessed pictures [n, 3, height, width], in one forward pass."""
        with torch.inference_mode():
            values = torch.from_numpy(pixels).to(self._device, self._dtype)
            return self._unit(self._model.get_image_features(pixel_values=values).pooler_output)

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Unit-length embeddings, float32 [n, dim], of RGB pictures of any size."""
        batches = _batched(images, self.recipe.batch_size)
        vectors = [self.encode_pixels(np.stack([self.preprocess(image) for image in batch])) for batch in batches]
        return np.concatenate(vectors) if vectors else np.empty((0, self.dim), dtype=np.float32)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit-length embeddings, float32 [n, dim], of texts; what exceeds `text_limit` tokens is cut off."""
        vectors = [self._encode_text_batch(batch) for batch in _batched(texts, self.recipe.batch_size)]
        return np.concatenate(vectors) if vectors else np.empty((0, self.dim), dtype=np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Length of each whole text in this model's tokens, both end tokens included; `encode_texts` cuts what exceeds `text_limit`."""
        return [len(ids) for ids in self._tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]]

    def _encode_text_batch(self, texts: Sequence[str]) -> np.ndarray:
        tokens = self._tokenizer(list(texts), padding=True, truncation=True, max_length=self.text_limit, return_tensors="pt")
        with torch.inference_mode():
            features = self._model.get_text_features(
                input_ids=tokens["input_ids"].to(self._device), attention_mask=tokens["attention_mask"].to(self._device)
            )
            return self._unit(features.pooler_output)

    def _unit(self, features: torch.Tensor) -> np.ndarray:
        vectors = features.float()
        if not torch.isfinite(vectors).all():
            raise FloatingPointError(
                f"CLIP {self.recipe.model} gave NaN or infinite embeddings in {self.recipe.precision}: use precision float32 or bfloat16"
            )
        return torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()


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


def _batched(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
