"""A study on tiny models: two steps of training, two pictures an emotion. That it is stored and resumed, not what it says."""

import pytest

from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.experiments import ablation_study as study
from coemogen_core.experiments.ablation_study import AblationPlan, collect_runs, prepare, read_run, run_variant
from coemogen_core.model.conditioner import ConditionerConfig
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.recipes import TrainingRecipe
from tests.coemogen_core.training.conftest import cached, corpus, feature_recipe  # noqa: F401 (fixtures)


@pytest.fixture
def plan(models, cached) -> AblationPlan:  # noqa: F811
    return AblationPlan(
        dataset="emoset",
        feature_id=cached,
        source="photos",
        models=models,
        training=TrainingRecipe(steps=2, batch_size=2, conditioner=ConditionerConfig(num_emotion_tokens=2, hidden_width=8), device="cpu"),
        generation=GenerationRecipe(num_inference_steps=1, guidance_scale=1.0, device="cpu"),
        evaluation=EvaluationRecipe(resamples=20, lpips_neighbours=1),
        images_per_emotion=2,
    )


def test_a_run_is_stored_and_never_computed_twice(plan, corpus, monkeypatch):  # noqa: F811
    prepare(corpus, plan)
    assert read_run(corpus, plan, "without L_SEM", 1) is None
    run = run_variant(corpus, plan, "without L_SEM", 1)
    assert (run.variant, run.seed) == ("without L_SEM", 1)
    assert {"emo_a", "lpips", "sem_c", "sem_d"} <= run.metrics.keys()
    assert 0 <= run.metrics["emo_a"] <= 1
    assert corpus.exists("runs", run.training_run, "model", "config.json")
    monkeypatch.setattr(study, "train", None)  # whatever would compute fails from here on
    assert run_variant(corpus, plan, "without L_SEM", 1) == run
    assert read_run(Workspace(corpus.uri), plan, "full", 1) is None
    assert collect_runs(corpus, plan, [0, 1]).runs == (run,)
    longer = plan.model_copy(update={"training": plan.training.model_copy(update={"steps": 3})})
    more = plan.model_copy(update={"images_per_emotion": 3})
    assert [collect_runs(corpus, other, [0, 1]).runs for other in (longer, more)] == [(), ()]
