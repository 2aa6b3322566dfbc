"""Prompt alignment: how well pictures show the text they were asked for, the cosine of CLIP's embeddings of picture and text.

CLIPScore (Hessel et al. 2021) without its factor and its cut at zero: both hide what is far from the text. For emotion transfer the text is
the content alone ("a bag on a table"), so that the number says what is left of it under the emotion.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coemogen_core.emotions import EMOTIONS
from coemogen_core.statistics.bootstrap import estimate, mean_or_none, percentile_interval, resample_counts, resampled_means, too_few
from schemas.metrics import Estimate

LEVEL = 0.95


@dataclass(frozen=True)
class PromptAlignment:
    """Mean cosine over all pictures, and over those of each emotion that has any."""

    overall: Estimate
    by_emotion: dict[str, Estimate]


def similarities(images: NDArray[np.floating], texts: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosine of each picture with its own text, in [-1, 1].

    Args:
        images: embeddings [n, d], of any length but zero.
        texts: embeddings of the texts in the same space, [n, d], or [1, d] for one text of all.

    Raises:
        ValueError: the embeddings do not belong together, or one of them is zero.
    """
    if images.ndim != 2 or texts.ndim != 2 or images.shape[1] != texts.shape[1] or len(texts) not in (1, len(images)):
        raise ValueError(f"embeddings of pictures {images.shape} and of texts {texts.shape}: expected [n, d], and [n, d] or [1, d]")
    pictures, words = images.astype(np.float64), texts.astype(np.float64)
    lengths = np.linalg.norm(pictures, axis=1) * np.linalg.norm(words, axis=1)
    if not (lengths > 0).all():
        raise ValueError("an embedding of length zero has no direction: look at the pictures, or at the CLIP")
    return (pictures * words).sum(axis=1) / lengths


def prompt_alignment(
    images: NDArray[np.floating],
    texts: NDArray[np.floating],
    emotions: NDArray[np.integer],
    extractor: str,
    resamples: int = 1000,
    seed: int = 0,
) -> PromptAlignment:
    """Mean cosine of pictures and texts with 95 % bootstrap intervals, pictures redrawn within their emotion.

    Args:
        images: embeddings [n, d].
        texts: embeddings [n, d] or [1, d].
        emotions: indices into EMOTIONS [n].
        extractor: identity of the CLIP.
        resamples: of the bootstrap.
        seed: of the draws.

    Raises:
        ValueError: as in `similarities`.
    """
    values = similarities(images, texts)
    overall = _estimate(values, emotions, extractor, resamples, seed)
    present = {EMOTIONS[index]: emotions == index for index in np.unique(emotions)}
    return PromptAlignment(
        overall, {name: _estimate(values[rows], emotions[rows], extractor, resamples, seed) for name, rows in present.items()}
    )


def _estimate(values: NDArray[np.float64], emotions: NDArray[np.integer], extractor: str, resamples: int, seed: int) -> Estimate:
    reason = too_few(emotions, EMOTIONS)
    resampled = np.empty(0) if reason else resampled_means(values, resample_counts(emotions, resamples, seed))
    interval = None if reason else percentile_interval(resampled, LEVEL)
    return estimate(mean_or_none(values), interval, images=len(values), resamples=resamples, extractor=extractor, reason=reason)
