import io

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from coemogen_core.generation.generator import Generator, PlainDiffusionGenerator
from coemogen_core.generation.recipes import GenerationRecipe
from coemogen_core.generation.sample_part import generate_part, samples_run_id
from schemas.tables import Samples

FAST = GenerationRecipe(num_inference_steps=2, guidance_scale=2.0, batch_size=2, device="cpu")


def decode(row) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(row["bytes"]))).astype(int)


@pytest.mark.parametrize("method", ["coemogen", "sd"])
def test_a_part_holds_the_pictures_of_its_seeds_and_is_made_once(workspace, models, method):
    outcome = generate_part(workspace, "run-1", method, "awe", 3, 7, FAST, models)
    rows = workspace.table("runs", "run-1", "samples", method).read_part("awe")
    Samples.validate(rows)
    assert (outcome.rows, outcome.reused) == (3, False)
    assert rows["seed"].to_list() == [7, 8, 9]
    assert decode(rows["image"][0]).shape == (64, 64, 3)
    assert generate_part(workspace, "run-1", method, "awe", 3, 7, FAST, models).reused


def test_plain_diffusion_is_the_base_pipeline_with_the_emotions_name(models, tiny_diffusion):
    """Oracle: StableDiffusionPipeline called directly."""
    ours = PlainDiffusionGenerator(models, FAST).generate("fear", [4])
    base = StableDiffusionPipeline.from_pretrained(tiny_diffusion, safety_checker=None)
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(4))
    theirs = base("an image of fear", latents=noise, num_inference_steps=2, guidance_scale=2.0).images
    assert np.abs(np.asarray(ours[0]).astype(int) - np.asarray(theirs[0])).max() <= 1


def test_other_settings_never_mix_into_a_folder(workspace, models):
    generate_part(workspace, "run-2", "sd", "awe", 1, 0, FAST, models)
    with pytest.raises(ValueError, match=r"\(recipe differ\).*another run id"):
        generate_part(workspace, "run-2", "sd", "fear", 1, 0, FAST.model_copy(update={"guidance_scale": 9.0}), models)
    assert generate_part(workspace, "run-2", "sd", "awe", 1, 0, FAST.model_copy(update={"batch_size": 1}), models).reused


def test_samples_of_a_model_may_lie_in_another_run(workspace, models):
    run_id = samples_run_id("coemogen", 1, 5, FAST, models, "run-1")
    assert run_id != samples_run_id("coemogen", 1, 6, FAST, models, "run-1")
    assert generate_part(workspace, run_id, "coemogen", "anger", 1, 5, FAST, models, model_run_id="run-1").rows == 1


def test_bad_requests_are_refused(workspace, models):
    with pytest.raises(ValueError, match="unknown emotion"):
        generate_part(workspace, "run-1", "sd", "joy", 1, 0, FAST, models)
    with pytest.raises(ValueError, match="expected coemogen or sd"):
        generate_part(workspace, "run-1", "gan", "awe", 1, 0, FAST, models)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match="train first"):
        generate_part(workspace, "run-none", "coemogen", "awe", 1, 0, FAST, models)


def test_a_users_generator_is_a_subclass():
    class Grey(Generator):
        @property
        def identity(self):
            return {"generator": "grey"}

        def generate(self, emotion, seeds):
            return [Image.new("RGB", (8, 8), (seed, seed, seed)) for seed in seeds]

    assert len(Grey().generate("awe", [1, 2])) == 2
    with pytest.raises(TypeError):
        Generator()  # type: ignore[abstract]
