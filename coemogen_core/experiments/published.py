"""The paper's own numbers, and when they may stand beside measured ones: only where the same networks looked at the pictures."""

import re

from coemogen_core.encoders.clip_encoder import EncoderRecipe
from schemas.choices import EvaluationProtocol
from schemas.experiments import Experiments
from schemas.metrics import MetricName

PUBLISHED: dict[str, dict[MetricName, float]] = {
    "sd": {"fid": 44.05, "lpips": 0.687, "emo_a": 0.7077, "sem_c": 0.608, "sem_d": 0.0199},
    "textual-inversion": {"fid": 50.51, "lpips": 0.702, "emo_a": 0.7487, "sem_c": 0.605, "sem_d": 0.0282},
    "dreambooth-lora": {"fid": 46.89, "lpips": 0.661, "emo_a": 0.7050, "sem_c": 0.614, "sem_d": 0.0178},
    "emogen-like": {"fid": 41.60, "lpips": 0.717, "emo_a": 0.7625, "sem_c": 0.633, "sem_d": 0.0335},
    "coemogen": {"fid": 40.66, "lpips": 0.732, "emo_a": 0.8015, "sem_c": 0.641, "sem_d": 0.0349},
    "without-polarity-loras": {"fid": 41.47, "lpips": 0.724, "emo_a": 0.7883, "sem_c": 0.638, "sem_d": 0.0336},
    "without-emotion-loras": {"fid": 45.30, "lpips": 0.713, "emo_a": 0.7537, "sem_c": 0.625, "sem_d": 0.0308},
    "without-l-sem": {"fid": 50.32, "lpips": 0.698, "emo_a": 0.6590, "sem_c": 0.562, "sem_d": 0.0255},
}
"""By name of the method. CoEmoGen, arXiv 2508.03535, main table and ablations: Stable Diffusion 1.5, EmoSet, 1,000 pictures an emotion."""

CLIP = EncoderRecipe(model="openai/clip-vit-large-patch14", unit_length=False)
_IDENTITIES: dict[MetricName, str] = {
    # the digits are the first of the SHA-256 of the file that the network's authors publish, which they put into its name
    "fid": r"inception-v3@6726825d",
    "lpips": r"lpips-alexnet@7be5be79",
    "emo_a": rf"emogen-head@80f72314e31e on {CLIP.encoder_id}$",
    "sem_c": r"resnet50 imagenet@(0676ba61|11ad3fa6)",
    "sem_d": rf"{CLIP.encoder_id}, raw",
}
_SAME_UNDER_BOTH: tuple[MetricName, ...] = ("emo_a", "sem_c")


def is_comparable(metric: MetricName, extractor: str, protocol: EvaluationProtocol) -> bool:
    """Whether a number may be laid beside the published one.

    The extractor must be the network, with the weights, that published numbers come from, and the protocol "emogen" unless the metric is
    the same under both. Emo-A takes EmoGen's published classifier, with which the paper's numbers for EmoGen agree; the paper names none.
    """
    if metric not in _IDENTITIES or (protocol != "emogen" and metric not in _SAME_UNDER_BOTH):
        return False
    return re.match(_IDENTITIES[metric], extractor) is not None


def published_values(experiments: Experiments, method: str) -> dict[MetricName, float]:
    """The paper's numbers of a method that may stand beside the measured ones; empty where none may."""
    runs = experiments.runs_of(method)
    if method not in PUBLISHED or not runs:
        return {}
    return {
        metric: value
        for metric, value in PUBLISHED[method].items()
        if all(metric in run.metrics and is_comparable(metric, run.metrics[metric].extractor, experiments.protocol) for run in runs)
    }
