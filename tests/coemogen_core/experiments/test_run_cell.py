"""Cells on tiny models: that they are stored and resumed, share their noise, and say which pictures were recognised."""

import io

import numpy as np
import pytest
from PIL import Image

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.recipe import EvaluationRecipe, load_extractors
from coemogen_core.experiments import run_cell as cells
from coemogen_core.experiments.run_cell import CellSettings, prepare_reference, run_cell
from coemogen_core.methods.registry import MethodSpec, new_method
from coemogen_core.methods.sample_plan import SampleSet
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.trainer import Trainer
from tests.coemogen_core.training.conftest import cached, corpus, feature_recipe  # noqa: F401 (fixtures)

TRAINING = TrainingRecipe(steps=8, batch_size=2, device="cpu")


@pytest.fixture(scope="module")
def settings(models, cached) -> CellSettings:  # noqa: F811
    return CellSettings(
        dataset="emoset",
        feature_id=cached,
        source="photos",
        models=models,
        generation=GenerationRecipe(num_inference_steps=1, guidance_scale=1.0, device="cpu"),
        evaluation=EvaluationRecipe(resamples=20, lpips_neighbours=1),
        images_per_emotion=3,
    )


def test_a_cell_is_computed_once_and_its_method_told_from_others(corpus, settings, monkeypatch):  # noqa: F811
    selection = prepare_reference(corpus, settings)
    method = new_method(MethodSpec(method="textual-inversion", settings={"num_tokens": 1}), TRAINING)
    found = run_cell(corpus, settings, method, 1, selection)
    assert (found.method, found.seed) == ("textual-inversion", 1)
    assert {"fid", "lpips", "emo_a", "sem_c", "sem_d"} <= found.metrics.keys()
    assert found.training_run is not None
    monkeypatch.setattr(Trainer, "train", None)  # whatever would compute fails from here on
    monkeypatch.setattr("coemogen_core.methods.sample_part._rows", None)
    assert run_cell(corpus, settings, method, 1, selection) == found
    seeds = SampleSet(corpus, found.samples_run, "textual-inversion").read("awe", ["seed"])["seed"].to_list()
    assert seeds == [cells.SEEDS_APART + number for number in range(3)]


def test_recognised_pictures_are_those_the_probe_saw(corpus, settings):  # noqa: F811
    """Oracle: the probe asked again, picture by picture in their order."""
    selection = prepare_reference(corpus, settings)
    found = run_cell(corpus, settings, new_method(MethodSpec(method="sd"), TRAINING), 0, selection)
    assert found.training_run is None
    probe = load_extractors(settings.evaluation).emotion_probes[0]
    right = 0
    for index, emotion in enumerate(EMOTIONS):
        rows = SampleSet(corpus, found.samples_run, "sd").read(emotion, ["image"])
        pictures = [np.asarray(Image.open(io.BytesIO(row["bytes"]))) for row in rows["image"]]
        expected = "".join(str(int(probe.probabilities([picture])[0].argmax() == index)) for picture in pictures)
        assert found.recognised[emotion] == expected
        right += expected.count("1")
    assert found.metrics["emo_a"].value == pytest.approx(right / 24)


def test_the_reference_follows_the_protocol(corpus, settings, monkeypatch):  # noqa: F811
    """The corpus has a test split of two pictures, which "emogen" does not prefer."""
    monkeypatch.setattr(cells, "load_extractors", lambda recipe: None)
    monkeypatch.setattr(cells, "reference_part", lambda *given: None)
    chosen = {}
    for protocol in ("corrected", "emogen"):
        evaluation = settings.evaluation.model_copy(update={"protocol": protocol, "minimum_reference": 2})
        chosen[protocol] = prepare_reference(corpus, settings.model_copy(update={"evaluation": evaluation})).split
    assert chosen == {"corrected": "test", "emogen": None}
