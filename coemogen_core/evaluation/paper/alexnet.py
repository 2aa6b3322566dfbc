"""LPIPS's AlexNet: torchvision's convolutions and the linear weights that the lpips package carries."""

from collections.abc import Sequence

import torch
from torch import nn

from coemogen_core.evaluation.extractors import FloatArray, RgbBatch
from coemogen_core.evaluation.paper.state_dicts import fill, read_published_weights
from coemogen_core.evaluation.resizing import resize
from schemas.metrics import EvaluationProtocol

EXPECTED = "torchvision's alexnet-owt-7be5be79.pth"
EXPECTED_LINEAR = "the linear weights of the lpips package, lpips/weights/v0.1/alex.pth"
CHANNELS = (64, 192, 384, 256, 256)
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # lpips' scaling layer, on pixels in [-1, 1]


class AlexNetTrunk:
    """Feature maps after each of AlexNet's five ReLUs, and their linear weights."""

    def __init__(self, file: str, linear_file: str, side: int, protocol: EvaluationProtocol = "corrected", device: str = "cpu") -> None:
        weights = read_published_weights(file, EXPECTED)
        kept = {key.removeprefix("features."): value for key, value in weights.tensors.items() if key.startswith("features.")}
        self._layers = fill(alexnet_features(), kept, file, EXPECTED).to(device)
        self.layer_weights, linear_digest = _linear_weights(linear_file)
        self._side, self._device, self._normalised = side, device, protocol == "corrected"
        pixels = "" if self._normalised else ", pixels in [0, 1]"
        self.identity = f"lpips-alexnet@{weights.digest}, linear@{linear_digest}, {side} pixels{pixels}"

    @torch.inference_mode()
    def feature_maps(self, batch: RgbBatch) -> list[FloatArray]:
        """Activations of the five layers, [n, c, h, w] each."""
        pixels = resize(batch, self._side).to(self._device)
        x = 2 * pixels - 1 if self._normalised else pixels
        x = (x - x.new_tensor(SHIFT)[:, None, None]) / x.new_tensor(SCALE)[:, None, None]
        maps: list[FloatArray] = []
        for layer in self._layers.children():
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                maps.append(x.float().cpu().numpy())
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
