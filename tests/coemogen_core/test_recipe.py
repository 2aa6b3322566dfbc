import json
import re
import subprocess
import sys
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from coemogen_core.recipe import IdentifiedOtherwise, NotIdentifying, Recipe, recipe_id


class Prompt(Recipe):
    text: str
    tokens: int = 77


class Drawing(Recipe):
    prompts: tuple[Prompt, ...] = Field(description="what to draw")
    model: Annotated[str, IdentifiedOtherwise] = Field(default="/here/model", description="a folder")
    batch_size: Annotated[int, NotIdentifying] = Field(default=8, description="pictures at once")


class Weights(Recipe):
    by_name: dict[str, tuple[float, ...]]


class Plain(BaseModel):
    text: str


fields = st.dictionaries(
    st.text(max_size=8).filter(lambda key: key != "kind"),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=5,
)


@given(fields, st.randoms())
def test_the_order_of_fields_does_not_matter(values, random):
    shuffled = list(values.items())
    random.shuffle(shuffled)
    assert recipe_id("embed", values) == recipe_id("embed", dict(shuffled))


@given(fields, fields)
def test_ids_are_equal_exactly_when_the_written_fields_are(first, second):
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (recipe_id("embed", first) == recipe_id("embed", second)) == same


def test_shape_and_kind():
    assert re.fullmatch(r"clip-[0-9a-f]{12}", recipe_id("clip", {"model": "x"}))
    assert recipe_id("clip", {"model": "x"}).split("-")[1] != recipe_id("probe", {"model": "x"}).split("-")[1]


def test_models_count_by_their_values():
    assert recipe_id("caption", {"prompt": Prompt(text="a")}) == recipe_id("caption", {"prompt": {"text": "a", "tokens": 77}})
    assert recipe_id("caption", {"prompt": Prompt(text="a")}) != recipe_id("caption", {"prompt": Prompt(text="a", tokens=76)})


def test_another_process_gives_the_same_id():
    code = "from coemogen_core.recipe import recipe_id; print(recipe_id('clip', {'b': 1.5, 'a': ['x', None]}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == recipe_id("clip", {"a": ["x", None], "b": 1.5})


def test_what_changes_no_answer_is_no_part_of_the_identity_however_deep():
    drawing = Drawing(prompts=(Prompt(text="a"), Prompt(text="b", tokens=3)), batch_size=2, model="/there/model")
    assert drawing.identity == {"prompts": [{"text": "a", "tokens": 77}, {"text": "b", "tokens": 3}]}
    assert recipe_id("draw", {"of": [drawing]}) == recipe_id("draw", {"of": [drawing.model_copy(update={"batch_size": 9})]})
    assert recipe_id("draw", {"of": drawing}) != recipe_id("draw", {"of": drawing.model_copy(update={"prompts": ()})})
    json.dumps(drawing.identity)


def test_the_schema_says_what_changes_no_answer():
    described = {name: field["description"] for name, field in Drawing.model_json_schema()["properties"].items()}
    assert described == {"prompts": "what to draw", "model": "a folder", "batch_size": "pictures at once; not part of the id"}


def test_a_recipe_is_frozen_and_knows_its_fields():
    with pytest.raises(ValidationError, match="extra"):
        Prompt(text="a", colour="red")
    with pytest.raises(ValidationError, match="frozen"):
        Prompt(text="a").text = "b"


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", Plain(text="a")])
def test_what_cannot_be_written_is_refused(value):
    with pytest.raises(TypeError, match="a recipe cannot hold a"):
        recipe_id("clip", {"model": value})


def test_an_identity_is_what_json_gives_back():
    """It is compared with the one in a file: tuples are lists in both, however deep."""
    identity = Weights(by_name={"awe": (1.0, 2.0)}).identity
    assert json.loads(json.dumps(identity)) == identity


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_number_that_is_not_finite_is_refused(value):
    with pytest.raises(ValidationError, match="finite"):
        Weights(by_name={"awe": (value,)})
