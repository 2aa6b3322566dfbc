"""Stable Diffusion 1.5's true shape: its configuration, without its weights."""

import json
import re
import resource
from collections import Counter
from pathlib import Path

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_lora_to_diffusers
from diffusers.utils import convert_unet_state_dict_to_peft
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from coemogen_core.model.conditioner import Conditioner, ConditionerConfig
from coemogen_core.model.gates import PAIRS, gate_for
from coemogen_core.model.hilora import HiLoRA, collapse, in_kohyas_names, in_pipelines_names, inject
from coemogen_core.model.text_encoder import FrozenTextEncoder
from coemogen_core.training.batches import TrainingBatch
from coemogen_core.training.objective import TrainingObjective
from coemogen_core.training.optimizer import PairwiseAdamW
from coemogen_core.training.recipes import TrainingRecipe

CONFIG = json.loads((Path(__file__).parent / "sd15_unet.json").read_text())
PARAMETERS = 859_520_964
TEXT_WIDTH = 768
BLOCKS_OF_WIDTH = {320: 2 + 3, 640: 2 + 3, 1280: 2 + 1 + 3}  # transformer blocks on the way down, in the middle, on the way up
LAYERS = 8 * 16  # self- and cross-attention with to_q, to_k, to_v, to_out.0 each, in 16 transformer blocks

# Inputs plus outputs of the eight linears of a block of width w: all four of self-attention and two of cross-attention have w + w, to_k and
# to_v of cross-attention 768 + w. So 6 * 2w + 2 * (768 + w) = 14 w + 1536; over all blocks 199,296.
INPUTS_AND_OUTPUTS = sum(count * (14 * width + 2 * TEXT_WIDTH) for width, count in BLOCKS_OF_WIDTH.items())


def new_unet() -> UNet2DConditionModel:
    """On no device: shapes without numbers."""
    with torch.device("meta"):
        return UNet2DConditionModel.from_config(CONFIG)


@pytest.fixture(scope="module")
def hilora() -> HiLoRA:
    unet = new_unet()
    assert sum(parameter.numel() for parameter in unet.parameters()) == PARAMETERS
    return inject(unet, rank=4)


def test_adapted_linears_are_the_128_attention_projections(hilora):
    assert len(hilora.layers) == LAYERS == 128
    blocks = Counter(re.match(r"((?:down|up)_blocks\.\d|mid_block)", name).group() for name in hilora.layers)
    assert blocks == {
        **{f"down_blocks.{index}": 2 * 8 for index in range(3)},
        "mid_block": 8,
        **{f"up_blocks.{index}": 3 * 8 for index in range(1, 4)},
    }
    kinds = Counter(re.search(r"(attn[12]\.to_.*)$", name).group() for name in hilora.layers)
    assert kinds == {f"attn{kind}.{end}": 16 for kind in (1, 2) for end in ("to_q", "to_k", "to_v", "to_out.0")}


def test_trainable_parameters_are_those_counted_by_hand(hilora):
    """Each linear has ten pairs of rank 4, A [4, in] and B [out, 4]: 10 * 4 * (in + out) numbers."""
    assert INPUTS_AND_OUTPUTS == 199_296
    trainable = sum(parameter.numel() for parameter in hilora.parameters())
    assert trainable == 10 * 4 * INPUTS_AND_OUTPUTS == 7_971_840
    print(f"HiLoRA on Stable Diffusion 1.5: {trainable:,} trainable of {PARAMETERS + trainable:,} parameters")


def stacks(hilora: HiLoRA) -> dict[str, Tensor]:
    """A HiLoRA's tensors with numbers in them."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, layer in hilora.layers.items():
        for pair in PAIRS:
            state[f"{name}.lora_A.{pair}"] = torch.randn(4, layer.base.in_features, generator=generator)
            state[f"{name}.lora_B.{pair}"] = torch.randn(layer.base.out_features, 4, generator=generator)
    return state


@pytest.mark.parametrize(("gate", "rank"), [(gate_for("awe"), 8), (gate_for({"awe": 0.6, "fear": 0.4}), 16)])
def test_exports_have_the_full_key_set_of_both_spellings(hilora, gate, rank):
    """Oracles: sd-scripts' rule for names, written out, and diffusers' own reader of them."""
    lora = collapse(stacks(hilora), gate, scaling=1.0)
    kohyas = in_kohyas_names(lora)
    spelt = {"lora_unet_" + name.replace(".", "_"): layer.base for name, layer in hilora.layers.items()}
    assert kohyas.keys() == {f"{name}.{part}" for name in spelt for part in ("lora_down.weight", "lora_up.weight", "alpha")}
    assert "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight" in kohyas
    assert "lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_attn2_to_out_0.alpha" in kohyas
    for name, linear in spelt.items():
        assert kohyas[f"{name}.lora_down.weight"].shape == (rank, linear.in_features)
        assert kohyas[f"{name}.lora_up.weight"].shape == (linear.out_features, rank)
        assert kohyas[f"{name}.alpha"].item() == rank
    read, alphas = _convert_non_diffusers_lora_to_diffusers(dict(kohyas))
    back = convert_unet_state_dict_to_peft(read)
    ours = in_pipelines_names(lora)
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[name], ours[name]) for name in ours)
    assert (len(alphas), set(alphas.values())) == (LAYERS, {float(rank)})
    assert sum(tensor.numel() for tensor in ours.values()) == rank * INPUTS_AND_OUTPUTS


def with_numbers(model: nn.Module) -> nn.Module:
    """Numbers that let signals through, drawn a hundred times faster than by each layer's own rule."""
    model = model.to_empty(device="cpu")
    torch.manual_seed(0)
    noise = torch.randn(2**20)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() < 2:
                parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
                continue
            inputs = parameter[0].numel()
            parameter.copy_(noise.repeat(-(-parameter.numel() // noise.numel()))[: parameter.numel()].view_as(parameter) * inputs**-0.5)
    return model


def new_text_encoder(tokenizer: CLIPTokenizer) -> FrozenTextEncoder:
    """Of CLIP ViT-L/14's width, heads and positions, two layers deep."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=3072,
        num_attention_heads=12,
        num_hidden_layers=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return FrozenTextEncoder(CLIPTextModel(config), tokenizer, nn.Linear(TEXT_WIDTH, TEXT_WIDTH, bias=False))


@pytest.mark.slow
def test_one_training_step_fits_into_a_laptops_memory(tiny_clip):
    """64 pixels, so latents 8 x 8, float32: 3.4 GB of weights, and only what is trained has gradients and moments."""
    recipe = TrainingRecipe(steps=1, batch_size=1)
    unet = with_numbers(new_unet()).eval()
    hilora = inject(unet, recipe.rank)
    conditioner = Conditioner(ConditionerConfig(), new_text_encoder(CLIPTokenizer.from_pretrained(tiny_clip)), visual_width=TEXT_WIDTH)
    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    objective = TrainingObjective(unet, hilora, conditioner, scheduler, recipe)
    before = {name: parameter.clone() for name, parameter in objective.trainable().items()}
    optimizer = PairwiseAdamW(hilora.parameters(), conditioner.parameters(), lr=recipe.learning_rate)
    batch = TrainingBatch(
        latents=torch.randn(1, 4, 8, 8),
        noise=torch.randn(1, 4, 8, 8),
        timesteps=torch.tensor([300]),
        visual=torch.randn(1, TEXT_WIDTH),
        caption=torch.randn(1, TEXT_WIDTH),
        label=torch.tensor([1]),
        unconditional=torch.tensor([False]),
    )
    losses = objective(batch)
    (losses.diffusion.mean() + recipe.semantic_weight * losses.semantic.mean()).backward()
    optimizer.step()
    assert losses.diffusion.isfinite().all()
    assert losses.semantic.isfinite().all()
    assert sum(parameter.numel() for parameter in hilora.parameters()) == 7_971_840
    trained = {name for name, parameter in objective.trainable().items() if not torch.equal(parameter, before[name])}
    assert {name for name in before if "conditioner" in name} <= trained
    awe, other = PAIRS.index("awe"), PAIRS.index("fear")
    for layer in hilora.layers.values():
        assert layer.lora_B.detach()[awe].any()
        assert not layer.lora_B.detach()[other].any()
    assert all(parameter.grad is None for parameter in unet.parameters() if not parameter.requires_grad)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 8 * 2**20  # KiB
