"""Sem-C's two classifiers: ResNet-50 on ImageNet and on Places365, from torchvision-style state dicts.

The network is transformers' ResNet, which is torchvision's with other names.
"""

import re
from collections.abc import Mapping

import torch
from transformers import ResNetConfig, ResNetForImageClassification

from coemogen_core.evaluation.extractors import FloatArray, RgbBatch
from coemogen_core.evaluation.paper.state_dicts import fill, read_published_weights
from coemogen_core.evaluation.resizing import resize_and_crop

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

    def __init__(self, objects_file: str, scenes_file: str, device: str = "cpu") -> None:
        self._objects, objects_digest = load_resnet50(objects_file, EXPECTED_OBJECTS)
        self._scenes, scenes_digest = load_resnet50(scenes_file, EXPECTED_SCENES)
        self._objects, self._scenes, self._device = self._objects.to(device), self._scenes.to(device), device
        self.identity = f"resnet50 imagenet@{objects_digest}, places365@{scenes_digest}, {EDGE} pixels, centre {SIDE}"

    @torch.inference_mode()
    def top1_probabilities(self, batch: RgbBatch) -> tuple[FloatArray, FloatArray]:
        """The largest object probability [n] and the largest scene probability [n]."""
        pixels = resize_and_crop(batch, EDGE, SIDE)
        pixels = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(SPREAD)[:, None, None]
        objects, scenes = (network(pixels.to(self._device)).logits.float() for network in (self._objects, self._scenes))
        return objects.softmax(-1).amax(-1).cpu().numpy(), scenes.softmax(-1).amax(-1).cpu().numpy()


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
