"""Gradients: of mixed batches, under checkpointing, compiled, and in half precision."""

import copy

import pytest
import torch
from torch._dynamo.utils import counters

from coemogen_core.model.gates import gate_for, gates_for
from coemogen_core.model.hilora import inject
from tests.coemogen_core.model.adapted_unet import gradients, inputs, rows


def test_gradients_of_a_mixed_batch_are_the_sum_over_its_samples(adapted):
    unet, hilora = adapted
    gates = torch.cat([gates_for([1, 6, 3]), gate_for({"awe": 1, "anger": 2})[None]])
    batch = inputs(4)
    hilora.set_gates(gates)
    unet(**batch).sample.square().sum().backward()
    together = gradients(hilora)
    unet.zero_grad()
    for index in range(4):
        hilora.set_gates(gates[index])
        unet(**rows(batch, slice(index, index + 1))).sample.square().sum().backward()
    for a, b in zip(together, gradients(hilora), strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)


def test_gradient_checkpointing_changes_no_gradient(adapted):
    """Layers run again during the backward pass, and must see each sample's own gates then as well."""
    unet, hilora = adapted
    hilora.set_gates(torch.cat([gates_for([0, 4]), gate_for({"awe": 1, "anger": 2})[None]]))
    runs, found = [], []
    next(iter(hilora.layers.values())).register_forward_hook(lambda *_: runs.append(len(found)))
    for checkpointing in (False, True):
        if checkpointing:
            unet.enable_gradient_checkpointing()
            unet.train()
        unet.zero_grad()
        unet(**inputs(3)).sample.square().sum().backward()
        found.append(gradients(hilora))
    assert runs == [0, 1, 1]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*found, strict=True))


@pytest.mark.slow
def test_a_compiled_unet_takes_changing_gates_without_compiling_again(adapted):
    """One graph without breaks, forward and backward; gates are its input, not part of it."""
    unet, hilora = adapted
    torch._dynamo.reset()
    counters.clear()
    compiled = torch.compile(unet, fullgraph=True, backend="aot_eager")
    for gates in (gates_for([0, 5]), gates_for([7, 7]), 0.5 * gate_for({"awe": 1, "anger": 2}).expand(2, -1), torch.zeros(2, 10)):
        hilora.set_gates(gates)
        found = []
        for model in (unet, compiled):
            unet.zero_grad()
            output = model(**inputs(2)).sample
            output.square().sum().backward()
            found.append([output.detach(), *gradients(hilora)])
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*found, strict=True))
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    torch._dynamo.reset()


def test_pairs_in_float32_work_beside_a_half_precision_base(base, adapted):
    unet, hilora = adapted
    half = copy.deepcopy(base).to(torch.bfloat16)
    halved = inject(half, rank=4, alpha=6.0)
    halved.load_state_dict(hilora.state_dict())
    assert halved.parameters()[0].dtype == torch.float32
    batch = {name: tensor if name == "timestep" else tensor.bfloat16() for name, tensor in inputs(2).items()}
    with torch.no_grad():
        for each in (hilora, halved):
            each.set_gates(gates_for([0, 5]))
        expected = unet(**inputs(2)).sample
        assert torch.allclose(half(**batch).sample.float(), expected, atol=0.1)
        hilora.merge(gate_for("awe"))
        halved.merge(gate_for("awe"))
        assert torch.allclose(half(**batch).sample.float(), unet(**inputs(2)).sample, atol=0.1)


def test_autocast_computes_in_half_precision_and_trains_in_float32(base, adapted):
    unet, hilora = adapted
    halved_unet = copy.deepcopy(base).to(torch.bfloat16)
    halved = inject(halved_unet, rank=4, alpha=6.0)
    halved.load_state_dict(hilora.state_dict())
    outputs = []
    for model, controller in ((unet, hilora), (halved_unet, halved)):
        controller.set_gates(gates_for([0, 5]))
        with torch.autocast("cpu", torch.bfloat16, enabled=controller is halved):  # float32 inputs, as a mixed-precision trainer has them
            outputs.append(model(**inputs(2)).sample)
        outputs[-1].float().square().mean().backward()
    assert outputs[1].dtype == torch.bfloat16
    assert torch.allclose(outputs[1].float(), outputs[0], atol=0.1)
    assert all(parameter.grad.dtype == torch.float32 for parameter in halved.parameters())
    expected, ours = (torch.cat([parameter.grad.flatten() for parameter in each.parameters()]) for each in (hilora, halved))
    assert (ours - expected).norm() < 0.05 * expected.norm()
