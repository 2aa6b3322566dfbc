"""PEFT and diffusers as oracles: the same weights as adapters of theirs."""

import copy

import pytest
import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from safetensors.torch import save_file

from coemogen_core.emotions import EMOTIONS, polarity_of
from coemogen_core.model.gates import PAIRS, gate_for
from coemogen_core.model.hilora import HiLoRA, collapse
from tests.coemogen_core.model.adapted_unet import TARGETS, inputs

RANK, ALPHA = 4, 6.0  # of the fixture's pairs


def peft_twin(base: UNet2DConditionModel, hilora: HiLoRA) -> UNet2DConditionModel:
    """The same weights as ten PEFT adapters."""
    twin = copy.deepcopy(base)
    for pair in PAIRS:
        twin.add_adapter(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS), adapter_name=pair)
    modules = dict(twin.named_modules())
    with torch.no_grad():
        for name, layer in hilora.layers.items():
            for index, pair in enumerate(PAIRS):
                modules[name].lora_A[pair].weight.copy_(layer.lora_A[index])
                modules[name].lora_B[pair].weight.copy_(layer.lora_B[index].t())
    return twin


def test_every_emotion_equals_peft_with_two_adapters_active(base, adapted):
    unet, hilora = adapted
    twin = peft_twin(base, hilora)
    modules = dict(twin.named_modules())
    for emotion in EMOTIONS:
        active = [emotion, polarity_of(emotion)]
        twin.set_adapters(active, [1.0, 1.0])
        twin.zero_grad()
        unet.zero_grad()
        hilora.set_gates(gate_for(emotion))
        ours, theirs = unet(**inputs()).sample, twin(**inputs()).sample
        assert torch.allclose(ours, theirs, atol=1e-5)
        ours.square().sum().backward()
        theirs.square().sum().backward()
        for name, layer in hilora.layers.items():
            for pair in active:
                k, module = PAIRS.index(pair), modules[name]
                assert torch.allclose(layer.lora_A.grad[k], module.lora_A[pair].weight.grad, rtol=1e-4, atol=1e-5)
                assert torch.allclose(layer.lora_B.grad[k].t(), module.lora_B[pair].weight.grad, rtol=1e-4, atol=1e-5)
            unused = [k for k, pair in enumerate(PAIRS) if pair not in active]
            assert not layer.lora_A.grad[unused].any()
            assert not layer.lora_B.grad[unused].any()


def test_a_fusion_turned_up_equals_peft_with_weighted_adapters(base, adapted):
    """PEFT multiplies each adapter's scaling, so weights and intensity mean the same there."""
    unet, hilora = adapted
    twin = peft_twin(base, hilora)
    gate = 1.5 * gate_for({"awe": 0.6, "fear": 0.4})
    weights = {pair: weight for pair, weight in zip(PAIRS, gate.tolist(), strict=True) if weight}
    twin.set_adapters(list(weights), list(weights.values()))
    hilora.set_gates(gate)
    with torch.no_grad():
        assert torch.allclose(unet(**inputs()).sample, twin(**inputs()).sample, atol=1e-5)


@pytest.mark.parametrize("query", [{"fear": 1.0}, {"awe": 0.6, "fear": 0.4}])
def test_an_export_loaded_by_diffusers_gives_the_same_output(base, adapted, tmp_path, query):
    unet, hilora = adapted
    gate = gate_for("fear") if len(query) == 1 else gate_for(query)
    state = collapse(hilora.state_dict(), gate, ALPHA / RANK)
    save_file(state, tmp_path / "pytorch_lora_weights.safetensors")
    reader = copy.deepcopy(base)
    reader.load_lora_adapter(str(tmp_path), prefix=None, weight_name="pytorch_lora_weights.safetensors")
    if len(query) == 1:
        assert state[next(iter(state))].shape[0] == 8  # rank 4, two pairs
    with torch.no_grad():
        hilora.set_gates(gate)
        assert torch.allclose(unet(**inputs()).sample, reader(**inputs()).sample, atol=1e-5)


def test_exporting_the_base_model_is_refused(adapted):
    with pytest.raises(ValueError, match="base model"):
        collapse(adapted[1].state_dict(), torch.zeros(10), 1.0)
