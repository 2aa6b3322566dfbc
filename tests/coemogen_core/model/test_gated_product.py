"""The fused product against autograd's own way through the formula."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from coemogen_core.model.hilora_linear import gated_product


def parts(*shape: int, biased: bool = True) -> dict[str, Tensor | None]:
    generator = torch.Generator().manual_seed(0)

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    gates = draw(shape[0], *[1] * (len(shape) - 1), 6)
    trained = {"x": draw(*shape, 5), "down": draw(6, 5), "up": draw(6, 7)}
    for tensor in trained.values():
        tensor.requires_grad_()
    return {**trained, "weight": draw(7, 5), "bias": draw(7) if biased else None, "gates": gates}


def formula(x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, gates: Tensor) -> Tensor:
    return F.linear(x, weight, bias) + (F.linear(x, down) * gates) @ up


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (3,)])
@pytest.mark.parametrize("biased", [True, False])
def test_values_and_gradients_are_the_formulas(shape, biased):
    results = []
    for compute in (gated_product, formula):
        given = parts(*shape, biased=biased)
        y = compute(**given)
        y.sin().sum().backward()
        results.append([y.detach(), *(given[name].grad for name in ("x", "down", "up"))])
    for ours, expected in zip(*results, strict=True):
        assert torch.allclose(ours, expected, rtol=1e-12, atol=1e-12)


def test_the_gradients_are_those_of_finite_differences():
    given = parts(2, 3)
    fixed = {name: given.pop(name) for name in ("weight", "bias", "gates")}
    names = list(given)
    assert torch.autograd.gradcheck(
        lambda *tensors: gated_product(**dict(zip(names, tensors, strict=True)), **fixed), tuple(given.values())
    )


def test_an_x_without_gradient_gets_none():
    given = parts(2, 3)
    given["x"].requires_grad_(requires_grad=False)
    gated_product(**given).sum().backward()
    assert given["x"].grad is None
    assert given["down"].grad is not None


def test_it_compiles():
    given = parts(2, 3)
    compiled = torch.compile(gated_product, backend="aot_eager", fullgraph=True)
    y = compiled(**given)
    y.sum().backward()
    again = parts(2, 3)
    expected = formula(**again)
    expected.sum().backward()
    assert torch.allclose(y, expected)
    assert torch.allclose(given["up"].grad, again["up"].grad)
    assert torch.allclose(given["x"].grad, again["x"].grad)
