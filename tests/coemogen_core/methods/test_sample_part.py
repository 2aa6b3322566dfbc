import io

import numpy as np
import polars as pl
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from coemogen_core.methods import sample_plan
from coemogen_core.methods.coemogen import CoEmoGen
from coemogen_core.methods.generator import Generator
from coemogen_core.methods.method import Method
from coemogen_core.methods.prompted import PROMPT, PlainDiffusion, PlainDiffusionGenerator
from coemogen_core.methods.sample_part import generate_part
from coemogen_core.methods.sample_plan import SamplePlan, SampleSet
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.recipes import TrainingRecipe
from schemas.tables import Samples

FAST = GenerationRecipe(num_inference_steps=2, guidance_scale=2.0, batch_size=2, device="cpu")
METHODS = {"coemogen": CoEmoGen("coemogen", TrainingRecipe(steps=1, batch_size=1)), "sd": PlainDiffusion("sd")}


def plan_of(models, name="sd", count=3, seed=7, recipe=FAST) -> SamplePlan:
    return SamplePlan(METHODS[name], count, seed, recipe, models, "run-1" if name == "coemogen" else None)


def decode(row) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(row["bytes"]))).astype(int)


@pytest.mark.parametrize("name", ["coemogen", "sd"])
def test_a_part_holds_the_pictures_of_its_seeds_and_is_made_once(workspace, models, name):
    plan = plan_of(models, name)
    outcome = generate_part(workspace, plan, "awe-00000")
    rows = workspace.table("runs", plan.run_id, "samples", name).read_part("awe-00000")
    Samples.validate(rows)
    assert (outcome.rows, outcome.reused) == (3, False)
    assert rows["seed"].to_list() == [7, 8, 9]
    assert decode(rows["image"][0]).shape == (64, 64, 3)
    assert generate_part(workspace, plan, "awe-00000").reused


def test_a_killed_emotion_goes_on_at_its_part_and_gives_the_same_pictures(workspace, models, monkeypatch, tmp_path):
    plan, elsewhere = plan_of(models, count=5, seed=100), Workspace(str(tmp_path))
    generate_part(workspace, plan, "fear-00000")
    monkeypatch.setattr(sample_plan, "PART_SIZE", 2)
    assert [part for part in plan.parts() if part.startswith("fear")] == ["fear-00000", "fear-00002", "fear-00004"]
    outcomes = [generate_part(elsewhere, plan, part) for part in ("fear-00000", "fear-00004")]
    assert [outcome.rows for outcome in outcomes] == [2, 1]
    samples = SampleSet(elsewhere, plan.run_id, "sd")
    with pytest.raises(FileNotFoundError, match="3 of 5 samples of fear"):
        samples.read("fear", ["index"])
    again = [generate_part(elsewhere, plan, part).reused for part in [part for part in plan.parts() if part.startswith("fear")]]
    assert again == [True, False, True]
    sets = [found.read("fear", ["index", "seed", "image"]) for found in (SampleSet(workspace, plan.run_id, "sd"), samples)]
    for column in ("index", "seed"):
        assert sets[0][column].equals(sets[1][column])
    assert [row["path"] for row in sets[0]["image"]] == [row["path"] for row in sets[1]["image"]]
    assert all(np.abs(decode(one) - decode(other)).max() <= 1 for one, other in zip(sets[0]["image"], sets[1]["image"], strict=True))
    assert samples.emotions() == ["fear"]
    assert samples.head("fear", 3, ["index"])["index"].to_list() == [0, 1, 2]
    assert samples.head("awe", 2, ["index"]).is_empty()


@pytest.mark.parametrize(("name", "own"), [("coemogen", {"model": "run-1"}), ("sd", {"prompt": PROMPT})])
def test_an_id_hashes_what_decides_the_pictures(models, name, own):
    plan = plan_of(models, name)
    fields = {"method": name, "count": 3, "seed": 7, "recipe": FAST.identity, "models": models.identity, **own}
    assert plan.run_id == recipe_id("samples", fields)


def test_plain_diffusion_is_the_base_pipeline_with_the_emotions_name(models, tiny_diffusion):
    """Oracle: StableDiffusionPipeline called directly."""
    ours = PlainDiffusionGenerator(models, FAST).generate("fear", [4])
    base = StableDiffusionPipeline.from_pretrained(tiny_diffusion, safety_checker=None)
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(4))
    theirs = base("an image of fear", latents=noise, num_inference_steps=2, guidance_scale=2.0).images
    assert np.abs(np.asarray(ours[0]).astype(int) - np.asarray(theirs[0])).max() <= 1


def test_other_settings_are_another_run(models):
    plan = plan_of(models)
    assert plan.run_id != plan_of(models, recipe=FAST.model_copy(update={"guidance_scale": 9.0})).run_id
    assert plan.run_id != plan_of(models, recipe=FAST.model_copy(update={"batch_size": 1})).run_id  # it rounds single pixels otherwise
    assert plan.run_id == plan_of(models, recipe=FAST.model_copy(update={"device": "auto"})).run_id


def test_a_generator_is_shared_by_plans_that_compute_on_the_same_device(tmp_path, models):
    class Grey(Generator):
        def generate(self, emotion, seeds):
            return [Image.new("RGB", (8, 8))] * len(seeds)

    loaded = []

    class GreyMethod(Method):
        def load(self, models, recipe, model_folder):
            loaded.append(recipe.device)
            return Grey()

    for turn, device in enumerate(("cpu", "cpu", "auto")):
        recipe = FAST.model_copy(update={"device": device})
        plan = SamplePlan(GreyMethod("grey"), 1, 0, recipe, models)
        generate_part(Workspace(str(tmp_path / str(turn))), plan, "awe-00000")
    assert loaded == ["cpu", "auto"]


def test_bad_requests_are_refused(workspace, models):
    with pytest.raises(ValueError, match="unknown emotion"):
        generate_part(workspace, plan_of(models), "joy-00000")
    with pytest.raises(ValueError, match="no part 'awe-00007' in a plan of 3 pictures"):
        generate_part(workspace, plan_of(models), "awe-00007")
    with pytest.raises(FileNotFoundError, match="train first"):
        generate_part(workspace, SamplePlan(METHODS["coemogen"], 1, 0, FAST, models, "run-none"), "awe-00000")


def test_a_generator_that_makes_too_few_pictures_is_found_out(workspace, models):
    class Lazy(Generator):
        def generate(self, emotion, seeds):
            return []

    class LazyMethod(Method):
        def load(self, models, recipe, model_folder):
            return Lazy()

    plan = SamplePlan(LazyMethod("lazy"), 1, 0, FAST, models)
    with pytest.raises(ValueError, match="Lazy made 0 pictures for 1 seeds"):
        generate_part(workspace, plan, "awe-00000")
    assert not workspace.table("runs", plan.run_id, "samples", "lazy").parts()


def test_parts_written_elsewhere_need_no_plan(workspace):
    """Pictures whose number nobody planned are read as they are."""
    image = {"bytes": b"x", "path": "x.png"}
    frame = pl.DataFrame({"emotion": ["anger"], "index": [0], "seed": [0], "image": [image]})
    workspace.table("runs", "elsewhere", "samples", "theirs").write_part("anger", frame, Samples)
    assert SampleSet(workspace, "elsewhere", "theirs").read("anger", ["index"]).height == 1


def test_the_slot_is_held_to_draw_alone(tmp_path, models, slot, monkeypatch):
    monkeypatch.setattr(PlainDiffusionGenerator, "generate", slot.watch(PlainDiffusionGenerator.generate))
    for reused in (False, True):
        assert generate_part(Workspace(str(tmp_path)), plan_of(models), "awe-00000", slot=slot).reused is reused
        assert slot.entered == 1
    assert set(slot.seen) == {True}


def test_what_another_run_drew_while_this_one_waited_is_not_drawn_again(tmp_path, models, slot):
    wanted = Workspace(str(tmp_path)), plan_of(models), "awe-00000"
    slot.while_waiting = lambda: generate_part(*wanted)
    assert generate_part(*wanted, slot=slot).reused
    assert slot.entered == 1
