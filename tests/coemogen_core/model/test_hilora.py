import copy

import pytest
import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from safetensors.torch import save_file
from torch._dynamo.utils import counters

from coemogen_core.emotions import EMOTIONS, polarity_of
from coemogen_core.model.gates import PAIRS, fuse, gate_for, gates_for, scale
from coemogen_core.model.hilora import ATTENTION_TARGETS, HiLoRA, inject

TARGETS = list(ATTENTION_TARGETS)


@pytest.fixture(scope="module")
def base() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=2,
        cross_attention_dim=24,
    ).eval()


@pytest.fixture
def adapted(base) -> tuple[UNet2DConditionModel, HiLoRA]:
    """A HiLoRA on a copy of the base with all pairs away from zero."""
    unet = copy.deepcopy(base)
    hilora = inject(unet, rank=4, alpha=6.0)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for layer in hilora.layers.values():
            layer.lora_B.copy_(torch.randn(layer.lora_B.shape, generator=generator) * 0.2)
    return unet, hilora


def inputs(batch: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "sample": torch.randn(batch, 4, 8, 8, generator=generator),
        "timestep": torch.arange(batch) * 37 + 5,
        "encoder_hidden_states": torch.randn(batch, 6, 24, generator=generator),
    }


def rows(batch: dict[str, torch.Tensor], index: slice) -> dict[str, torch.Tensor]:
    return {name: tensor[index] for name, tensor in batch.items()}


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


def peft_twin(base: UNet2DConditionModel, hilora: HiLoRA) -> UNet2DConditionModel:
    """The same weights as ten PEFT adapters."""
    twin = copy.deepcopy(base)
    for pair in PAIRS:
        twin.add_adapter(LoraConfig(r=hilora.rank, lora_alpha=hilora.alpha, target_modules=TARGETS), adapter_name=pair)
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


def test_a_mixed_batch_equals_its_samples_one_by_one(adapted):
    unet, hilora = adapted
    gates = torch.cat([gates_for([1, 6, 3]), fuse({"awe": 1, "anger": 2})[None]])
    batch = inputs(4)
    with torch.no_grad():
        hilora.set_gates(gates)
        together = unet(**batch).sample
        for index in range(4):
            hilora.set_gates(gates[index])
            alone = unet(**rows(batch, slice(index, index + 1))).sample
            assert torch.allclose(together[index : index + 1], alone, atol=1e-5)


def gradients(hilora: HiLoRA) -> list[torch.Tensor]:
    return [parameter.grad.clone() for parameter in hilora.parameters()]


def test_gradients_of_a_mixed_batch_are_the_sum_over_its_samples(adapted):
    unet, hilora = adapted
    gates = torch.cat([gates_for([1, 6, 3]), fuse({"awe": 1, "anger": 2})[None]])
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


def test_a_fusion_turned_up_equals_peft_with_weighted_adapters(base, adapted):
    """PEFT multiplies each adapter's scaling, so weights and intensity mean the same there."""
    unet, hilora = adapted
    twin = peft_twin(base, hilora)
    gate = scale(fuse({"awe": 0.6, "fear": 0.4}), 1.5)
    weights = {pair: weight for pair, weight in zip(PAIRS, gate.tolist(), strict=True) if weight}
    twin.set_adapters(list(weights), list(weights.values()))
    hilora.set_gates(gate)
    with torch.no_grad():
        assert torch.allclose(unet(**inputs()).sample, twin(**inputs()).sample, atol=1e-5)


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
    gate = fuse({"awe": 0.6, "fear": 0.4})
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


@pytest.mark.parametrize("query", [{"fear": 1.0}, {"awe": 0.6, "fear": 0.4}])
def test_an_export_loaded_by_diffusers_gives_the_same_output(base, adapted, tmp_path, query):
    unet, hilora = adapted
    gate = gate_for("fear") if len(query) == 1 else fuse(query)
    state = hilora.export(gate)
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
        adapted[1].export(torch.zeros(10))


def test_gradient_checkpointing_changes_no_gradient(adapted):
    """Layers run again during the backward pass, and must see each sample's own gates then as well."""
    unet, hilora = adapted
    hilora.set_gates(torch.cat([gates_for([0, 4]), fuse({"awe": 1, "anger": 2})[None]]))
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
    for gates in (gates_for([0, 5]), gates_for([7, 7]), scale(fuse({"awe": 1, "anger": 2}), 0.5).expand(2, -1), torch.zeros(2, 10)):
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


def test_double_injection_and_unknown_targets_are_refused(base, adapted):
    with pytest.raises(ValueError, match="already"):
        inject(adapted[0])
    with pytest.raises(ValueError, match="check the targets"):
        inject(copy.deepcopy(base), targets=("to_nowhere",))


def test_initial_pairs_come_from_the_seed(base):
    first, second, third = (inject(copy.deepcopy(base), seed=seed).parameters() for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], third[0])


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
