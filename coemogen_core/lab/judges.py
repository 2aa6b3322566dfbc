"""The lab's judges: two small residual CNNs that share nothing with CLIP, neither weights nor training objective.

One tells the emotion of a picture, the other its main object and its scene. They stand in for the emotion classifier, the ImageNet and
the Places365 network, the Inception network and the perceptual trunk of the paper's evaluation.
"""

import json
from pathlib import Path
from typing import TypeVar, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from coemogen_core.emotions import EMOTIONS
from coemogen_core.lab import models_folder

CHANNELS = (24, 48, 96)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with batch normalisation; the first may halve the size."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, h, w] -> [n, outputs, h / stride, w / stride]."""
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(y)) + self.shortcut(x))


class Trunk(nn.Module):
    """Convolutional trunk: 64 x 64 pixels to feature maps of 32, 16 and 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, CHANNELS[0], 3, 1, 1)
        inputs = (CHANNELS[0], *CHANNELS[:-1])
        self.blocks = nn.ModuleList(ResidualBlock(i, o, 2) for i, o in zip(inputs, CHANNELS, strict=True))
        self.last = ResidualBlock(CHANNELS[-1], CHANNELS[-1], 1)

    def feature_maps(self, pixels: Tensor) -> list[Tensor]:
        """Maps after each stage for pixels [n, 3, 64, 64] in [0, 1]: channels 24, 48, 96 and 96."""
        maps, x = [], self.stem(2 * pixels - 1)
        for block in (*self.blocks, self.last):
            x = block(x)
            maps.append(x)
        return maps

    def features(self, pixels: Tensor) -> Tensor:
        """Pooled features [n, 96] of pixels [n, 3, 64, 64] in [0, 1]."""
        return self.feature_maps(pixels)[-1].mean((2, 3))


class EmotionJudge(Trunk):
    """Tells which of the eight emotions a picture evokes."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(CHANNELS[-1], len(EMOTIONS))

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits [n, 8] in the order of EMOTIONS, for pixels [n, 3, 64, 64] in [0, 1]."""
        return cast(Tensor, self.head(self.features(pixels)))


class ContentJudge(Trunk):
    """Tells the main object and the scene of a picture."""

    def __init__(self, objects: tuple[str, ...], scenes: tuple[str, ...]) -> None:
        super().__init__()
        self.objects, self.scenes = objects, scenes
        self.object_head = nn.Linear(CHANNELS[-1], len(objects))
        self.scene_head = nn.Linear(CHANNELS[-1], len(scenes))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Object logits [n, objects] and scene logits [n, scenes], for pixels [n, 3, 64, 64] in [0, 1]."""
        features = self.features(pixels)
        return self.object_head(features), self.scene_head(features)


Judge = TypeVar("Judge", EmotionJudge, ContentJudge)


def save_judge(judge: EmotionJudge | ContentJudge, folder: Path) -> None:
    """Write weights (half precision) and class names."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half() if value.is_floating_point() else value for name, value in judge.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    names = {"objects": judge.objects, "scenes": judge.scenes} if isinstance(judge, ContentJudge) else {"emotions": EMOTIONS}
    (folder / "config.json").write_text(json.dumps(names, indent=2) + "\n")


def load_emotion_judge() -> EmotionJudge:
    """The trained emotion judge, in evaluation mode and single precision."""
    return _load(EmotionJudge(), models_folder("emotion_judge"))


def load_content_judge() -> ContentJudge:
    """The trained object and scene judge, in evaluation mode and single precision."""
    folder = models_folder("content_judge")
    names = json.loads((folder / "config.json").read_text())
    return _load(ContentJudge(tuple(names["objects"]), tuple(names["scenes"])), folder)


def _load(judge: Judge, folder: Path) -> Judge:
    file = folder / "model.safetensors"
    if not file.exists():
        raise FileNotFoundError(f"{file} is missing: run `python -m coemogen_core.lab.build` to train the lab's models")
    judge.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in load_file(file).items()})
    return judge.eval().to(torch.float32)
