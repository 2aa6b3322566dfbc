"""Inception-V3 up to its 2,048 pooled features, for the weights of the original FID and for torchvision's.

The layers carry torchvision's names, as torch-fidelity's and pytorch-fid's files do. Those hold TensorFlow's weights of 2015, whose graph
leaves padding out of its averages, pools by maximum in its last block and reads pixels as (x - 128) / 128.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coemogen_core.device import placed, resolve_device
from coemogen_core.encoders.filled_batches import in_equal_passes
from coemogen_core.evaluation.extractors import FloatArray, RgbBatch
from coemogen_core.evaluation.resizing import resize, resize_bilinear
from coemogen_core.storage.tensor_files import fill, read_published_weights
from schemas.choices import Device, EvaluationProtocol

EXPECTED = (
    "Inception-V3's weights: torch-fidelity's weights-inception-2015-12-05-6726825d.pth or torchvision's inception_v3_google-0cc3c7bd.pth"
)
SIDE = 299
TENSORFLOW_CLASSES = 1008

Step = tuple[str, int, int, tuple[int, int], int, tuple[int, int]]
"""Name, channels in and out, kernel, stride, padding of one convolution."""
Branch = Sequence[tuple[Step, ...]]
"""Convolutions one after the other; those of one tuple run side by side."""


class InceptionFid:
    """FID's features by Inception-V3."""

    def __init__(self, file: str, protocol: EvaluationProtocol = "corrected", device: Device = "auto") -> None:
        weights = read_published_weights(file, EXPECTED)
        tensorflow = len(weights.tensors.get("fc.bias", ())) == TENSORFLOW_CLASSES
        kept = {key: value for key, value in weights.tensors.items() if not key.startswith(("fc.", "AuxLogits."))}
        self._network = fill(InceptionV3(tensorflow), kept, file, EXPECTED)
        self._resize = resize if protocol == "corrected" else resize_bilinear
        self._scale, self._shift = (255 / 128, -1.0) if tensorflow else (2.0, -1.0)
        self._device = resolve_device(device)
        kernel = "bicubic" if protocol == "corrected" else "bilinear"
        origin = "TensorFlow" if tensorflow else "torchvision"
        self.identity = f"inception-v3@{weights.digest}, {origin}, {SIDE} pixels {kernel} with antialiasing"

    @torch.inference_mode()
    def features(self, batch: RgbBatch) -> FloatArray:
        """Features [n, 2048]."""
        network = placed(self._network, self._device)
        pixels = self._resize(batch, SIDE).to(self._device)
        found: FloatArray = in_equal_passes(network, pixels * self._scale + self._shift).float().cpu().numpy()
        return found


class InceptionV3(nn.Module):
    """Pooled features [n, 2048] of pixels [n, 3, 299, 299] in about [-1, 1]."""

    def __init__(self, tensorflow: bool) -> None:
        super().__init__()
        stem: Mapping[str, tuple[int, int, int, int, int]] = {
            "Conv2d_1a_3x3": (3, 32, 3, 2, 0),
            "Conv2d_2a_3x3": (32, 32, 3, 1, 0),
            "Conv2d_2b_3x3": (32, 64, 3, 1, 1),
            "Conv2d_3b_1x1": (64, 80, 1, 1, 0),
            "Conv2d_4a_3x3": (80, 192, 3, 1, 0),
        }
        for name, (inputs, outputs, kernel, stride, padding) in stem.items():
            self.add_module(name, Convolution(inputs, outputs, (kernel, kernel), stride, (padding, padding)))
        blocks = {name: _block_a(inputs, pool) for name, inputs, pool in (("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64))}
        blocks |= {"6a": _block_b(288)} | {name: _block_c(c) for name, c in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192))}
        blocks |= {"7a": _block_d(768), "7b": _block_e(1280), "7c": _block_e(2048)}
        for name, branches in blocks.items():
            pool = "halve" if name in ("6a", "7a") else "maximum" if name == "7c" and tensorflow else "average"
            self.add_module(f"Mixed_{name}", Mixed(branches, pool, count_padding=not tensorflow))
        self._mixed = [f"Mixed_{name}" for name in blocks]

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, 299, 299] -> [n, 2048]."""
        for name in ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"):
            x = self.get_submodule(name)(x)
        x = F.max_pool2d(x, 3, 2)
        x = F.max_pool2d(self.get_submodule("Conv2d_4a_3x3")(self.get_submodule("Conv2d_3b_1x1")(x)), 3, 2)
        for name in self._mixed:
            x = self.get_submodule(name)(x)
        return x.mean((2, 3))


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int, padding: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, h, w] -> [n, outputs, h', w']."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Mixed(nn.Module):
    """Branches side by side, and a pooled one; a convolution named `branch_pool` follows the pooling."""

    def __init__(self, branches: Sequence[Branch], pool: str, *, count_padding: bool) -> None:
        super().__init__()
        self._branches, self._pool, self._count_padding = branches, pool, count_padding
        for name, inputs, outputs, kernel, stride, padding in (step for branch in branches for steps in branch for step in steps):
            self.add_module(name, Convolution(inputs, outputs, kernel, stride, padding))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of all branches, one after the other."""
        outputs = [self._run(branch, self._pooled(x) if branch[0][0][0] == "branch_pool" else x) for branch in self._branches]
        return torch.cat([*outputs, self._pooled(x)] if self._pool == "halve" else outputs, 1)

    def _pooled(self, x: Tensor) -> Tensor:
        if self._pool == "average":
            return F.avg_pool2d(x, 3, 1, 1, count_include_pad=self._count_padding)
        return F.max_pool2d(x, 3, 2) if self._pool == "halve" else F.max_pool2d(x, 3, 1, 1)

    def _run(self, branch: Branch, x: Tensor) -> Tensor:
        for steps in branch:
            x = torch.cat([self.get_submodule(name)(x) for name, *_ in steps], 1)
        return x


def _step(name: str, inputs: int, outputs: int, height: int = 1, width: int | None = None, stride: int = 1) -> tuple[Step]:
    """A convolution that keeps the size, or one with a stride and without padding."""
    kernel = (height, height if width is None else width)
    padding = (0, 0) if stride > 1 else (kernel[0] // 2, kernel[1] // 2)
    return ((f"branch{name}", inputs, outputs, kernel, stride, padding),)


def _block_a(inputs: int, pool: int) -> list[Branch]:
    return [
        [_step("1x1", inputs, 64)],
        [_step("5x5_1", inputs, 48), _step("5x5_2", 48, 64, 5)],
        [_step("3x3dbl_1", inputs, 64), _step("3x3dbl_2", 64, 96, 3), _step("3x3dbl_3", 96, 96, 3)],
        [_step("_pool", inputs, pool)],
    ]


def _block_b(inputs: int) -> list[Branch]:
    return [
        [_step("3x3", inputs, 384, 3, stride=2)],
        [_step("3x3dbl_1", inputs, 64), _step("3x3dbl_2", 64, 96, 3), _step("3x3dbl_3", 96, 96, 3, stride=2)],
    ]


def _block_c(c: int) -> list[Branch]:
    double = [("7x7dbl_2", c, c, 7, 1), ("7x7dbl_3", c, c, 1, 7), ("7x7dbl_4", c, c, 7, 1), ("7x7dbl_5", c, 192, 1, 7)]
    return [
        [_step("1x1", 768, 192)],
        [_step("7x7_1", 768, c), _step("7x7_2", c, c, 1, 7), _step("7x7_3", c, 192, 7, 1)],
        [_step("7x7dbl_1", 768, c), *(_step(*step) for step in double)],
        [_step("_pool", 768, 192)],
    ]


def _block_d(inputs: int) -> list[Branch]:
    long = [_step("7x7x3_1", inputs, 192), _step("7x7x3_2", 192, 192, 1, 7), _step("7x7x3_3", 192, 192, 7, 1)]
    return [
        [_step("3x3_1", inputs, 192), _step("3x3_2", 192, 320, 3, stride=2)],
        [*long, _step("7x7x3_4", 192, 192, 3, stride=2)],
    ]


def _block_e(inputs: int) -> list[Branch]:
    fork = _step("3x3_2a", 384, 384, 1, 3) + _step("3x3_2b", 384, 384, 3, 1)
    second = _step("3x3dbl_3a", 384, 384, 1, 3) + _step("3x3dbl_3b", 384, 384, 3, 1)
    return [
        [_step("1x1", inputs, 320)],
        [_step("3x3_1", inputs, 384), fork],
        [_step("3x3dbl_1", inputs, 448), _step("3x3dbl_2", 448, 384, 3), second],
        [_step("_pool", inputs, 192)],
    ]
