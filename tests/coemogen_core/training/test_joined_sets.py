"""Feature sets of several corpora, trained on together."""

import pytest
import torch

from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.batches import BatchSource
from coemogen_core.training.feature_set import FeatureSet, join_sets, joined_sets, rows_of_set
from coemogen_core.training.features import cache_features_part
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import train, training_run_id
from tests.coemogen_core.training.conftest import PARTS

RECIPE = TrainingRecipe(steps=1, batch_size=2, device="cpu")


@pytest.fixture(scope="module")
def joined(corpus: Workspace, cached: str, feature_recipe) -> tuple[str, str]:
    """The corpus, and as a second one the first part of it alone."""
    decisions = corpus.table("decisions", "emoset", "v1").read_part(PARTS[0])
    from schemas.tables import Decisions

    corpus.table("decisions", "art", "v1").write_part(PARTS[0], decisions, Decisions)
    cache_features_part(corpus, "art", "v1", "photos", PARTS[0], feature_recipe)
    return join_sets(corpus, [("emoset", cached), ("art", feature_recipe.feature_id("v1"))])


def test_a_joined_set_has_the_rows_of_both_and_knows_whose_they_are(corpus, cached, joined):
    both, first = FeatureSet.open(corpus, *joined), FeatureSet.open(corpus, "emoset", cached)
    assert (len(first), len(both)) == (16, 24)
    assert both.corpora.bincount().tolist() == [16, 8]
    assert torch.equal(both.labels[both.corpora == 0], first.labels)
    assert torch.equal(both.visual_embeddings()[both.corpora == 0], first.visual_embeddings())
    assert rows_of_set(corpus, *joined)[1] == 24


def test_a_single_set_keeps_its_name(corpus, cached):
    assert join_sets(corpus, [("emoset", cached)]) == ("emoset", cached)
    assert joined_sets(corpus, "emoset", cached) == [("emoset", cached)]


def test_batches_see_an_emotion_of_both_corpora_equally_often(corpus, joined, monkeypatch):
    features, rows = FeatureSet.open(corpus, *joined), list[int]()
    batch = features.batch
    monkeypatch.setattr(features, "batch", lambda some, variants: (rows.extend(some), batch(some, variants))[1])
    source = BatchSource(features, RECIPE.model_copy(update={"batch_size": 32}), 1000)
    for step in range(5):
        source.at(step)
    origins, labels = features.corpora[rows], features.labels[rows]
    for label in features.labels[features.corpora == 1].unique():  # the emotions that both have
        first, second = ((origins[labels == label] == corpus_number).sum() for corpus_number in (0, 1))
        assert abs(int(first) - int(second)) <= 1


def test_a_training_on_both_is_another_than_on_one(corpus, cached, models, joined):
    outcome = train(corpus, *joined, models, RECIPE)
    assert outcome.images == 24
    assert outcome.run_id != training_run_id(corpus, "emoset", cached, models, RECIPE)
    assert train(corpus, *joined, models, RECIPE).reused
    config = corpus.read_json("runs", outcome.run_id, "model", "config.json")
    assert (config["training"]["dataset"], config["training"]["features"]) == joined
    assert sum(config["training"]["images_per_emotion"][emotion] for emotion in EMOTIONS) == 24
