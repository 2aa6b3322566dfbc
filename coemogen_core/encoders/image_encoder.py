"""Image encoders: whatever turns a batch of pictures into vectors can feed the emotion classifier. CLIP is one, EfficientNet another.

Another one needs a recipe (frozen pydantic model with an `encoder_id`), a class of the shape below, and a line in each of the two
places at the end of this file.
"""

import threading
from functools import lru_cache
from typing import Annotated, Any, Protocol

import numpy as np
from PIL import Image
from pydantic import Discriminator, Tag

from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.encoders.efficientnet import EfficientNetEncoder, EfficientNetRecipe

_LOADING = threading.Lock()


class ImageEncoder(Protocol):
    """A loaded vision backbone."""

    @property
    def encoder_id(self) -> str:
        """Recipe id: hashes weights, preprocessing and precision; names the table of its embeddings."""

    @property
    def dim(self) -> int:
        """Length of an embedding."""

    @property
    def batch_size(self) -> int:
        """Pictures per forward pass."""

    def preprocess(self, image: Image.Image) -> np.ndarray:
        """What the model sees of one RGB picture: float32 [3, height, width], one size for all pictures; called by several threads."""

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Vectors, float32 [n, dim], of preprocessed pictures [n, 3, height, width]; a row's bytes depend on no other row."""


def _kind(value: Any) -> str:
    named = "backbone" in value if isinstance(value, dict) else isinstance(value, EfficientNetRecipe)
    return "efficientnet" if named else "clip"


ImageEncoderRecipe = Annotated[
    Annotated[EncoderRecipe, Tag("clip")] | Annotated[EfficientNetRecipe, Tag("efficientnet")],
    Discriminator(_kind),
]
"""Which image encoder: a CLIP (`model = ...`), or another backbone by name (`backbone = "efficientnet-lite0"`)."""


def load_image_encoder(recipe: EncoderRecipe | EfficientNetRecipe) -> ImageEncoder:
    """The encoder of a recipe, loaded once per process and shared by its threads.

    Raises:
        OSError: the folder or hub id holds no CLIP model, tokenizer or image processor.
        ModuleNotFoundError: the backbone's optional packages are not installed; the message names the extra.
    """
    if isinstance(recipe, EncoderRecipe):
        return load_encoder(recipe)
    with _LOADING:
        return _load_efficientnet(recipe)


@lru_cache(maxsize=1)
def _load_efficientnet(recipe: EfficientNetRecipe) -> EfficientNetEncoder:
    return EfficientNetEncoder(recipe)
