"""Small fakes with the interfaces of the real networks, and pictures of eight emotions."""

import io
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from PIL import Image

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.encoder_extractors import ClipEmbedder
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.features import LabelledImage
from coemogen_core.evaluation.lab_extractors import extractors_of_judges


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


class FakeEmotionJudge(torch.nn.Module):
    """Reads the emotion from the brightness of the red channel, which `picture` paints into it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(200.0))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        level = pixels[:, 0].mean((1, 2))[:, None]
        return -self.scale * (level - (torch.arange(8) + 0.5) / 8).abs()


class FakeContentJudge(torch.nn.Module):
    """A random convolution with the content judge's interface."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.stem = torch.nn.Conv2d(3, 6, 5, stride=4)
            self.heads = torch.nn.ModuleList([torch.nn.Linear(6, 5), torch.nn.Linear(6, 4)])

    def feature_maps(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        first = self.stem(pixels).relu()
        return [first, torch.nn.functional.avg_pool2d(first, 3)]

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.feature_maps(pixels)[0].mean((2, 3))

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled = self.features(pixels)
        return self.heads[0](pooled), self.heads[1](pooled)


class FakeClip:
    """Unit vectors from a coarse thumbnail."""

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        pixels = np.stack([np.asarray(image.resize((4, 4)), dtype=np.float32).ravel() for image in images]) + 1
        return pixels / np.linalg.norm(pixels, axis=1, keepdims=True)


@pytest.fixture
def extractors() -> ExtractorSet:
    return extractors_of_judges(FakeEmotionJudge(), FakeContentJudge(), ClipEmbedder(FakeClip(), "fake-clip"))


@pytest.fixture
def png() -> Callable[..., bytes]:
    """A noisy picture whose red level tells its emotion: `png(emotion, seed, size)`."""
    return _png


@pytest.fixture
def labelled_images() -> Callable[..., list[LabelledImage]]:
    """`count` pictures of every emotion: `labelled_images(count, first_seed, size)`."""

    def make(count: int, first_seed: int = 0, size: tuple[int, int] = (64, 64)) -> list[LabelledImage]:
        return [
            LabelledImage(f"{emotion}-{seed}", emotion, _png(index, first_seed + seed, size))
            for index, emotion in enumerate(EMOTIONS)
            for seed in range(count)
        ]

    return make


def _png(emotion: int, seed: int, size: tuple[int, int] = (64, 64)) -> bytes:
    generator = np.random.default_rng((emotion, seed))
    rgb = generator.integers(0, 255, (size[1], size[0], 3))
    rgb[..., 0] = (emotion + 0.5) / 8 * 255
    buffer = io.BytesIO()
    Image.fromarray(rgb.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
