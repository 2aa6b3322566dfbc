import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coemogen_core.curation import near_duplicates as leader_clustering
from coemogen_core.curation.near_duplicates import cluster_by_leader


def clouds(seed: int, centres: int, copies: int, dim: int = 32, noise: float = 0.05) -> np.ndarray:
    """Unit vectors: every centre and its copies at a small distance, shuffled."""
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(centres, dim))
    vectors = np.concatenate([middle, np.repeat(middle, copies, axis=0) + noise * rng.normal(size=(centres * copies, dim))])
    vectors = rng.permutation(vectors)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def brute_force(vectors: np.ndarray, max_distance: float) -> np.ndarray:
    exact = vectors.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    leaders: list[int] = []
    answer = []
    for number, vector in enumerate(exact):
        distances = 1 - exact[leaders] @ vector
        near = len(leaders) and distances.min() <= max_distance
        if not near:
            leaders.append(number)
        answer.append(leaders[int(distances.argmin())] if near else number)
    return np.array(answer)


@pytest.fixture(params=["exact", "graph"])
def small_blocks(request, monkeypatch):
    monkeypatch.setattr(leader_clustering, "BLOCK", 16)
    monkeypatch.setattr(leader_clustering, "EXACT_UP_TO", 10**6 if request.param == "exact" else 0)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_looking_at_everything(seed):
    vectors = clouds(seed, 60, 4)
    leader, distance = cluster_by_leader(vectors, 0.01)
    assert (leader == brute_force(vectors, 0.01)).all()
    assert ((distance == 0) | (leader != np.arange(len(vectors)))).all()
    assert distance.max() <= 0.01
    assert 0 < (leader != np.arange(len(vectors))).sum() < len(vectors)


@given(st.integers(0, 50), st.floats(0.001, 0.4))
@settings(max_examples=20)
def test_a_leader_leads_itself_and_no_two_leaders_are_within_reach(seed, reach):
    vectors = clouds(seed, 8, 3, dim=8, noise=0.3)
    leader, _ = cluster_by_leader(vectors, reach)
    leaders = np.unique(leader)
    assert (leader[leaders] == leaders).all()
    assert (leader <= np.arange(len(vectors))).all()
    exact = vectors[leaders].astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    apart = 1 - exact @ exact.T + 2 * np.eye(len(leaders))
    assert apart.min() > reach - 1e-12


def test_thousands_of_copies_of_one_are_one_group():
    leader, _ = cluster_by_leader(np.ones((3000, 4), np.float16), 0.01)
    assert (leader == 0).all()


def test_none_and_one():
    assert len(cluster_by_leader(np.empty((0, 4), np.float16), 0.1)[0]) == 0
    assert cluster_by_leader(np.ones((1, 4), np.float16), 0.1)[0].tolist() == [0]
