"""Emotion clusters: a Gaussian per emotion over CLIP image embeddings, from which visual embeddings are drawn (paper, generation)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from coemogen_core.emotions import EMOTIONS
from coemogen_core.model.gates import EmotionQuery, emotion_weights

Covariance = Literal["diagonal", "full"]


@dataclass(frozen=True)
class EmotionClusters:
    """Mean and spread of the CLIP image embeddings of each emotion; emotions without images are absent."""

    means: Mapping[str, Tensor]  # [d] each
    spreads: Mapping[str, Tensor]  # standard deviations [d] (diagonal), or lower Cholesky factors [d, d] (full)

    @property
    def width(self) -> int:
        """Width d of an embedding."""
        return next(iter(self.means.values())).shape[0]

    @classmethod
    def fit(cls, embeddings: Tensor, labels: Tensor, covariance: Covariance = "diagonal") -> "EmotionClusters":
        """Fit one Gaussian per emotion that occurs.

        Args:
            embeddings: [n, d].
            labels: indices into EMOTIONS [n].
            covariance: `diagonal` (as EmoGen's released clusters) or `full`, shrunk towards a sphere (Ledoit-Wolf, scikit-learn).

        Raises:
            ValueError: no rows.
        """
        if len(embeddings) == 0:
            raise ValueError("no embeddings to fit emotion clusters to: the corpus kept no images")
        means: dict[str, Tensor] = {}
        spreads: dict[str, Tensor] = {}
        for index, emotion in enumerate(EMOTIONS):
            rows = embeddings[labels == index].double().numpy()
            if len(rows) == 0:
                continue
            means[emotion] = torch.from_numpy(rows.mean(0)).float()
            spread = rows.std(0) if covariance == "diagonal" else _cholesky(rows)
            spreads[emotion] = torch.from_numpy(spread).float()
        return cls(means, spreads)

    def sample(self, query: EmotionQuery, seed: int) -> Tensor:
        """Draw one visual embedding [d]; the same seed and emotion give the same vector.

        A fusion is the weighted sum of draws that share their noise, so that it moves continuously between its emotions.

        Raises:
            ValueError: an emotion without a cluster.
        """
        noise = torch.randn(self.width, generator=torch.Generator().manual_seed(seed))
        return self._mix(query, lambda emotion: self._draw(emotion, noise))

    def mean(self, query: EmotionQuery) -> Tensor:
        """The middle [d] of an emotion's cluster, or of a fusion's.

        Raises:
            ValueError: an emotion without a cluster.
        """
        return self._mix(query, lambda emotion: self.means[emotion])

    def to_bytes(self) -> bytes:
        """As a safetensors file: `mean.<emotion>` and `spread.<emotion>`."""
        tensors = {f"mean.{emotion}": mean for emotion, mean in self.means.items()}
        return save({**tensors, **{f"spread.{emotion}": spread for emotion, spread in self.spreads.items()}})

    @classmethod
    def from_bytes(cls, data: bytes) -> "EmotionClusters":
        """Read what `to_bytes` wrote."""
        tensors = load(data)
        present = [emotion for emotion in EMOTIONS if f"mean.{emotion}" in tensors]
        return cls({e: tensors[f"mean.{e}"] for e in present}, {e: tensors[f"spread.{e}"] for e in present})

    def _mix(self, query: EmotionQuery, vector_of: Callable[[str], Tensor]) -> Tensor:
        weights = {emotion: weight for emotion, weight in zip(EMOTIONS, emotion_weights(query).tolist(), strict=True) if weight}
        if missing := sorted(weights.keys() - self.means.keys()):
            raise ValueError(f"no cluster for {', '.join(missing)}: the training corpus had no such images; it has {', '.join(self.means)}")
        return sum((vector_of(emotion) * weight for emotion, weight in weights.items()), torch.zeros(self.width))

    def _draw(self, emotion: str, noise: Tensor) -> Tensor:
        spread = self.spreads[emotion]
        return self.means[emotion] + (spread * noise if spread.dim() == 1 else spread @ noise)


def _cholesky(rows: np.ndarray) -> np.ndarray:
    from sklearn.covariance import ledoit_wolf  # here: a second to import, and only this needs it

    covariance, _ = ledoit_wolf(rows)
    ridge = 1e-9 + 1e-6 * np.trace(covariance) / len(covariance)  # keeps a cluster of one image, or of equal images, factorable
    return np.linalg.cholesky(covariance + ridge * np.eye(len(covariance)))
