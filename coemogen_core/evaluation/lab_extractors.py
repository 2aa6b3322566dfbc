"""The lab's judges as extractors: two small CNNs that share nothing with CLIP, and the lab's CLIP for Sem-D.

The content judge gives Sem-C and, as Inception-V3 does on photos, the features of FID and the feature maps of LPIPS.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from coemogen_core.device import placed, resolve_device
from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.encoders.filled_batches import each_in_equal_passes, in_equal_passes
from coemogen_core.evaluation.encoder_extractors import ClipEmbedder, TwiceRescaledClipEmbedder
from coemogen_core.evaluation.extractors import ExtractorSet, FloatArray, ImageEmbedder, RgbBatch
from coemogen_core.evaluation.resizing import resize_bilinear
from coemogen_core.lab.judges import load_content_judge, load_emotion_judge
from schemas.choices import Device, EvaluationProtocol

JUDGE_SIZE = 64

LAB_CLIP = "lab:clip"


def judge_pixels(batch: RgbBatch) -> torch.Tensor:
    """Pictures as float pixels [n, 3, 64, 64] in [0, 1]; larger ones are averaged by area, smaller ones interpolated."""
    return torch.from_numpy(np.stack([_at_judge_size(rgb) for rgb in batch])).permute(0, 3, 1, 2).float().div_(255)


def half_range_pixels(batch: RgbBatch) -> torch.Tensor:
    """Pixels in [1/2, 1]: the judge maps [0, 1] to [-1, 1] itself, so that [0, 1] arrives where [-1, 1] belongs."""
    return (judge_pixels(batch) + 1) / 2


class _Judge:
    """A judge network in evaluation mode, with its identity and its preprocessing, which is named where it is not `judge_pixels`."""

    def __init__(
        self,
        network: torch.nn.Module,
        name: str,
        device: Device,
        pixels: Callable[[RgbBatch], torch.Tensor] = judge_pixels,
        difference: str = "",
    ) -> None:
        self._network: Any = network.eval()
        self._device = resolve_device(device)
        self.identity = f"lab-{name}@{weights_digest(network)}{difference}"
        self._pixels = pixels

    @property
    def network(self) -> Any:
        return placed(self._network, self._device)

    def pixels(self, batch: RgbBatch) -> torch.Tensor:
        return self._pixels(batch).to(self._device)


class LabFid(_Judge):
    """Pooled features of the content judge."""

    @torch.inference_mode()
    def features(self, batch: RgbBatch) -> FloatArray:
        """Features [n, d]."""
        return _numpy(in_equal_passes(self.network.features, self.pixels(batch)))


class LabPerceptualTrunk(_Judge):
    """Feature maps of the content judge, without linear weights."""

    layer_weights: Sequence[FloatArray] | None = None

    @torch.inference_mode()
    def feature_maps(self, batch: RgbBatch) -> list[FloatArray]:
        """Activations of every stage, [n, c, h, w] each."""
        return [_numpy(maps) for maps in each_in_equal_passes(self.network.feature_maps, self.pixels(batch))]


class LabEmotionProbe(_Judge):
    """The emotion judge, trained on pixels."""

    through_clip = False

    @torch.inference_mode()
    def probabilities(self, batch: RgbBatch) -> FloatArray:
        """Probabilities [n, 8]."""
        return _numpy(in_equal_passes(self.network, self.pixels(batch)).softmax(dim=-1))


class LabContentClassifier(_Judge):
    """The object and scene heads of the content judge."""

    @torch.inference_mode()
    def top1_probabilities(self, batch: RgbBatch) -> tuple[FloatArray, FloatArray]:
        """The largest object probability [n] and the largest scene probability [n]."""
        objects, scenes = each_in_equal_passes(self.network, self.pixels(batch))
        return _numpy(objects.softmax(dim=-1).amax(dim=-1)), _numpy(scenes.softmax(dim=-1).amax(dim=-1))


def lab_extractors(clip_model: str | None = None, device: Device = "auto", protocol: EvaluationProtocol = "corrected") -> ExtractorSet:
    """The lab's judges and a CLIP (the lab's own when none is named).

    Raises:
        FileNotFoundError: the lab's models are not there; the message says how to train them.
    """
    encoder = load_encoder(EncoderRecipe(model=clip_model or LAB_CLIP, unit_length=protocol == "corrected", device=device))
    embedder = ClipEmbedder if protocol == "corrected" else TwiceRescaledClipEmbedder
    return extractors_of_judges(load_emotion_judge(), load_content_judge(), embedder(encoder, encoder.encoder_id), protocol, device)


def extractors_of_judges(
    emotion_judge: torch.nn.Module,
    content_judge: torch.nn.Module,
    clip: ImageEmbedder,
    protocol: EvaluationProtocol = "corrected",
    device: Device = "auto",
) -> ExtractorSet:
    """Extractors from any two networks with the judges' interface.

    Protocol "emogen" reduces FID's pictures by the bilinear kernel, and LPIPS's network gets [0, 1] where it expects [-1, 1].
    """
    fid, trunk = LabFid(content_judge, "content-judge-pooled", device), LabPerceptualTrunk(content_judge, "content-judge-maps", device)
    if protocol == "emogen":
        bilinear = partial(resize_bilinear, side=JUDGE_SIZE)
        fid = LabFid(content_judge, "content-judge-pooled", device, bilinear, ", resized by the bilinear kernel")
        trunk = LabPerceptualTrunk(content_judge, "content-judge-maps", device, half_range_pixels, ", pixels in [0, 1]")
    return ExtractorSet(
        fid=fid,
        perceptual=trunk,
        emotion_probes=(LabEmotionProbe(emotion_judge, "emotion-judge", device),),
        content=LabContentClassifier(content_judge, "content-judge", device),
        clip=clip,
    )


def _at_judge_size(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if rgb.shape[:2] == (JUDGE_SIZE, JUDGE_SIZE):
        return rgb
    method = Image.Resampling.BOX if min(rgb.shape[:2]) >= JUDGE_SIZE else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(rgb).resize((JUDGE_SIZE, JUDGE_SIZE), method))


def weights_digest(network: torch.nn.Module) -> str:
    """First 12 hex digits of the SHA-256 over names and values of a network's state."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode() + b"\0" + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def _numpy(values: torch.Tensor) -> FloatArray:
    array: FloatArray = values.float().cpu().numpy()
    return array
