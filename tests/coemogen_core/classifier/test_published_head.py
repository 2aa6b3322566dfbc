import io
import os

import numpy as np
import polars as pl
import pytest
import torch

from coemogen_core.classifier.classifier_store import load_probe, read_classifier_card, score_part
from coemogen_core.classifier.published_head import EMOGEN_ORDER, import_published_head, read_head
from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from schemas.tables import embeddings_schema
from tests.coemogen_core.curation.small_tables import image_row

PART = "part-00000-aa"


def saved(state: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def head(rows: int = 8) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {"fc.weight": torch.randn(rows, 5, generator=generator), "fc.bias": torch.randn(rows, generator=generator)}


def test_probabilities_are_those_of_the_layer_by_name(tmp_path):
    state = head()
    vectors = np.random.default_rng(1).normal(0, 3, (6, 5)).astype(np.float32)
    expected = torch.nn.functional.linear(torch.from_numpy(vectors), state["fc.weight"], state["fc.bias"]).softmax(dim=1).numpy()
    probabilities = read_head(saved(state), "head.pth").predict(vectors)
    for column, emotion in enumerate(EMOTIONS):
        assert np.allclose(probabilities[:, column], expected[:, EMOGEN_ORDER.index(emotion)], atol=1e-6)


def test_a_head_scores_pictures_like_a_trained_classifier(tmp_path):
    (tmp_path / "head.pth").write_bytes(saved(head()))
    workspace = Workspace(str(tmp_path / "workspace"))
    name = import_published_head(workspace, str(tmp_path / "head.pth"), "clip-1")
    assert import_published_head(workspace, str(tmp_path / "head.pth"), "clip-1") == name
    assert import_published_head(workspace, str(tmp_path / "head.pth"), "clip-2") != name
    card = read_classifier_card(workspace, name)
    assert (card.origin, card.temperature, card.encoder_id, card.emotions) == ("emogen", 1.0, "clip-1", EMOTIONS)
    ids = sorted(str(image_row("awe", number)["image_id"]) for number in range(3))
    vectors = np.random.default_rng(1).normal(0, 3, (3, 5)).astype(np.float16)
    rows = pl.DataFrame({"image_id": ids, "embedding": pl.Series(vectors)})
    workspace.table("embeddings", "art", "clip-1").write_part(PART, rows, embeddings_schema(5))
    assert score_part(workspace, "art", PART, "clip-1", name).rows == 3
    scores = workspace.table("emotion_scores", "art", name).read_part(PART)
    assert np.array_equal(scores["probabilities"].to_numpy(), load_probe(workspace, name).predict(vectors))
    with pytest.raises(ValueError, match="reads embeddings of clip-1"):
        score_part(workspace, "other", PART, "clip-2", name)


class Payload:
    def __init__(self, target: str) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.target,)


def test_a_file_that_wants_to_run_code_is_refused_and_does_not(tmp_path):
    target = tmp_path / "executed"
    (tmp_path / "head.pth").write_bytes(saved({**head(), "fc.extra": Payload(str(target))}))
    workspace = Workspace(str(tmp_path / "workspace"))
    with pytest.raises(ValueError, match=r"head\.pth is refused.*fetch EmoGen's clip_emotion_classifier\.pth"):
        import_published_head(workspace, str(tmp_path / "head.pth"), "clip-1")
    assert not target.exists()
    assert not workspace.exists("classifiers")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "refused"),
        (b"<html>Not found</html>", "refused"),
        (saved(head())[:500], "refused"),
        (saved(torch.zeros(8, 5)), r"holds no fc\.weight"),
        (saved({"weight": torch.zeros(8, 5)}), r"holds no fc\.weight"),
        (saved(head(7)), r"shape \[7, 5\]"),
        (saved({**head(), "layer2.weight": torch.zeros(8, 8)}), r"layer2\.weight"),
        (saved({**head(), "fc.bias": torch.full((8,), torch.nan)}), "NaN"),
    ],
)
def test_other_files_are_refused_with_what_is_expected(content, message):
    with pytest.raises(ValueError, match=message) as error:
        read_head(content, "head.pth")
    assert "head.pth" in str(error.value)
    assert "clip_emotion_classifier.pth" in str(error.value)


def test_the_published_file_opens(shared_data, tmp_path):
    workspace = Workspace(str(tmp_path))
    file = shared_data / "emogen" / "clip_emotion_classifier.pth"
    probe = load_probe(workspace, import_published_head(workspace, str(file), "clip-1"))
    assert probe.weights[0].shape == (8, 768)
    state = torch.load(file, weights_only=True, map_location="cpu")
    vectors = np.random.default_rng(0).normal(0, 0.6, (50, 768)).astype(np.float32)
    expected = (vectors @ state["fc.weight"].numpy().T + state["fc.bias"].numpy()).argmax(axis=1)
    assert np.array_equal(probe.predict(vectors).argmax(axis=1), expected)
    assert len(set(expected)) > 4
