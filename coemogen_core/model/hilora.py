"""HiLoRA over a whole U-Net: injection, gates, merging, saving, and export of one gate as an ordinary LoRA (paper, HiLoRA)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from diffusers.utils import convert_state_dict_to_kohya
from torch import Tensor, nn

from coemogen_core.model.gates import PAIRS
from coemogen_core.model.hilora_linear import GateInput, HiLoRALinear

_A, _B = ".lora_A.", ".lora_B."


def layer_names(hilora: Iterable[str]) -> list[str]:
    """Names of the adapted linears, in order, from the names of a HiLoRA's tensors."""
    return list(dict.fromkeys(name.rpartition(_A)[0] for name in hilora if _A in name))


def collapse(hilora: Mapping[str, Tensor], gate: Tensor, scaling: float) -> dict[str, Tensor]:
    """Stack the open pairs along the rank: `<layer>.lora_A.weight` [r, in] and `<layer>.lora_B.weight` [out, r].

    One emotion opens two pairs, so a HiLoRA of rank 4 gives r = 8. Gate and scaling are folded into B, so that the LoRA's own alpha is r.

    Args:
        hilora: what `HiLoRA.state_dict` returns.
        gate: [10].
        scaling: alpha / rank of the HiLoRA.

    Raises:
        ValueError: all gates are zero.
    """
    opened = [(pair, weight) for pair, weight in zip(PAIRS, gate.tolist(), strict=True) if weight]
    if not opened:
        raise ValueError("a gate of zeros is the base model: there is no LoRA to export")
    state = {}
    for layer in layer_names(hilora):
        state[f"{layer}.lora_A.weight"] = torch.cat([hilora[layer + _A + pair] for pair, _ in opened])
        state[f"{layer}.lora_B.weight"] = torch.cat([hilora[layer + _B + pair] * (weight * scaling) for pair, weight in opened], dim=1)
    return state


def in_pipelines_names(lora: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As diffusers' pipelines save and load it: `unet.<layer>.lora_A.weight`."""
    return {f"unet.{name}": tensor for name, tensor in lora.items()}


def in_kohyas_names(lora: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As sd-scripts, ComfyUI and A1111 spell it: `lora_unet_<layer>.lora_down.weight`, `.lora_up.weight`, `.alpha` (a number: the rank)."""
    return convert_state_dict_to_kohya(in_pipelines_names(lora))


ATTENTION_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")


class HiLoRA:
    """The ten low-rank pairs of every adapted linear of one U-Net, steered together. Made by `inject`."""

    def __init__(self, layers: Mapping[str, HiLoRALinear], gate_input: GateInput) -> None:
        self.layers = dict(layers)
        self._gate_input = gate_input
        self._unmerged: dict[str, Tensor] = {}

    @property
    def merged(self) -> bool:
        """Whether a gate is folded into the weights at the moment."""
        return bool(self._unmerged)

    def parameters(self) -> list[nn.Parameter]:
        """The trainable stacks: per layer A [10, rank, in] and B [10, rank, out]; dimension 0 is the pair."""
        return [parameter for layer in self.layers.values() for parameter in (layer.lora_A, layer.lora_B)]

    def set_gates(self, gates: Tensor | None) -> None:
        """Set the gates of the following forward passes.

        Args:
            gates: [n, 10], one row per sample, or [10] for all; None or zeros give the base model. A batch of m * n samples gets the
                rows repeated m times, as classifier-free guidance stacks its batch.

        Raises:
            RuntimeError: a gate is merged; call `unmerge` first.
            ValueError: another shape.
        """
        if self.merged:
            raise RuntimeError("a gate is merged into the weights: call unmerge() before setting gates")
        parameter = self.parameters()[0]
        self._gate_input.set(None if gates is None else gates.to(parameter.device, torch.float32))

    @torch.no_grad()
    def merge(self, gate: Tensor) -> None:
        """Fold one gate [10] into the frozen weights: no further cost per step. Keeps a copy of the adapted weights for `unmerge`."""
        self.unmerge()
        self._gate_input.set(None)
        for name, layer in self.layers.items():
            weight = layer.base.weight
            self._unmerged[name] = weight.detach().clone()
            weight.copy_(weight.float() + layer.weight_delta(gate).to(weight.device))

    @torch.no_grad()
    def unmerge(self) -> None:
        """Restore the frozen weights bit by bit; nothing happens when no gate is merged."""
        for name, weight in self._unmerged.items():
            self.layers[name].base.weight.copy_(weight)
        self._unmerged.clear()

    @contextmanager
    def taken_out(self, unet: nn.Module) -> Iterator[None]:
        """Within the block the U-Net is what it was before the injection, names of its parameters included; no gate is merged after it."""
        self.unmerge()
        for name, layer in self.layers.items():
            _replace(unet, name, layer.base)
        try:
            yield
        finally:
            for name, layer in self.layers.items():
                _replace(unet, name, layer)

    def state_dict(self) -> dict[str, Tensor]:
        """Tensors by readable names: `<layer>.lora_A.<pair>` [rank, in] and `<layer>.lora_B.<pair>` [out, rank]."""
        state = {}
        for name, layer in self.layers.items():
            for index, pair in enumerate(PAIRS):
                state[f"{name}.lora_A.{pair}"] = layer.lora_A[index].detach().cpu().contiguous()
                state[f"{name}.lora_B.{pair}"] = layer.lora_B[index].detach().t().cpu().contiguous()
        return state

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Load what `state_dict` returned.

        Raises:
            ValueError: a name is missing, superfluous or of another shape; the message names the first.
        """
        expected = {name: tensor.shape for name, tensor in self.state_dict().items()}
        if wrong := sorted(expected.keys() ^ state.keys()):
            raise ValueError(f"HiLoRA weights do not fit this U-Net and its targets: {len(wrong)} names differ, the first is {wrong[0]}")
        for name, shape in expected.items():
            if state[name].shape != shape:
                raise ValueError(
                    f"HiLoRA weight {name} has shape {list(state[name].shape)}, this model needs {list(shape)}: check the rank"
                )
        for name, layer in self.layers.items():
            for index, pair in enumerate(PAIRS):
                layer.lora_A[index].copy_(state[f"{name}.lora_A.{pair}"])
                layer.lora_B[index].copy_(state[f"{name}.lora_B.{pair}"].t())


def inject(unet: nn.Module, rank: int = 4, alpha: float | None = None, targets: Sequence[str] = ATTENTION_TARGETS, seed: int = 0) -> HiLoRA:
    """Freeze a U-Net and put a HiLoRALinear in the place of every target linear.

    Args:
        unet: any diffusers U-Net; changed in place, its own parameters frozen.
        rank: rank of each of the ten pairs (paper: 4).
        alpha: LoRA alpha; None takes alpha = rank (scale 1).
        targets: ends of the module names to adapt (paper leaves them open; default: all attention projections).
        seed: of the initial A.

    Returns:
        The controller. No gates are set: the U-Net computes what it did before.

    Raises:
        ValueError: no linear matches the targets, or the U-Net has HiLoRA layers already.
    """
    if any(isinstance(module, HiLoRALinear) for module in unet.modules()):
        raise ValueError("this U-Net has HiLoRA layers already: load the base model again")
    found = [
        (name, module)
        for name, module in unet.named_modules()
        if isinstance(module, nn.Linear) and any(name == target or name.endswith(f".{target}") for target in targets)
    ]
    if not found:
        raise ValueError(f"no linear of the U-Net is named like {', '.join(targets)}: check the targets")
    unet.requires_grad_(False)
    gate_input = GateInput(rank, float(rank if alpha is None else alpha))
    generator = torch.Generator().manual_seed(seed)
    layers = {}
    for name, linear in found:
        layer = HiLoRALinear(linear, rank, gate_input)
        layer.reset_parameters(generator)
        _replace(unet, name, layer)
        layers[name] = layer
    return HiLoRA(layers, gate_input)


def _replace(unet: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(unet.get_submodule(parent), child, module)
