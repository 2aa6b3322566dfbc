"""The paper's own numbers, in rows of their own, and when they may stand beside measured ones: only where the same networks, with the same
weights, saw pictures prepared in the same way."""

import re

from coemogen_core.encoders.clip_encoder import EncoderRecipe
from schemas.choices import EvaluationProtocol
from schemas.experiments import Experiments
from schemas.metrics import MetricName

PUBLISHED: dict[str, dict[MetricName, float]] = {
    "Stable Diffusion (paper)": {"fid": 44.05, "lpips": 0.687, "emo_a": 0.7077, "sem_c": 0.608, "sem_d": 0.0199},
    "Textual Inversion (paper)": {"fid": 50.51, "lpips": 0.702, "emo_a": 0.7487, "sem_c": 0.605, "sem_d": 0.0282},
    "DreamBooth (paper)": {"fid": 46.89, "lpips": 0.661, "emo_a": 0.7050, "sem_c": 0.614, "sem_d": 0.0178},
    "EmoGen (paper)": {"fid": 41.60, "lpips": 0.717, "emo_a": 0.7625, "sem_c": 0.633, "sem_d": 0.0335},
    "CoEmoGen (paper)": {"fid": 40.66, "lpips": 0.732, "emo_a": 0.8015, "sem_c": 0.641, "sem_d": 0.0349},
    "CoEmoGen without L_SEM (paper)": {"fid": 50.32, "lpips": 0.698, "emo_a": 0.6590, "sem_c": 0.562, "sem_d": 0.0255},
    "CoEmoGen without emotion-specific LoRAs (paper)": {"fid": 45.30, "lpips": 0.713, "emo_a": 0.7537, "sem_c": 0.625, "sem_d": 0.0308},
    "CoEmoGen without polarity-shared LoRAs (paper)": {"fid": 41.47, "lpips": 0.724, "emo_a": 0.7883, "sem_c": 0.638, "sem_d": 0.0336},
}
"""By what the row is called. CoEmoGen, arXiv 2508.03535, main table and ablations."""
CONDITIONS = "Stable Diffusion 1.5 on EmoSet, 1,000 pictures an emotion"
COUNTERPARTS: dict[str, str] = {
    "sd": "Stable Diffusion (paper)",
    "coemogen": "CoEmoGen (paper)",
    "without-l-sem": "CoEmoGen without L_SEM (paper)",
    "without-emotion-loras": "CoEmoGen without emotion-specific LoRAs (paper)",
    "without-polarity-loras": "CoEmoGen without polarity-shared LoRAs (paper)",
}
"""Methods of ours, by name, that the paper ran as they are here. Not among them, see their files: `textual-inversion` (several words, one
prompt), `dreambooth-lora` (a LoRA in place of the whole U-Net), `emogen-like` (another space, another semantic loss)."""

CLIP = EncoderRecipe(model="openai/clip-vit-large-patch14", unit_length=False)
_MORE = "[0-9a-f]{4}"  # a digest has 12 digits; file names have 8 of them, where the authors put the digest into the name
_IDENTITIES: dict[MetricName, str] = {
    "fid": rf"inception-v3@6726825d{_MORE}, TensorFlow, 299 pixels bilinear with antialiasing",
    # `lpips.LPIPS(net="alex")` gets the drawn pictures as they are, 512 pixels, in [0, 1]; the linear weights are those of lpips 0.1.4
    "lpips": rf"lpips-alexnet@7be5be79{_MORE}, linear@df73285e35b2, 512 pixels, pixels in \[0, 1\]",
    "emo_a": rf"emogen-head@80f72314e31e on {re.escape(CLIP.encoder_id)}",
    # ImageNet V1 alone (V2 is 11ad3fa6); of Places365's file, whose authors give no digest, that is the one which urbancode pins
    "sem_c": rf"resnet50 imagenet@0676ba61{_MORE}, places365@46529c86902b, 256 pixels, centre 224",
    "sem_d": rf"{re.escape(CLIP.encoder_id)}, raw, pixels rescaled twice",
}
"""Identities, from end to end, of the extractors that repeat EmoGen's public code (metrics/other_metrics.py; FID: docs/metrics.md)."""
_SAME_UNDER_BOTH: tuple[MetricName, ...] = ("emo_a", "sem_c")


def is_comparable(metric: MetricName, extractor: str, protocol: EvaluationProtocol) -> bool:
    """Whether a number may be laid beside the published ones.

    The whole identity of the extractor must agree (network, every file of weights, size and preparation of the pictures), and the protocol
    must be "emogen" unless the metric is the same under both. Emo-A takes EmoGen's published classifier, with which the paper's numbers for
    EmoGen agree; the paper names none.
    """
    if metric not in _IDENTITIES or (protocol != "emogen" and metric not in _SAME_UNDER_BOTH):
        return False
    return re.fullmatch(_IDENTITIES[metric], extractor) is not None


def published_rows(experiments: Experiments) -> dict[str, dict[MetricName, float]]:
    """The paper's rows, each with the metrics in which every number of the matrix is comparable; empty where none is."""
    extractors: dict[MetricName, set[str]] = {}
    for run in experiments.runs:
        for metric, measured in run.metrics.items():
            extractors.setdefault(metric, set()).add(measured.extractor)
    shown = {name for name, found in extractors.items() if all(is_comparable(name, each, experiments.protocol) for each in found)}
    if not shown:
        return {}
    return {label: {name: value for name, value in values.items() if name in shown} for label, values in PUBLISHED.items()}
