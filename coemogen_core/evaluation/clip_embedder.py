"""A CLIP as the embedder of Sem-D: once with its own preprocessing, once with the public evaluation code's fault."""

from typing import Protocol

import numpy as np
from PIL import Image

from coemogen_core.evaluation.extractors import FloatArray, RgbBatch


class PillowEncoder(Protocol):
    """The part of `curation.clip_encoder.ClipEncoder` that the corrected protocol needs."""

    def encode_images(self, images: list[Image.Image]) -> FloatArray:
        """Embeddings [n, d]."""


class PixelEncoder(Protocol):
    """The part of `curation.clip_encoder.ClipEncoder` that protocol "emogen" needs."""

    @property
    def normalisation(self) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation [3] by which pixels in [0, 1] are normalised."""

    def preprocess(self, image: Image.Image) -> FloatArray:
        """Normalised pixels [3, height, width]."""

    def encode_pixels(self, pixels: FloatArray) -> FloatArray:
        """Embeddings [n, d] of normalised pixels [n, 3, height, width]."""


class ClipEmbedder:
    """Unit-length CLIP image embeddings straight from 8-bit pictures: the image processor rescales them once."""

    def __init__(self, encoder: PillowEncoder, identity: str) -> None:
        self._encoder = encoder
        self.identity = f"{identity}, unit length"

    def embeddings(self, batch: RgbBatch) -> FloatArray:
        """Embeddings [n, d]."""
        return np.asarray(self._encoder.encode_images(_pictures(batch)), dtype=np.float32)


class ScaledClipEmbedder(ClipEmbedder):
    """The same from an encoder that gives raw vectors, so that one CLIP in memory serves a head that reads raw ones, too."""

    def embeddings(self, batch: RgbBatch) -> FloatArray:
        """Embeddings [n, d]."""
        raw = super().embeddings(batch)
        return raw / np.linalg.norm(raw, axis=1, keepdims=True).clip(1e-12)


class TwiceRescaledClipEmbedder:
    """Protocol "emogen": pixels that lie in [0, 1] already are divided by 255 once more, and the embeddings keep their length.

    The network sees pictures that are black but for rounding, all nearly alike. That the published values are of raw embeddings
    shows in their size: unit vectors of 768 numbers cannot reach them (docs/metrics.md).
    """

    def __init__(self, encoder: PixelEncoder, identity: str) -> None:
        self._encoder = encoder
        self.identity = f"{identity}, raw, pixels rescaled twice"

    def embeddings(self, batch: RgbBatch) -> FloatArray:
        """Embeddings [n, d]."""
        mean, spread = (values.reshape(3, 1, 1) for values in self._encoder.normalisation)
        pixels = np.stack([self._encoder.preprocess(picture) for picture in _pictures(batch)])
        dark = ((pixels * spread + mean) / 255 - mean) / spread
        return np.asarray(self._encoder.encode_pixels(dark.astype(np.float32)), dtype=np.float32)


def _pictures(batch: RgbBatch) -> list[Image.Image]:
    return [Image.fromarray(rgb) for rgb in batch]
