"""The emotion classifier that EmoGen's authors published, as a classifier of a workspace: one linear layer on CLIP ViT-L/14.

It reads image embeddings as the model gives them, not scaled to unit length: use an encoder with `unit_length = false`.
"""

import hashlib
from collections.abc import Mapping

import torch

from coemogen_core.classifier.classifier_store import PublishedHeadCard, has_classifier, save_classifier
from coemogen_core.classifier.emotion_probe import EmotionProbe
from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.tensor_files import load_tensors, read_weights_file
from coemogen_core.storage.workspace import Workspace

EMOGEN_ORDER: tuple[Emotion, ...] = ("amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness")
"""Rows of the published layer, as EmoGen's evaluation counts them. The same as EMOTIONS; written down so that neither moves alone."""
WEIGHT, BIAS = "fc.weight", "fc.bias"
EXPECTED = f"EmoGen's clip_emotion_classifier.pth, a state dict of {WEIGHT} [8, n] and {BIAS} [8]"
MAX_BYTES = 64 * 2**20


def import_published_head(workspace: Workspace, file: str, encoder_id: str) -> str:
    """Make a published classifier head, a path or URI, one of the workspace's classifiers, unless it is there already; returns its id.

    Args:
        encoder_id: encoder whose embeddings it is to read; that they are the right ones (CLIP ViT-L/14, raw) nobody can tell from the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no such state dict, or holds more than tensors.
    """
    data = read_weights_file(file, EXPECTED, MAX_BYTES)
    digest = hashlib.sha256(data).hexdigest()
    name = recipe_id("head", {"origin": "emogen", "sha256": digest, "encoder": encoder_id})
    if not has_classifier(workspace, name):
        card = PublishedHeadCard(
            classifier_id=name, encoder_id=encoder_id, emotions=EMOTIONS, temperature=1.0, origin="emogen", sha256=digest
        )
        save_classifier(workspace, read_head(data, file), card)
    return name


def read_head(data: bytes, file: str) -> EmotionProbe:
    """The probe in a published file's content, its rows in the order of EMOTIONS, at temperature 1.

    Raises:
        ValueError: the content is no such state dict, or holds more than tensors; the message names `file` and what is expected.
    """
    state = _state_dict(data, file)
    weight, bias = state[WEIGHT].float().numpy(), state[BIAS].float().numpy()
    rows = [EMOGEN_ORDER.index(emotion) for emotion in EMOTIONS]
    return EmotionProbe((weight[rows],), (bias[rows],))


def _state_dict(data: bytes, file: str) -> Mapping[str, torch.Tensor]:
    state = load_tensors(data, file, EXPECTED)
    if not isinstance(state, Mapping) or not all(isinstance(state.get(key), torch.Tensor) for key in (WEIGHT, BIAS)):
        raise ValueError(f"{file} holds no {WEIGHT} and {BIAS}: give {EXPECTED}")
    weight, bias = tuple(state[WEIGHT].shape), tuple(state[BIAS].shape)
    if set(state) != {WEIGHT, BIAS} or len(weight) != 2 or weight[0] != len(EMOGEN_ORDER) or bias != (len(EMOGEN_ORDER),):
        raise ValueError(f"{file} holds {sorted(map(str, state))} with a layer of shape {list(weight)}: give {EXPECTED}")
    if not (torch.isfinite(state[WEIGHT]).all() and torch.isfinite(state[BIAS]).all()):
        raise ValueError(f"{file} holds NaN or infinite weights: fetch {EXPECTED} again from its authors")
    return state
