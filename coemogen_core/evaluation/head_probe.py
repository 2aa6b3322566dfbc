"""EmoGen's published emotion classifier as a probe: one linear layer on a CLIP's raw image embeddings."""

import hashlib

from PIL import Image

from coemogen_core.curation.clip_encoder import ClipEncoder
from coemogen_core.curation.published_head import EXPECTED, MAX_BYTES, read_head
from coemogen_core.evaluation.extractors import FloatArray, RgbBatch
from coemogen_core.weights_file import read_weights_file


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
