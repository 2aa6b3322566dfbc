"""What an evaluation does where its recipe says nothing."""

from coemogen_core.evaluation.recipe import EvaluationRecipe


def test_networks_run_on_whatever_the_machine_has() -> None:
    assert EvaluationRecipe().device == "auto"
