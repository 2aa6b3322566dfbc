"""The extractors of the paper's evaluation, put together from weight files that their authors publish.

AlexNet's layers are written down here, Inception-V3's in `inception.py`. ResNet-50 is transformers', which is torchvision's by other names.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification

from coemogen_core.device import placed, resolve_device
from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.encoders.filled_batches import each_in_equal_passes
from coemogen_core.evaluation.encoder_extractors import HeadProbe, ScaledClipEmbedder, TwiceRescaledClipEmbedder
from coemogen_core.evaluation.extractors import ExtractorSet, FloatArray, RgbBatch
from coemogen_core.evaluation.inception import InceptionFid
from coemogen_core.evaluation.resizing import resize, resize_and_crop
from coemogen_core.recipe import IdentifiedOtherwise, Recipe
from coemogen_core.storage.model_source import ModelName
from coemogen_core.storage.tensor_files import fill, read_published_weights
from schemas.choices import Device, EvaluationProtocol

EXPECTED = "torchvision's alexnet-owt-7be5be79.pth"
EXPECTED_LINEAR = "the linear weights of the lpips package, lpips/weights/v0.1/alex.pth"
CHANNELS = (64, 192, 384, 256, 256)
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # lpips' scaling layer, on pixels in [-1, 1]


class AlexNetTrunk:
    """Feature maps after each of AlexNet's five ReLUs, and their linear weights."""

    def __init__(self, file: str, linear_file: str, side: int, protocol: EvaluationProtocol = "corrected", device: Device = "auto") -> None:
        weights = read_published_weights(file, EXPECTED)
        kept = {key.removeprefix("features."): value for key, value in weights.tensors.items() if key.startswith("features.")}
        self._layers = fill(alexnet_features(), kept, file, EXPECTED)
        self.layer_weights, linear_digest = _linear_weights(linear_file)
        self._side, self._device, self._normalised = side, resolve_device(device), protocol == "corrected"
        pixels = "" if self._normalised else ", pixels in [0, 1]"
        self.identity = f"lpips-alexnet@{weights.digest}, linear@{linear_digest}, {side} pixels{pixels}"

    @torch.inference_mode()
    def feature_maps(self, batch: RgbBatch) -> list[FloatArray]:
        """Activations of the five layers, [n, c, h, w] each."""
        layers = placed(self._layers, self._device)
        pixels = resize(batch, self._side).to(self._device)
        x = 2 * pixels - 1 if self._normalised else pixels
        x = (x - x.new_tensor(SHIFT)[:, None, None]) / x.new_tensor(SCALE)[:, None, None]
        return [maps.float().cpu().numpy() for maps in each_in_equal_passes(partial(self._activations, layers), x)]

    def _activations(self, layers: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
        maps = []
        for layer in layers.children():
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                maps.append(x)
        return maps


def alexnet_features() -> nn.Sequential:
    """Torchvision's `alexnet().features` up to the last ReLU."""
    c1, c2, c3, c4, c5 = CHANNELS
    return nn.Sequential(
        *(nn.Conv2d(3, c1, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(c1, c2, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(c2, c3, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(c3, c4, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(c4, c5, 3, padding=1), nn.ReLU()),
    )


def _linear_weights(file: str) -> tuple[Sequence[FloatArray], str]:
    weights = read_published_weights(file, EXPECTED_LINEAR)
    names = [f"lin{layer}.model.1.weight" for layer in range(len(CHANNELS))]
    shapes = [tuple(weights.tensors[name].shape) if name in weights.tensors else None for name in names]
    if shapes != [(1, channels, 1, 1) for channels in CHANNELS]:
        raise ValueError(f"{file} holds {sorted(weights.tensors)[:3]}...: give {EXPECTED_LINEAR}")
    return [weights.tensors[name].float().numpy().ravel() for name in names], weights.digest


EXPECTED_OBJECTS = "an ImageNet ResNet-50 of torchvision, e.g. resnet50-0676ba61.pth"
EXPECTED_SCENES = "Places365's resnet50_places365.pth.tar"
EDGE, SIDE = 256, 224
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

RENAMED = (
    (r"^conv1\.", "resnet.embedder.embedder.convolution."),
    (r"^bn1\.", "resnet.embedder.embedder.normalization."),
    (r"^layer(\d)\.(\d+)\.conv(\d)\.", "resnet.encoder.stages.{0}.layers.{1}.layer.{2}.convolution."),
    (r"^layer(\d)\.(\d+)\.bn(\d)\.", "resnet.encoder.stages.{0}.layers.{1}.layer.{2}.normalization."),
    (r"^layer(\d)\.(\d+)\.downsample\.0\.", "resnet.encoder.stages.{0}.layers.{1}.shortcut.convolution."),
    (r"^layer(\d)\.(\d+)\.downsample\.1\.", "resnet.encoder.stages.{0}.layers.{1}.shortcut.normalization."),
    (r"^fc\.", "classifier.1."),
)
"""Torchvision's names and transformers'; both count, from 1 and from 0, stages and the convolutions of a block."""


class ResNetContent:
    """The largest probabilities of an object and of a scene ResNet-50."""

    def __init__(self, objects_file: str, scenes_file: str, device: Device = "auto") -> None:
        self._objects, objects_digest = load_resnet50(objects_file, EXPECTED_OBJECTS)
        self._scenes, scenes_digest = load_resnet50(scenes_file, EXPECTED_SCENES)
        self._device = resolve_device(device)
        self.identity = f"resnet50 imagenet@{objects_digest}, places365@{scenes_digest}, {EDGE} pixels, centre {SIDE}"

    @torch.inference_mode()
    def top1_probabilities(self, batch: RgbBatch) -> tuple[FloatArray, FloatArray]:
        """The largest object probability [n] and the largest scene probability [n]."""
        pixels = resize_and_crop(batch, EDGE, SIDE)
        pixels = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(SPREAD)[:, None, None]
        networks = [placed(network, self._device) for network in (self._objects, self._scenes)]
        objects, scenes = each_in_equal_passes(partial(_logits, networks), pixels.to(self._device))
        return objects.softmax(-1).amax(-1).cpu().numpy(), scenes.softmax(-1).amax(-1).cpu().numpy()


def _logits(networks: list[nn.Module], pixels: torch.Tensor) -> list[torch.Tensor]:
    return [network(pixels).logits.float() for network in networks]


def load_resnet50(file: str, expected: str) -> tuple[torch.nn.Module, str]:
    """A ResNet-50 with as many classes as the file has, and the file's digest.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no ResNet-50.
    """
    weights = read_published_weights(file, expected)
    if "fc.bias" not in weights.tensors:
        raise ValueError(f"{file} has no fc.bias, so it is no classifier of torchvision's layout: give {expected}")
    config = ResNetConfig(num_labels=len(weights.tensors["fc.bias"]))  # its defaults are ResNet-50 with the stride in the 3 x 3 convolution
    return fill(ResNetForImageClassification(config), _renamed(weights.tensors), file, expected), weights.digest


def _renamed(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {_transformers_name(name): value for name, value in tensors.items()}


def _transformers_name(name: str) -> str:
    for pattern, target in RENAMED:
        if found := re.match(pattern, name):
            numbers = [int(number) for number in found.groups()]
            indices = [number - (place != 1) for place, number in enumerate(numbers)]  # blocks count from 0 in both
            return target.format(*indices) + name[found.end() :]
    return name


WeightsFile = Annotated[str, IdentifiedOtherwise]
"""A path or URI; the extractor that reads the file hashes its content."""


class PaperExtractors(Recipe):
    """Where the weights of the paper's networks lie; each is a path or URI of a file by `torch.save`."""

    inception: WeightsFile = Field(min_length=1, description="FID: Inception-V3 of torch-fidelity, pytorch-fid or torchvision")
    alexnet: WeightsFile = Field(min_length=1, description="LPIPS: torchvision's AlexNet")
    lpips_linear: WeightsFile = Field(min_length=1, description="LPIPS: linear weights, alex.pth of the lpips package")
    imagenet_resnet50: WeightsFile = Field(min_length=1, description="Sem-C: torchvision's ResNet-50")
    places365_resnet50: WeightsFile = Field(min_length=1, description="Sem-C: Places365's resnet50_places365.pth.tar")
    emotion_head: WeightsFile = Field(min_length=1, description="Emo-A: EmoGen's clip_emotion_classifier.pth, read from `clip`")
    clip: Annotated[ModelName, IdentifiedOtherwise] = Field(
        default="openai/clip-vit-large-patch14", description="Sem-D, CMMD and Emo-A: folder or hub id of a CLIP"
    )
    clip_revision: Annotated[str | None, IdentifiedOtherwise] = Field(
        default=None, description="commit of a hub model; none = its main branch"
    )
    lpips_side: int = Field(default=256, ge=64, le=512, description="pictures are brought to this many pixels square for LPIPS")


def paper_extractors(paths: PaperExtractors, device: Device = "auto", protocol: EvaluationProtocol = "corrected") -> ExtractorSet:
    """The paper's networks.

    Raises:
        FileNotFoundError: a file is missing.
        OSError: there is no such CLIP.
        ValueError: a file holds something else; the message names it and what is expected.
    """
    encoder = load_encoder(EncoderRecipe(model=paths.clip, revision=paths.clip_revision, unit_length=False, device=device))
    return ExtractorSet(
        fid=InceptionFid(paths.inception, protocol, device),
        perceptual=AlexNetTrunk(paths.alexnet, paths.lpips_linear, paths.lpips_side, protocol, device),
        emotion_probes=(HeadProbe(paths.emotion_head, encoder),),
        content=ResNetContent(paths.imagenet_resnet50, paths.places365_resnet50, device),
        clip=(TwiceRescaledClipEmbedder if protocol == "emogen" else ScaledClipEmbedder)(encoder, encoder.encoder_id),
    )
