import pytest
from pydantic import ValidationError

from coemogen_core.methods.coemogen import CoEmoGen
from coemogen_core.methods.custom import CustomMethod
from coemogen_core.methods.registry import LABELS, METHODS, MethodSpec, new_method
from coemogen_core.methods.trained import TrainedMethod
from coemogen_core.training.recipes import RECIPES

LAB = RECIPES["lab"]
OWN = "tests.coemogen_core.methods.grey_generator:GreyGenerator"


def test_trained_methods_share_the_budget_unless_told_otherwise():
    for name in METHODS:
        method = new_method(MethodSpec(method=name), LAB)
        if isinstance(method, TrainedMethod):
            assert (method.recipe.steps, method.recipe.batch_size, method.recipe.min_snr_gamma) == (2600, 4, 5)
        assert method.budget == (2600 * 4 if isinstance(method, TrainedMethod) else None)
    shorter = new_method(MethodSpec(method="dreambooth-lora", settings={"steps": 8, "rank": 2}), LAB)
    assert isinstance(shorter, TrainedMethod)
    assert (shorter.recipe.steps, shorter.recipe.batch_size) == (8, 4)
    deeper = new_method(MethodSpec(method="coemogen", settings={"conditioner": {"num_emotion_tokens": 2}}), LAB)
    assert isinstance(deeper, CoEmoGen)
    assert deeper.recipe.conditioner.num_emotion_tokens == 2
    assert deeper.recipe.conditioner.hidden_width == LAB.conditioner.hidden_width


@pytest.mark.parametrize("method", ["coemogen", "textual-inversion", "emogen-like"])
def test_a_method_is_brought_to_another_batch_and_its_settings_go_over_that(method: str) -> None:
    usual, changed = (new_method(MethodSpec(method=method, settings=settings), LAB) for settings in ({}, {"for_batch": 32, "seed": 5}))
    assert isinstance(usual, TrainedMethod)
    assert isinstance(changed, TrainedMethod)
    assert changed.recipe == usual.recipe.for_batch(32).model_copy(update={"seed": 5})
    with pytest.raises(ValueError, match=r"for_batch beside training\.batch_size: give one of them"):
        new_method(MethodSpec(method=method, settings={"for_batch": 32, "batch_size": 4}), LAB)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("gan", {}, "unknown method 'gan'; expected one of: coemogen, sd, "),
        ("sd", {"prompt": "a picture"}, "holds no {emotion}"),
        ("textual-inversion", {"prompt": "no place"}, "must hold {word} once"),
        ("dreambooth-lora", {"rang": 3}, "rang"),
        ("coemogen", {"steps": 0}, "steps"),
        ("nowhere_at_all.module:Thing", {}, "cannot be imported"),
        ("tests.coemogen_core.methods.grey_generator:Nothing", {}, "cannot be imported"),
        ("pathlib:Path", {}, "no subclass of coemogen_core.methods.generator.Generator"),
        ("coemogen_core.methods.prompted:PlainDiffusionGenerator", {}, "has no `identity`"),
        (OWN, {"colour": 3}, "unexpected keyword argument 'colour'"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(method, settings, message):
    with pytest.raises(ValueError, match=message):
        new_method(MethodSpec(method=method, settings=settings), LAB)


def test_a_missing_file_of_prompts_is_named():
    with pytest.raises(FileNotFoundError, match=r"no file of prompts nope: give a path, or one of those .* lab.v1"):
        new_method(MethodSpec(method="sd-llm", settings={"prompts": "nope"}), LAB)


def test_names():
    own, plain, usual = MethodSpec(method=OWN), MethodSpec(method="sd", name="plain"), MethodSpec(method="sd")
    assert (own.name, own.label, plain.name, plain.label) == ("grey-generator", "grey-generator", "plain", "plain")
    assert (usual.name, usual.label, MethodSpec(method="sd", label="SD 1.5").label) == ("sd", "Stable Diffusion", "SD 1.5")
    assert MethodSpec.model_validate(plain.model_dump()) == plain
    assert LABELS.keys() == METHODS.keys()
    with pytest.raises(ValidationError):
        MethodSpec(method="sd", name="Not A Folder")
    method = new_method(MethodSpec(method=OWN, settings={"side": 8}), LAB)
    assert isinstance(method, CustomMethod)
    assert method.name == "grey-generator"


def test_another_setting_of_an_own_generator_is_another_identity():
    first, second = (new_method(MethodSpec(method=OWN, settings={"side": side}), LAB) for side in (8, 16))
    identities = [method.sample_identity(None, None) for method in (first, second)]  # type: ignore[arg-type]
    assert identities[0] == {"generator": OWN, "settings": {"side": 8}, "identity": {"version": 1}}
    assert identities[0] != identities[1]
