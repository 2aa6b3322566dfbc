"""Nearest training pictures against scikit-learn's search, and what is called a near copy."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.neighbors import NearestNeighbors

from coemogen_core.evaluation.memorisation import (
    PERCENTILE,
    Neighbour,
    TypicalDistances,
    VectorPart,
    batched_ids,
    draw_training_pictures,
    nearest_neighbours,
    pixel_distance,
)


def cut(vectors: np.ndarray, size: int) -> list[VectorPart]:
    names = [f"id-{k}" for k in range(len(vectors))]
    return [VectorPart(f"part-{s}", names[s : s + size], vectors[s : s + size]) for s in range(0, len(vectors), size)]


def encoded(rgb: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


def flat(level: int, size: tuple[int, int] = (40, 40)) -> bytes:
    return encoded(np.full((*size[::-1], 3), level, np.uint8))


@given(st.integers(2, 40), st.integers(1, 12), st.integers(1, 15), st.integers(0, 999))
def test_the_search_in_parts_is_scikit_learns(count: int, queries: int, size: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    training, samples = generator.normal(size=(count, 6)).astype(np.float16), 3 * generator.normal(size=(queries, 6))
    found = nearest_neighbours(samples, cut(training, size))
    distances, rows = NearestNeighbors(n_neighbors=1, metric="cosine", algorithm="brute").fit(training.astype(float)).kneighbors(samples)
    assert [neighbour.similarity for neighbour in found] == pytest.approx(1 - distances[:, 0], abs=1e-5)
    assert [neighbour.image_id for neighbour in found] == [f"id-{row}" for row in rows[:, 0]]
    assert all(neighbour.part == f"part-{int(neighbour.image_id[3:]) // size * size}" for neighbour in found)


def test_a_training_picture_does_not_find_itself_but_its_twin() -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 8))
    vectors[20] = vectors[3] + 1e-3
    found = nearest_neighbours(vectors, cut(vectors, 7), [f"id-{k}" for k in range(30)])
    assert (found[3].image_id, found[20].image_id) == ("id-20", "id-3")
    assert all(neighbour.image_id != f"id-{k}" for k, neighbour in enumerate(found))
    assert found[3].similarity > 0.999 > max(neighbour.similarity for k, neighbour in enumerate(found) if k not in (3, 20))


def test_one_part_is_in_memory_at_a_time() -> None:
    living: list[int] = []

    class Watched(np.ndarray):
        def __del__(self) -> None:
            living.append(-1)

    def parts() -> Iterator[VectorPart]:
        for number in range(50):
            living.append(1)
            assert sum(living) <= 3, "parts pile up"
            yield VectorPart(f"p{number}", [f"{number}"], np.ones((1, 4)).view(Watched))

    assert len(nearest_neighbours(np.ones((2, 4)), parts())) == 2


def test_a_set_without_another_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="needs two at least"):
        nearest_neighbours(np.ones((1, 3)), [])
    with pytest.raises(ValueError, match="needs two at least"):
        nearest_neighbours(np.ones((1, 3)), cut(np.ones((1, 3)), 1), ["id-0"])


def test_the_draw_is_seeded_and_goes_through_all_parts() -> None:
    vectors = np.arange(60.0).reshape(20, 3)
    first, drawn = draw_training_pictures(lambda: cut(vectors, 6), 5, seed=1)
    again, _ = draw_training_pictures(lambda: cut(vectors, 4), 5, seed=1)
    assert [neighbour.image_id for neighbour in first] == [neighbour.image_id for neighbour in again]
    assert np.array_equal(drawn, vectors[[int(neighbour.image_id[3:]) for neighbour in first]])
    everything, _ = draw_training_pictures(lambda: cut(vectors, 6), 99, seed=1)
    assert [neighbour.image_id for neighbour in everything] == [f"id-{k}" for k in range(20)]


def test_pixels_are_compared_by_layout_and_colour() -> None:
    assert pixel_distance(flat(0), flat(255)) == 1.0
    assert pixel_distance(flat(51), flat(102)) == pytest.approx(0.2)
    assert pixel_distance(flat(80), flat(80, (300, 90))) == 0.0, "size and shape do not count"


def test_mirror_images_that_were_trained_on_are_found_and_nobody_finds_its_own() -> None:
    vectors, mirrored = np.eye(6)[:3], np.eye(6)[3:]
    part = VectorPart("a", ["x", "y", "z"], vectors, mirrored)
    found = nearest_neighbours(np.array([mirrored[1] + 0.1 * vectors[0], vectors[2]]), [part])
    assert [(one.image_id, one.mirrored) for one in found] == [("y", True), ("z", False)]
    symmetric = VectorPart("a", ["x", "y"], np.array([[1.0, 0], [0.6, 0.8]]), np.array([[1.0, 0], [0.8, 0.6]]))
    own = nearest_neighbours(symmetric.vectors, [symmetric], ["x", "y"])
    assert [(one.image_id, one.mirrored) for one in own] == [("y", True), ("x", False)]
    half = np.zeros((40, 40, 3), np.uint8)
    half[:, :20] = 255
    left, right = encoded(half), encoded(half[:, ::-1])
    assert pixel_distance(left, right) == 1.0
    assert pixel_distance(left, right, mirrored=True) == 0.0


def test_a_near_copy_is_nearer_by_both_distances_than_training_pictures_are_to_each_other() -> None:
    typical = TypicalDistances(np.linspace(0.5, 0.9, 101), np.linspace(0.1, 0.3, 101))
    assert typical.similarity_limit == pytest.approx(0.5 + 0.4 * PERCENTILE)
    assert typical.pixel_limit == pytest.approx(0.1 + 0.2 * (1 - PERCENTILE))
    assert typical.share_less_similar(0.7) == pytest.approx(0.5, abs=0.01)
    assert (typical.share_less_similar(0.4), typical.share_less_similar(1.0)) == (0, 1)
    cases = [(0.99, 0.02), (0.99, 0.2), (0.7, 0.02), (0.7, 0.2)]
    assert [typical.is_near_copy(*case) for case in cases] == [True, False, False, False]


def test_every_part_is_opened_once() -> None:
    wanted = [Neighbour("b", "2", 0.1), Neighbour("a", "1", 0.2), Neighbour("b", "3", 0.3), Neighbour("b", "2", 0.4)]
    assert list(batched_ids(wanted)) == [("a", {"1"}), ("b", {"2", "3"})]
