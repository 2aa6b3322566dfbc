"""An emotion classifier of a workspace as a probe: on ImageNet features it shares nothing with CLIP, so its Emo-A is not circular."""

import hashlib

import numpy as np
from PIL import Image

from coemogen_core.classifier.classifier_store import load_probe, read_classifier_card
from coemogen_core.classifier.published_head import EXPECTED, MAX_BYTES, read_head
from coemogen_core.encoders.clip_encoder import ClipEncoder, EncoderRecipe
from coemogen_core.encoders.efficientnet import EfficientNetRecipe
from coemogen_core.encoders.image_encoder import ImageEncoder, load_image_encoder
from coemogen_core.evaluation.extractors import FloatArray, RgbBatch
from coemogen_core.storage.tensor_files import read_weights_file
from coemogen_core.storage.workspace import Workspace


class HeadProbe:
    """A published head on the CLIP that it was trained on (ViT-L/14).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no such head, or the CLIP gives embeddings of another length.
    """

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
        found: FloatArray = self._head.predict(self._encoder.encode_images([Image.fromarray(rgb) for rgb in batch]))
        return found


FOLDER = "classifiers"


def is_classifier_folder(probe: str) -> bool:
    """Whether a probe is named as `<workspace>/classifiers/<classifier id>`, and not as a file."""
    return probe.rstrip("/").split("/")[-2:-1] == [FOLDER]


class ClassifierProbe:
    """A trained classifier on the encoder that it was trained with.

    Args:
        folder: `<workspace>/classifiers/<classifier id>`.
        clip_model: the CLIP that it may have been trained with; else it is the EfficientNet of the optional extra.

    Raises:
        FileNotFoundError: there is no such classifier.
        ModuleNotFoundError: the backbone's optional packages are not installed; the message names the extra.
        ValueError: it reads the vectors of neither encoder.
    """

    def __init__(self, folder: str, clip_model: str) -> None:
        root, _, name = folder.rstrip("/").rpartition("/")
        workspace = Workspace(root.removesuffix(f"/{FOLDER}"))
        card = read_classifier_card(workspace, name)
        self._encoder = _encoder(card.encoder_id, folder, clip_model)
        self._probe = load_probe(workspace, name)
        self.identity = f"{name} on {card.encoder_id}"

    def probabilities(self, batch: RgbBatch) -> FloatArray:
        """Calibrated probabilities [n, 8] in the order of EMOTIONS."""
        pixels = [self._encoder.preprocess(Image.fromarray(rgb)) for rgb in batch]
        step = self._encoder.batch_size
        return np.concatenate(
            [self._probe.predict(self._encoder.encode_pixels(np.stack(pixels[k : k + step]))) for k in range(0, len(pixels), step)]
        )


def _encoder(encoder_id: str, folder: str, clip_model: str) -> ImageEncoder:
    """The one of the known encoders whose id is wanted; only that one is loaded."""
    recipes: list[EncoderRecipe | EfficientNetRecipe] = [EncoderRecipe(model=clip_model, unit_length=unit) for unit in (True, False)]
    if encoder_id.startswith("efficientnet"):
        recipes = [EfficientNetRecipe(backbone="efficientnet-lite0")]
    for recipe in recipes:
        if recipe.encoder_id == encoder_id:
            return load_image_encoder(recipe)
    raise ValueError(
        f"the classifier {folder} reads the vectors of {encoder_id}, which neither the CLIP {clip_model} nor the EfficientNet gives: "
        "name the CLIP that it was trained with (--clip, or evaluation.clip_model)"
    )
