"""What --set can say."""

import typing
from collections.abc import Iterator
from functools import reduce
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from flows.command_line.front import reason
from flows.command_line.options import flow_params
from flows.params import BuildEmoartParams, BuildEmosetParams, Params, RecaptionParams
from flows.train_params import TrainAndEvalParams

PHOTOS = {"name": "photos", "layout": "image_folder", "root": "photos"}
GIVEN: dict[type[Params], dict[str, Any]] = {
    TrainAndEvalParams: {},
    BuildEmosetParams: {"source": PHOTOS},
    BuildEmoartParams: {"source": PHOTOS, "labelled_source": "photos"},
    RecaptionParams: {"dataset": "emoset"},
}


def optional_fields(model: BaseModel, before: str = "") -> Iterator[str]:
    """Keys of what may be none in a model and in the models that it holds."""
    for name, field in type(model).model_fields.items():
        if type(None) in typing.get_args(field.annotation):
            yield before + name
        if isinstance(value := getattr(model, name), BaseModel):
            yield from optional_fields(value, f"{before}{name}.")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("reference_dataset=emoart", "reference_dataset 'emoart' is none of the corpora that are trained on (emoset): name one of them"),
        ('joined_with=["emoset"]', "the corpora to train on name one twice: emoset, emoset; name each once"),
    ],
)
def test_corpora_that_cannot_be_are_refused_at_once_in_a_sentence(setting: str, said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        flow_params("lab", TrainAndEvalParams, {"workspace": "nowhere"}, [setting])
    assert reason(refused.value) == said


@pytest.mark.parametrize("flow", GIVEN)
def test_every_optional_parameter_can_be_typed_as_null(flow: type[Params]) -> None:
    given = {"workspace": "nowhere"} | GIVEN[flow]
    keys = list(optional_fields(flow_params("lab", flow, given, [])))
    assert len(keys) >= 5
    for key in keys:
        found = flow_params("lab", flow, given, [f"{key}=null"])
        assert reduce(getattr, key.split("."), found) is None, key
    if flow is TrainAndEvalParams:
        assert {"train_splits", "training.from_run", "reference_dataset"} <= set(keys)
