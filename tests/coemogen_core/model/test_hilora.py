"""Injection, gates, merging, and what is saved."""

import copy

import pytest
import torch

from coemogen_core.model.gates import gate_for, gates_for
from coemogen_core.model.hilora import inject
from tests.coemogen_core.model.adapted_unet import TARGETS, inputs, rows


def test_injection_adapts_every_attention_projection_and_starts_at_the_base(base):
    unet = copy.deepcopy(base)
    hilora = inject(unet, rank=4)
    expected = {name for name, _ in base.named_modules() if name.endswith(tuple(f".{target}" for target in TARGETS))}
    assert set(hilora.layers) == expected
    assert all(parameter.requires_grad == (".lora_" in name) for name, parameter in unet.named_parameters())
    with torch.no_grad():
        hilora.set_gates(gate_for("awe"))
        assert torch.equal(unet(**inputs()).sample, base(**inputs()).sample)  # B is zero


def test_zero_gates_and_no_gates_equal_the_base_exactly(base, adapted):
    unet, hilora = adapted
    with torch.no_grad():
        expected = base(**inputs(2)).sample
        for gates in (None, torch.zeros(10), torch.zeros(2, 10)):
            hilora.set_gates(gates)
            assert torch.equal(unet(**inputs(2)).sample, expected)
        hilora.set_gates(gate_for("awe"))
        assert not torch.allclose(unet(**inputs(2)).sample, expected, atol=1e-3)


def test_a_mixed_batch_equals_its_samples_one_by_one(adapted):
    unet, hilora = adapted
    gates = torch.cat([gates_for([1, 6, 3]), gate_for({"awe": 1, "anger": 2})[None]])
    batch = inputs(4)
    with torch.no_grad():
        hilora.set_gates(gates)
        together = unet(**batch).sample
        for index in range(4):
            hilora.set_gates(gates[index])
            alone = unet(**rows(batch, slice(index, index + 1))).sample
            assert torch.allclose(together[index : index + 1], alone, atol=1e-5)


def test_gates_repeat_for_a_guidance_batch(adapted):
    unet, hilora = adapted
    batch = {name: torch.cat([tensor, tensor]) for name, tensor in inputs(2).items()}
    with torch.no_grad():
        hilora.set_gates(gates_for([0, 5]))
        halves = unet(**batch).sample.chunk(2)
        assert torch.allclose(halves[0], halves[1], atol=1e-6)
        assert torch.allclose(halves[0], unet(**inputs(2)).sample, atol=1e-5)


def test_wrong_gates_are_refused(adapted):
    unet, hilora = adapted
    with pytest.raises(ValueError, match="expected"):
        hilora.set_gates(torch.zeros(3, 9))
    hilora.set_gates(gates_for([0, 1, 2]))
    with pytest.raises(ValueError, match="gates for 3"):
        unet(**inputs(4))
    hilora.merge(gate_for("awe"))
    with pytest.raises(RuntimeError, match="unmerge"):
        hilora.set_gates(gate_for("awe"))


def test_merge_equals_the_gate_and_unmerge_restores_every_bit(base, adapted):
    unet, hilora = adapted
    gate = gate_for({"awe": 0.6, "fear": 0.4})
    with torch.no_grad():
        hilora.set_gates(gate)
        gated = unet(**inputs()).sample
        hilora.merge(gate_for("sadness"))
        hilora.merge(gate)
        assert torch.allclose(unet(**inputs()).sample, gated, atol=1e-5)
        hilora.unmerge()
        assert not hilora.merged
        assert torch.equal(unet(**inputs()).sample, base(**inputs()).sample)
    for name, layer in hilora.layers.items():
        assert torch.equal(layer.base.weight, base.get_submodule(name).weight)


def test_a_unet_without_its_hilora_is_the_base_and_gets_it_back(base, adapted):
    unet, hilora = adapted
    with torch.no_grad():
        hilora.set_gates(gate_for("awe"))
        gated = unet(**inputs()).sample
        hilora.merge(gate_for("awe"))
        with hilora.taken_out(unet):
            plain = unet.state_dict()
            assert plain.keys() == base.state_dict().keys()
            assert all(torch.equal(plain[name], tensor) for name, tensor in base.state_dict().items())
        hilora.set_gates(gate_for("awe"))
        assert torch.equal(unet(**inputs()).sample, gated)


def test_state_dict_names_emotions_and_comes_back(base, adapted, tmp_path):
    unet, hilora = adapted
    state = hilora.state_dict()
    name = next(iter(hilora.layers))
    assert state[f"{name}.lora_A.awe"].shape == (4, 16)
    assert state[f"{name}.lora_B.negative"].shape == (16, 4)
    other = copy.deepcopy(base)
    copied = inject(other, rank=4, alpha=6.0, seed=9)
    copied.load_state_dict(state)
    gates = gates_for([2, 7])
    with torch.no_grad():
        hilora.set_gates(gates)
        copied.set_gates(gates)
        assert torch.equal(unet(**inputs(2)).sample, other(**inputs(2)).sample)


def test_foreign_state_is_refused(base, adapted):
    _, hilora = adapted
    state = hilora.state_dict()
    with pytest.raises(ValueError, match="check the rank"):
        inject(copy.deepcopy(base), rank=2).load_state_dict(state)
    state.pop(next(iter(state)))
    with pytest.raises(ValueError, match="1 names differ"):
        hilora.load_state_dict(state)


def test_double_injection_and_unknown_targets_are_refused(base, adapted):
    with pytest.raises(ValueError, match="already"):
        inject(adapted[0])
    with pytest.raises(ValueError, match="check the targets"):
        inject(copy.deepcopy(base), targets=("to_nowhere",))


def test_initial_pairs_come_from_the_seed(base):
    first, second, third = (inject(copy.deepcopy(base), seed=seed).parameters() for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], third[0])
