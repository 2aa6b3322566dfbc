"""Feature extractors as adapters: what a metric asks of a network, whichever network it is.

A batch is a sequence of RGB pictures, each a uint8 array [height, width, 3] with values 0 to 255; sizes may differ within a
batch, and every adapter resizes as its own network wants. Every adapter has an `identity` that goes into recipe ids and
into every report: two numbers are comparable only when their identities are equal. A network is loaded into memory, because its weights
are part of its identity, and goes to its device when it is first asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from coemogen_core.data.decode import decode_image

RgbBatch = Sequence[NDArray[np.uint8]]
FloatArray = NDArray[np.float32]


class Extractor(Protocol):
    """A network with its weights and its preprocessing."""

    @property
    def identity(self) -> str:
        """Network, weights and preprocessing; of an embedder also whether its vectors have unit length."""


class FidExtractor(Extractor, Protocol):
    """Pooled features whose Gaussian statistics FID compares (the paper: Inception-V3, 2,048 numbers)."""

    def features(self, batch: RgbBatch) -> FloatArray:
        """Features [n, d]."""


class PerceptualTrunk(Extractor, Protocol):
    """Feature maps that LPIPS compares (the paper: AlexNet)."""

    @property
    def layer_weights(self) -> Sequence[FloatArray] | None:
        """One vector [c] of non-negative linear weights a layer; None means 1 everywhere."""

    def feature_maps(self, batch: RgbBatch) -> list[FloatArray]:
        """Activations of every layer, [n, c, h, w] each; one working size for all pictures."""


class EmotionClassifier(Extractor, Protocol):
    """A classifier of the eight emotions."""

    @property
    def through_clip(self) -> bool:
        """Whether it sees images through CLIP: a method that CLIP's space drives may please it without showing anybody an emotion."""

    def probabilities(self, batch: RgbBatch) -> FloatArray:
        """Probabilities [n, 8] in the order of EMOTIONS; rows sum to 1."""


class ContentClassifier(Extractor, Protocol):
    """An object and a scene classifier (the paper: ResNet-50 on ImageNet and on Places365)."""

    def top1_probabilities(self, batch: RgbBatch) -> tuple[FloatArray, FloatArray]:
        """The largest probability of the object classifier [n] and of the scene classifier [n]."""


class ImageEmbedder(Extractor, Protocol):
    """An image encoder of a joint image-text space (the paper: CLIP ViT-L/14)."""

    def embeddings(self, batch: RgbBatch) -> FloatArray:
        """Embeddings [n, d]."""


@dataclass(frozen=True)
class ExtractorSet:
    """One extractor for every metric; the first emotion probe gives Emo-A, further ones are reported beside it."""

    fid: FidExtractor
    perceptual: PerceptualTrunk
    emotion_probes: tuple[EmotionClassifier, ...]
    content: ContentClassifier
    clip: ImageEmbedder

    def __post_init__(self) -> None:
        if not self.emotion_probes:
            raise ValueError("an ExtractorSet needs at least one emotion probe: it gives Emo-A")

    def identities(self) -> dict[str, str | list[str]]:
        """Identity of every extractor, for recipe ids and reports."""
        return {
            "fid": self.fid.identity,
            "lpips": self.perceptual.identity,
            "emo_a": [probe.identity for probe in self.emotion_probes],
            "sem_c": self.content.identity,
            "sem_d": self.clip.identity,
        }


def decode_rgb(data: bytes) -> NDArray[np.uint8]:
    """Decode an encoded picture to uint8 [height, width, 3].

    Raises:
        UnreadableImage: the bytes are no usable picture (a ValueError with a reason).
    """
    return np.asarray(decode_image(data))
