"""Aggregating an ablation study, and what people read of it."""

import statistics

import pytest

from coemogen_core.experiments.ablation_study_file import FILE, read_ablations, write_ablations
from coemogen_core.experiments.ablation_summary import markdown_table, remark_on_order, summarise
from coemogen_core.experiments.ablation_variants import PAPER_EMO_A, VARIANTS, variant_recipe
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.recipes import RECIPES
from schemas.ablations import AblationRun, Ablations


def study(emo_a: dict[str, list[float]]) -> Ablations:
    runs = [
        AblationRun(variant=variant, seed=seed, metrics={"emo_a": value, "fid": 20.0 + seed}, training_run="train", samples_run="samples")
        for variant, values in emo_a.items()
        for seed, value in enumerate(values)
    ]
    return Ablations(dataset="emoset", steps=2, images_per_emotion=4, runs=tuple(runs))


def test_mean_and_deviation_are_those_of_the_seeds():
    values = [0.5, 0.625, 0.875, 0.75, 0.5]
    full, other = summarise(study({"without L_SEM": [0.25], "full": values}))
    assert (full.variant, full.seeds, other.variant) == ("full", 5, "without L_SEM")
    assert full.metrics["emo_a"].mean == pytest.approx(statistics.mean(values))
    assert full.metrics["emo_a"].deviation == pytest.approx(statistics.stdev(values))
    assert other.metrics["emo_a"].deviation is None
    assert "sem_c" not in full.metrics


def test_the_table_has_a_row_a_variant_and_the_papers_number():
    header, _, full, forms = markdown_table(study({"full": [0.5, 0.75], "L_SEM as MSE": [0.25]})).splitlines()
    assert header.startswith("| variant | seeds | fid |")
    cells = dict(zip(header.split(" | "), full.split(" | "), strict=True))
    assert {name: text for name, text in cells.items() if text != "–"} == {
        "| variant": "| full",
        "seeds": "2",
        "fid": "20.5 ± 0.7071",
        "emo_a": "0.625 ± 0.1768",
        "paper's emo_a |": "0.8015 |",
    }
    assert forms.endswith("| 0.25 | – | – |  |")


def test_the_remark_says_whether_the_order_is_the_papers():
    assert list(PAPER_EMO_A) == sorted(PAPER_EMO_A, key=lambda variant: -PAPER_EMO_A[variant])
    same = remark_on_order(study({variant: [value] for variant, value in PAPER_EMO_A.items()}))
    assert "80.2 %" in same
    assert "the same order" in same
    assert "another order" in remark_on_order(study({"full": [0.5], "without L_SEM": [0.75]}))
    assert "Here" not in remark_on_order(study({"full": [0.5]}))


def test_variants_differ_from_the_full_method_in_one_field_each():
    base = RECIPES["lab"]
    recipes = {variant: variant_recipe(base, variant, seed=3) for variant in VARIANTS}
    assert recipes["full"] == base.model_copy(update={"seed": 3})
    full = recipes.pop("full").model_dump()
    for recipe in recipes.values():
        assert sum(value != full[name] for name, value in recipe.model_dump().items()) == 1


def test_a_study_comes_back_from_its_file(tmp_path):
    workspace = Workspace(str(tmp_path))
    assert read_ablations(workspace) is None
    written = study({"full": [0.5, 0.75]})
    write_ablations(workspace, written)
    assert read_ablations(workspace) == written
    (tmp_path / FILE).write_text('{"steps": 0}')
    with pytest.raises(ValueError, match="run the study again"):
        read_ablations(workspace)
