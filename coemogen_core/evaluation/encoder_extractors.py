"""Extractors that stand on an image encoder: CLIP as the embedder of Sem-D and CMMD, and emotion probes beside the extractors' own.

A probe on ImageNet features shares nothing with CLIP, so its Emo-A is not circular.
"""

import hashlib

import numpy as np
from PIL import Image

from coemogen_core.classifier.classifier_store import load_probe, read_classifier_card
from coemogen_core.classifier.published_head import EXPECTED, MAX_BYTES, read_head
from coemogen_core.encoders.clip_encoder import ClipEncoder, EncoderRecipe
from coemogen_core.encoders.efficientnet import EfficientNetRecipe
from coemogen_core.encoders.image_encoder import ImageEncoder, load_image_encoder
from coemogen_core.evaluation.extractors import FloatArray, RgbBatch
from coemogen_core.evaluation.pairwise import unit_length
from coemogen_core.storage.tensor_files import read_weights_file
from coemogen_core.storage.workspace import Workspace
from schemas.choices import Device

CLASSIFIERS = "classifiers"
WITHOUT_CLIP = "efficientnet"
"""How the ids of encoders that were trained on ImageNet begin."""


class ClipEmbedder:
    """Unit-length CLIP image embeddings straight from 8-bit pictures: the image processor rescales them once."""

    def __init__(self, encoder: ClipEncoder, identity: str) -> None:
        self._encoder = encoder
        self.identity = f"{identity}, unit length"

    def embeddings(self, batch: RgbBatch) -> FloatArray:
        """Embeddings [n, d]."""
        return np.asarray(self._encoder.encode_images(_pictures(batch)), dtype=np.float32)


class ScaledClipEmbedder(ClipEmbedder):
    """The same from an encoder that gives raw vectors, so that one CLIP in memory serves a head that reads raw ones, too."""

    def embeddings(self, batch: RgbBatch) -> FloatArray:
        """Embeddings [n, d]."""
        return unit_length(super().embeddings(batch))


class TwiceRescaledClipEmbedder:
    """Protocol "emogen": pixels that lie in [0, 1] already are divided by 255 once more, and the embeddings keep their length.

    The network sees pictures that are black but for rounding, all nearly alike. That the published values are of raw embeddings
    shows in their size: unit vectors of 768 numbers cannot reach them (docs/metrics.md).
    """

    def __init__(self, encoder: ClipEncoder, identity: str) -> None:
        self._encoder = encoder
        self.identity = f"{identity}, raw, pixels rescaled twice"

    def embeddings(self, batch: RgbBatch) -> FloatArray:
        """Embeddings [n, d]."""
        mean, spread = (values.reshape(3, 1, 1) for values in self._encoder.normalisation)
        pixels = np.stack([self._encoder.preprocess(picture) for picture in _pictures(batch)])
        dark = ((pixels * spread + mean) / 255 - mean) / spread
        return np.asarray(self._encoder.encode_pixels(dark.astype(np.float32)), dtype=np.float32)


class HeadProbe:
    """A published head on the CLIP that it was trained on (ViT-L/14): no independent judge of a method that CLIP drives.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no such head, or the CLIP gives embeddings of another length.
    """

    through_clip = True

    def __init__(self, file: str, encoder: ClipEncoder) -> None:
        data = read_weights_file(file, EXPECTED, MAX_BYTES)
        self._head, self._encoder = read_head(data, file), encoder
        width = self._head.weights[0].shape[1]
        if width != encoder.dim:
            raise ValueError(
                f"the probe {file} reads image embeddings of {width} numbers, but {encoder.recipe.model} gives {encoder.dim}: "
                "name the CLIP that it was trained on (EmoGen's: openai/clip-vit-large-patch14)"
            )
        self.identity = f"emogen-head@{hashlib.sha256(data).hexdigest()[:12]} on {encoder.encoder_id}"

    def probabilities(self, batch: RgbBatch) -> FloatArray:
        """Probabilities [n, 8] in the order of EMOTIONS."""
        found: FloatArray = self._head.predict(self._encoder.encode_images(_pictures(batch)))
        return found


def is_classifier_folder(probe: str) -> bool:
    """Whether a probe is named as `<workspace>/classifiers/<classifier id>`, and not as a file."""
    return probe.rstrip("/").split("/")[-2:-1] == [CLASSIFIERS]


class ClassifierProbe:
    """A trained classifier on the encoder that it was trained with.

    Args:
        folder: `<workspace>/classifiers/<classifier id>`.
        clip_model: the CLIP that it may have been trained with; else it is the EfficientNet of the optional extra.
        device: where the encoder runs.

    Raises:
        FileNotFoundError: there is no such classifier.
        ModuleNotFoundError: the backbone's optional packages are not installed; the message names the extra.
        ValueError: it reads the vectors of neither encoder.
    """

    def __init__(self, folder: str, clip_model: str, device: Device = "auto") -> None:
        root, _, name = folder.rstrip("/").rpartition("/")
        workspace = Workspace(root.removesuffix(f"/{CLASSIFIERS}"))
        card = read_classifier_card(workspace, name)
        self._encoder = _encoder(card.encoder_id, folder, clip_model, device)
        self._probe = load_probe(workspace, name)
        self.through_clip = not card.encoder_id.startswith(WITHOUT_CLIP)
        self.identity = f"{name} on {card.encoder_id}"

    def probabilities(self, batch: RgbBatch) -> FloatArray:
        """Calibrated probabilities [n, 8] in the order of EMOTIONS."""
        pixels = [self._encoder.preprocess(picture) for picture in _pictures(batch)]
        step = self._encoder.batch_size
        return np.concatenate(
            [self._probe.predict(self._encoder.encode_pixels(np.stack(pixels[k : k + step]))) for k in range(0, len(pixels), step)]
        )


def _encoder(encoder_id: str, folder: str, clip_model: str, device: Device) -> ImageEncoder:
    """The one of the known encoders whose id is wanted; only that one is loaded."""
    recipes: list[EncoderRecipe | EfficientNetRecipe] = [
        EncoderRecipe(model=clip_model, unit_length=unit, device=device) for unit in (True, False)
    ]
    if encoder_id.startswith(WITHOUT_CLIP):
        recipes = [EfficientNetRecipe(backbone="efficientnet-lite0", device=device)]
    for recipe in recipes:
        if recipe.encoder_id == encoder_id:
            return load_image_encoder(recipe)
    raise ValueError(
        f"the classifier {folder} reads the vectors of {encoder_id}, which neither the CLIP {clip_model} nor the EfficientNet gives: "
        "name the CLIP that it was trained with (--clip, or evaluation.clip_model)"
    )


def _pictures(batch: RgbBatch) -> list[Image.Image]:
    return [Image.fromarray(rgb) for rgb in batch]
