"""A server's refusals and failures are no verdict on a picture: a mended server or setting is asked again."""

import json

import pytest
from PIL import Image, features
from werkzeug import Response

from coemogen_core.captioning.attempts import read_attempts
from coemogen_core.captioning.backend import EndpointError
from coemogen_core.captioning.caption_part import caption_part, has_due
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from tests.coemogen_core.captioning.corpus import PART, SOURCE, jpeg, write_images
from tests.coemogen_core.captioning.stub_server import MODEL, completion, refusal
from tests.reports.server_answers import SAME_FOR_EVERYBODY, WORDS

RECIPE = CaptionRecipe(model=MODEL)
RECIPE_ID = RECIPE.recipe_id("server")


def settings(stub, **changed) -> ServerSettings:
    return ServerSettings(endpoints=(stub.endpoint,), **({"concurrency": 4, "max_retries": 1} | changed))


@pytest.mark.parametrize("trouble", SAME_FOR_EVERYBODY)
def test_a_refusal_that_is_the_same_for_everybody_stops_the_run_and_is_forgotten(workspace, stub, trouble):
    wanted = write_images(workspace, [jpeg(index) for index in range(16)])
    stub.misbehave = lambda image_id, number: SAME_FOR_EVERYBODY[trouble]
    with pytest.raises(EndpointError, match=WORDS[trouble]):
        caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings(stub))
    assert sum(stub.requests.values()) < 16
    assert read_attempts(workspace, SOURCE, PART, RECIPE_ID).is_empty()
    stub.reset()
    outcome = caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings(stub))
    assert (outcome.rows, outcome.dropped) == (16, 0)


@pytest.mark.parametrize("trouble", SAME_FOR_EVERYBODY)
def test_few_pictures_that_are_refused_are_asked_again_by_the_next_run(workspace, stub, trouble):
    wanted = write_images(workspace, [jpeg(index) for index in range(3)])
    stub.misbehave = lambda image_id, number: SAME_FOR_EVERYBODY[trouble]
    assert caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings(stub)).rows == 0
    assert all(error.startswith("refused: ") for error in read_attempts(workspace, SOURCE, PART, RECIPE_ID)["error"])
    stub.reset()
    assert caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings(stub)).rows == 3


def test_one_picture_among_many_is_refused_for_itself_and_tried_as_often_as_the_policy_says(workspace, stub):
    wanted = write_images(workspace, [jpeg(index) for index in range(20)])
    hostile = wanted["image_id"][3]
    stub.misbehave = lambda image_id, number: refusal(400, "cannot identify image file") if image_id == hostile else None
    for run in range(5):
        assert has_due(workspace, SOURCE, PART, wanted, RECIPE, settings(stub))
        assert caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings(stub)).rows == 19
        assert stub.requests[hostile] == run + 1
    assert not has_due(workspace, SOURCE, PART, wanted, RECIPE, settings(stub))
    assert has_due(workspace, SOURCE, PART, wanted, RECIPE, settings(stub, max_attempts=6))  # on request
    assert set(stub.requests.values()) == {1, 5}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (402, {"error": {"message": "Insufficient credits", "code": 402}}),
        (429, {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}}),
        (405, {"detail": "Method Not Allowed"}),
    ],
)
def test_what_waiting_cannot_mend_stops_the_run(workspace, stub, status, body):
    wanted = write_images(workspace, [jpeg(index) for index in range(4)])
    stub.misbehave = lambda image_id, number: Response(json.dumps(body), status, content_type="application/json")
    with pytest.raises(EndpointError, match=body.get("error", {}).get("message") or body["detail"]):
        caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings(stub))
    assert read_attempts(workspace, SOURCE, PART, RECIPE_ID).is_empty()


def test_reasoning_without_a_parser_is_asked_again_when_the_server_has_one(workspace, stub):
    wanted = write_images(workspace, [jpeg(index) for index in range(8)])
    stub.misbehave = lambda image_id, number: completion("<think>The picture shows a lake, so I should")
    assert caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings(stub)).rows == 0
    stub.reset()
    assert caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings(stub)).rows == 8


def test_a_server_that_knows_max_completion_tokens_alone_gets_it(workspace, stub):
    wanted = write_images(workspace, [jpeg(index) for index in range(6)])

    def only_the_newer_word(image_id, number):
        if "max_tokens" in stub.bodies[-1]:
            return refusal(
                400, "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
            )
        return None

    stub.misbehave = only_the_newer_word
    outcome = caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings(stub, concurrency=1))
    assert outcome.rows == 6
    assert [("max_completion_tokens" in body, "max_tokens" in body) for body in stub.bodies] == [(False, True)] + [(True, False)] * 6
    assert stub.bodies[-1]["max_completion_tokens"] == RECIPE.max_new_tokens


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "BMP", "TIFF", "PNG", "JPEG"])
def test_pictures_go_out_as_jpeg_or_png(workspace, stub, kind):
    if kind == "WEBP" and not features.check("webp"):
        pytest.skip("this Pillow writes no WebP")
    import io

    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), (200, 30, 90)).save(buffer, kind)
    wanted = write_images(workspace, [buffer.getvalue()])
    assert caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings(stub)).rows == 1
    (part,) = [part for part in stub.bodies[0]["messages"][0]["content"] if part["type"] == "image_url"]
    assert part["image_url"]["url"].startswith(("data:image/jpeg;base64,/9j/", "data:image/png;base64,iVBORw0KGgo"))
