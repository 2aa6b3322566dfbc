import inspect

import polars as pl

from coemogen_core.captioning.caption_part import caption_part
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from coemogen_core.curation.selection import Selection
from coemogen_core.storage.workspace import Workspace
from schemas.tables import EmotionScores
from tasks.caption import caption_part_task
from tests.coemogen_core.captioning.corpus import PART, SOURCE, jpeg, write_images
from tests.coemogen_core.captioning.stub_server import MODEL, StubServer

RECIPE = CaptionRecipe(model=MODEL)


def test_the_task_captions_by_the_labels_of_the_source(tmp_path, taken):
    uri = str(tmp_path)
    wanted = write_images(Workspace(uri), [jpeg(index) for index in range(10)])
    with StubServer() as stub:
        settings = ServerSettings(endpoints=(stub.endpoint,), patience_s=0.3)
        selection = Selection(emotions=("awe", "fear"))
        assert caption_part_task.fn(uri, SOURCE, PART, selection, RECIPE, settings).rows == 3
        assert caption_part_task.fn(uri, SOURCE, PART, selection, RECIPE, settings).reused
        assert caption_part_task.fn(uri, SOURCE, PART, Selection(), RECIPE, settings).rows == wanted.height
        assert set(stub.requests.values()) == {1}
    assert taken == [("captioner", 1)] * 2  # nothing was due the second time


def test_the_task_captions_by_confident_scores_with_the_predicted_emotion(tmp_path):
    workspace = Workspace(str(tmp_path))
    wanted = write_images(workspace, [jpeg(index) for index in range(4)])
    scores = wanted.select("image_id").with_columns(
        pl.Series("probabilities", [[0.0] * 6 + [value, 1 - value] for value in (0.9, 0.8, 0.76, 0.7)], pl.Array(pl.Float32, 8)),
        pl.Series("label", ["fear"] * 4),
        pl.Series("confidence", [0.9, 0.8, 0.76, 0.7], pl.Float32),
    )
    workspace.table("emotion_scores", SOURCE, "probe-1").write_part(PART, scores, EmotionScores)
    with StubServer() as stub:
        settings = ServerSettings(endpoints=(stub.endpoint,), patience_s=0.3)
        strict = Selection.by_confidence("probe-1", min_confidence=0.85)
        assert caption_part_task.fn(workspace.uri, SOURCE, PART, strict, RECIPE, settings).rows == 1
        assert caption_part_task.fn(workspace.uri, SOURCE, PART, Selection.by_confidence("probe-1"), RECIPE, settings).rows == 3
    rows = workspace.table("captions", SOURCE).read()
    assert rows["image_id"].to_list() == [wanted["image_id"][0], wanted["image_id"][1], wanted["image_id"][2]]
    assert rows["caption"].str.ends_with("full of fear.").all()


def test_the_task_takes_uris_and_recipes_where_the_core_takes_workspace_and_frame():
    names = list(inspect.signature(caption_part_task.fn).parameters)
    assert names == ["workspace_uri", "source", "part", "selection", "recipe", "settings"]
    taken = ["workspace", "source", "part", "wanted", "recipe", "settings", "stop_at", "slot"]
    assert list(inspect.signature(caption_part).parameters) == taken
