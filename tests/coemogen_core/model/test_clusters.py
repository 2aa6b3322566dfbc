import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf

from coemogen_core.model.clusters import EmotionClusters


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(6, 6))
    rows = np.concatenate([rng.normal(size=(400, 6)) @ mix + 3 * index for index in range(3)])
    return torch.from_numpy(rows).float(), torch.arange(3).repeat_interleave(400)


def draws(clusters, emotion, count=4000):
    return torch.stack([clusters.sample(emotion, seed) for seed in range(count)]).double().numpy()


def test_diagonal_draws_have_the_fitted_mean_and_spread(corpus):
    clusters = EmotionClusters.fit(*corpus)
    rows = corpus[0][400:800].numpy()
    drawn = draws(clusters, "awe")
    assert drawn.mean(0) == pytest.approx(rows.mean(0), abs=0.2)
    assert drawn.std(0) == pytest.approx(rows.std(0), rel=0.06)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(6)).max() < 0.1


def test_full_draws_have_the_shrunk_covariance(corpus):
    clusters = EmotionClusters.fit(*corpus, covariance="full")
    expected = LedoitWolf().fit(corpus[0][:400].double().numpy()).covariance_
    factor = clusters.spreads["amusement"].double().numpy()
    assert factor @ factor.T == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert np.cov(draws(clusters, "amusement").T) == pytest.approx(expected, abs=0.12 * np.abs(expected).max())


def test_seeds_decide_and_files_come_back(corpus):
    clusters = EmotionClusters.fit(*corpus, covariance="full")
    again = EmotionClusters.from_bytes(clusters.to_bytes())
    assert torch.equal(clusters.sample("awe", 7), again.sample("awe", 7))
    assert not torch.equal(clusters.sample("awe", 7), clusters.sample("awe", 8))
    assert clusters.to_bytes() == again.to_bytes()


def test_fusion_lies_between_its_emotions(corpus):
    clusters = EmotionClusters.fit(*corpus)
    half = clusters.sample({"awe": 1, "contentment": 1}, 3)
    assert torch.allclose(half, (clusters.sample("awe", 3) + clusters.sample("contentment", 3)) / 2, atol=1e-5)


def test_the_middle_is_the_mean_and_a_fusions_middle_the_weighted_one(corpus):
    clusters = EmotionClusters.fit(*corpus)
    assert torch.equal(clusters.mean("awe"), clusters.means["awe"])
    expected = 0.75 * clusters.means["awe"] + 0.25 * clusters.means["contentment"]
    assert torch.allclose(clusters.mean({"awe": 3, "contentment": 1}), expected, atol=1e-6)
    with pytest.raises(ValueError, match="no cluster for disgust"):
        clusters.mean("disgust")


def test_absent_emotions_say_so(corpus):
    clusters = EmotionClusters.fit(*corpus)
    with pytest.raises(ValueError, match="no cluster for disgust"):
        clusters.sample("disgust", 0)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_a_single_image_makes_a_point(covariance):
    clusters = EmotionClusters.fit(torch.ones(1, 4), torch.tensor([2]), covariance)
    assert clusters.sample("contentment", 0) == pytest.approx(torch.ones(4), abs=1e-3)


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="kept no images"):
        EmotionClusters.fit(torch.ones(0, 4), torch.zeros(0, dtype=torch.long))
