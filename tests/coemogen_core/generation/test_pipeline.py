import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from safetensors.torch import save_file

from coemogen_core.generation.denoising import load_base_pipeline
from coemogen_core.generation.pipeline import EmotionPipeline
from coemogen_core.model.gates import gate_for
from coemogen_core.model.generation_recipe import GenerationRecipe, TransferSettings, make_scheduler
from coemogen_core.model.hilora import collapse

FAST = {"num_inference_steps": 3, "guidance_scale": 3.0}


def pixels(pictures) -> np.ndarray:
    return np.stack([np.asarray(picture) for picture in pictures]).astype(int)


def distance(a, b) -> int:
    return int(np.abs(pixels(a) - pixels(b)).max())


def test_pictures_are_rgb_of_the_base_models_size(pipe):
    pictures = pipe("awe", num_images=2, seed=0, **FAST)
    assert [(picture.mode, picture.size) for picture in pictures] == [("RGB", (64, 64))] * 2


def test_a_picture_depends_on_its_seed_alone_not_on_its_batch(pipe):
    together = pipe("awe", num_images=4, seed=10, batch_size=4, **FAST)
    for batch_size in (1, 3):
        assert distance(together, pipe("awe", num_images=4, seed=10, batch_size=batch_size, **FAST)) <= 1
    assert distance(together[2:3], pipe("awe", num_images=1, seed=12, **FAST)) <= 1
    assert distance(together[:1], together[1:2]) > 5


@pytest.mark.parametrize(
    "settings",
    [
        {"content": "a boat at sea"},
        {"negative_prompt": "a dog in a park"},
        {"height": 48, "width": 80},
        {"scheduler": "euler a"},
        {"scheduler": "euler a", "content": "a boat at sea", "unconditional_gates": "base"},
    ],
    ids=lambda settings: ", ".join(settings.values() if all(isinstance(v, str) for v in settings.values()) else settings),
)
def test_nor_does_it_with_any_other_way_of_drawing(pipe, settings):
    settings = {**FAST, "num_inference_steps": 4, **settings}
    together = pipe("awe", num_images=3, seed=20, batch_size=3, **settings)
    for k in range(3):
        assert distance(together[k : k + 1], pipe("awe", seed=20 + k, **settings)) <= 1
    assert distance(together[:1], pipe("awe", seed=20, **FAST)) > 0 if together[0].size == (64, 64) else together[0].size == (80, 48)


def test_a_sampler_that_draws_noise_draws_it_for_each_picture(pipe):
    """Ancestral sampling: the same steps without its noise give another picture."""
    assert distance(pipe("awe", seed=1, scheduler="euler a", **FAST), pipe("awe", seed=1, scheduler="euler", **FAST)) > 0


def test_the_same_call_gives_the_same_bytes(pipe):
    first = pipe("anger", num_images=2, seed=3, **FAST)
    pipe("awe", num_images=1, seed=0, **FAST)
    assert distance(first, pipe("anger", num_images=2, seed=3, **FAST)) == 0


def test_merged_and_gated_pictures_agree(pipe):
    """`same` merges the gate; setting the same gates for both branches by hand must give the same picture."""
    recipe = GenerationRecipe(**FAST)
    merged = pipe.generate("awe", [5, 6], recipe)
    assert pipe.hilora.merged
    pipe._open_gate = lambda gate, count, recipe: (pipe.hilora.unmerge(), pipe.hilora.set_gates(gate.expand(count, -1)))
    try:
        gated = pipe.generate("awe", [5, 6], recipe)
    finally:
        del pipe._open_gate
        pipe._merged_gate = None
    assert distance(merged, gated) <= 1


def test_the_unconditional_branch_may_be_the_base_models(pipe):
    same = pipe("awe", seed=1, **FAST)
    base = pipe("awe", seed=1, unconditional_gates="base", **FAST)
    assert distance(same, base) > 0
    assert not pipe.hilora.merged
    no_guidance = {**FAST, "guidance_scale": 1.0}
    assert distance(pipe("awe", seed=1, **no_guidance), pipe("awe", seed=1, unconditional_gates="base", **no_guidance)) <= 1


def test_intensity_zero_is_the_base_models_way_of_drawing(pipe):
    zero = pipe("awe", seed=2, intensity=0.0, **FAST)
    pipe.hilora.unmerge()
    pipe.hilora.set_gates(None)
    pipe._open_gate = lambda *_: None
    try:
        base = pipe.generate("awe", [2], GenerationRecipe(**FAST))
    finally:
        del pipe._open_gate
        pipe._merged_gate = None
    assert distance(zero, base) == 0
    assert distance(zero, pipe("awe", seed=2, **FAST)) > 0


def test_fusion_goes_from_one_emotion_to_the_other(pipe):
    assert distance(pipe({"awe": 2.0}, seed=4, **FAST), pipe("awe", seed=4, **FAST)) == 0
    half = pipe({"awe": 0.5, "anger": 0.5}, seed=4, **FAST)
    assert distance(half, pipe("awe", seed=4, **FAST)) > 0
    assert distance(half, pipe("anger", seed=4, **FAST)) > 0


def test_an_exported_lora_in_plain_diffusers_gives_the_same_picture(pipe, models, tmp_path):
    recipe = GenerationRecipe(**FAST)
    ours = pipe.generate("awe", [8], recipe)
    save_file(collapse(pipe.hilora.state_dict(), gate_for("awe"), pipe.trained.scaling), tmp_path / "pytorch_lora_weights.safetensors")
    plain = load_base_pipeline(models, "cpu")
    plain.unet.load_lora_adapter(str(tmp_path), prefix=None, weight_name="pytorch_lora_weights.safetensors")
    with torch.inference_mode():
        visual = pipe.clusters.sample("awe", pipe.visual_seed(8))[None]
        sequence = pipe.conditioner(torch.eye(8)[[1]], visual).sequence
        theirs = plain(
            prompt_embeds=sequence,
            negative_prompt_embeds=plain.encode_prompt("", "cpu", 1, False)[0],
            latents=torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(8)),
            num_inference_steps=3,
            guidance_scale=3.0,
        ).images
    assert distance(ours, theirs) <= 1


def test_unusable_requests_say_why(pipe, models, workspace):
    with pytest.raises(ValueError, match="no cluster for sadness"):
        pipe("sadness", **FAST)
    with pytest.raises(ValueError, match="unknown emotion"):
        pipe("joy", **FAST)
    with pytest.raises(ValueError, match="num_inference_steps"):
        pipe("awe", num_inference_steps=0)
    with pytest.raises(FileNotFoundError, match="train first"):
        EmotionPipeline.from_run(models, workspace.path("runs", "none", "model"))


def test_another_base_model_is_pointed_out(models, workspace, tiny_diffusion, tmp_path):
    import shutil

    other = tmp_path / "other"
    shutil.copytree(tiny_diffusion, other)
    (other / "note.txt").write_text("changed")
    with pytest.warns(UserWarning, match="another diffusion model"):
        EmotionPipeline.from_run(
            models.model_copy(update={"diffusion": str(other)}), workspace.path("runs", "run-1", "model"), device="cpu"
        )


@pytest.mark.parametrize(("size", "suggestion"), [(60, "64 would do"), (9, "8 would do")])
def test_a_size_that_does_not_fit_is_refused(pipe, size, suggestion):
    with pytest.raises(ValueError, match=f"width {size}: this model draws multiples of 8 pixels; {suggestion}"):
        pipe("awe", width=size, **FAST)


def test_a_recipe_is_identified_by_what_changes_a_picture():
    transfer = GenerationRecipe(content="a bag").identity  # with all settings of transfer: another default is another id
    assert (transfer["content"], transfer["transfer"]) == ("a bag", TransferSettings().model_dump())
    assert GenerationRecipe(intensity=2).identity != GenerationRecipe().identity
    assert GenerationRecipe.model_validate(transfer) == GenerationRecipe(content="a bag")
    assert GenerationRecipe(batch_size=3).identity != GenerationRecipe().identity  # it rounds single pixels
    assert "device" not in GenerationRecipe().identity


def test_it_is_a_diffusers_pipeline(pipe, models, trained):
    assert isinstance(pipe, DiffusionPipeline)
    assert {"vae", "text_encoder", "tokenizer", "unet", "scheduler", "conditioner"} <= pipe.components.keys()
    own = EmotionPipeline.on_base(load_base_pipeline(models, "cpu"), trained)
    same = EmotionPipeline(**own.components)
    assert distance(same("awe", **FAST), pipe("awe", **FAST)) == 0
    assert same("awe", **FAST).images[0].size == (64, 64)
    own.enable_attention_slicing()
    assert distance(own("awe", **FAST), pipe("awe", **FAST)) <= 1
    own.scheduler = DDIMScheduler.from_config(own.scheduler.config)
    assert distance(own("awe", **FAST), pipe("awe", scheduler="ddim", **FAST)) <= 1
    own.to(torch.float64)
    assert own.conditioner.dtype == torch.float64
    assert distance(own("awe", **FAST), pipe("awe", scheduler="ddim", **FAST)) <= 2


@pytest.mark.parametrize("name", ["base", "ddim", "dpmsolver++", "euler", "euler a"])
def test_samplers_share_the_base_models_noise_schedule(pipe, name):
    recipe = GenerationRecipe(scheduler=name, timestep_spacing="trailing", **FAST)
    scheduler = make_scheduler(pipe.scheduler, recipe)
    assert torch.equal(scheduler.betas, pipe.scheduler.betas)
    assert scheduler.config.timestep_spacing == "trailing"
    assert len(pipe("awe", scheduler=name, timestep_spacing="trailing", **FAST)) == 1
