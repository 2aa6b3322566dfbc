"""Distances of distributions against torch-fidelity's own functions on the same features."""

import numpy as np
import pytest
import torch
from prdc import compute_prdc

from coemogen_core.evaluation import fid, kid, precision_recall
from coemogen_core.evaluation.definitions import tolerance
from tests.oracles import oracle


def torch_fidelitys_fid(first: np.ndarray, second: np.ndarray) -> float:
    module = oracle("torch_fidelity.metric_fid")
    statistics = [module.fid_features_to_statistics(torch.from_numpy(features.astype(np.float64))) for features in (first, second)]
    return float(module.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"])


def features(count: int, dim: int, rank: int, seed: int, shift: float) -> np.ndarray:
    """Correlated non-negative features as pooled activations are, of a rank that may be lower than their number; single precision."""
    generator = np.random.default_rng((seed, count, dim))
    found = generator.normal(size=(count, rank)) @ np.random.default_rng(seed).normal(size=(rank, dim)) + shift
    return found.astype(np.float32) if rank < dim else np.maximum(found, 0).astype(np.float32)


@pytest.mark.parametrize(
    ("counts", "dim", "rank"),
    [((500, 400), 64, 64), ((3000, 2500), 96, 96), ((300, 300), 256, 256), ((400, 300), 64, 12), ((50, 40), 128, 128), ((2, 2), 64, 64),
     ((3, 200), 32, 32), ((2, 5), 16, 1)],
    ids=["full rank", "the lab's width", "hardly more images than features", "rank 12 of 64", "fewer images than features", "two and two",
         "three against many", "one direction"],
)  # fmt: skip
def test_fid_is_torch_fidelitys(counts: tuple[int, int], dim: int, rank: int) -> None:
    first, second = features(counts[0], dim, rank, 0, 0.0), features(counts[1], dim, rank, 1, 0.7)
    found = fid.frechet_distance(fid.gaussian_statistics(first), fid.gaussian_statistics(second))
    assert found == pytest.approx(torch_fidelitys_fid(first, second), rel=tolerance("fid"))


@pytest.mark.parametrize(("count", "dim"), [(400, 96), (40, 512), (12, 4)], ids=["the lab's width", "few images", "tiny"])
def test_kid_is_torch_fidelitys(count: int, dim: int) -> None:
    """One subset of all images leaves nothing to chance in it."""
    first, second = features(count, dim, dim, 0, 0.0), features(count, dim, dim, 1, 0.4)
    expected = oracle("torch_fidelity.metric_kid").kid_features_to_metric(
        *(torch.from_numpy(some.astype(np.float64)) for some in (first, second)), kid_subsets=1, kid_subset_size=count, verbose=False
    )
    assert kid.discrepancy(first, second).value == pytest.approx(expected["kernel_inception_distance_mean"], rel=tolerance("kid"))


def test_kid_is_the_mean_over_torch_fidelitys_subsets() -> None:
    """Its subsets of equal sizes out of sets that are not equally large."""
    first, second = features(300, 32, 32, 0, 0.0), features(500, 32, 32, 1, 0.4)
    expected = oracle("torch_fidelity.metric_kid").kid_features_to_metric(
        *(torch.from_numpy(some.astype(np.float64)) for some in (first, second)), kid_subsets=400, kid_subset_size=100, verbose=False
    )
    noise = expected["kernel_inception_distance_std"] / 20
    assert kid.discrepancy(first, second).value == pytest.approx(expected["kernel_inception_distance_mean"], abs=4 * noise)


@pytest.mark.parametrize(
    ("generated", "real", "shift"), [(200, 150, 0.0), (60, 300, 1.5), (40, 6, 0.0), (6, 7, 0.5), (6, 6, 0.0), (300, 300, 4.0)]
)
def test_precision_and_recall_are_those_of_prdc_and_of_torch_fidelity(generated: int, real: int, shift: float) -> None:
    first, second = features(generated, 12, 12, 0, shift).astype(np.float64), features(real, 12, 12, 0, 0.0).astype(np.float64)
    found = precision_recall.compare_manifolds(first, second, seed=0)
    kept, kept_real = precision_recall.equally_many(*(np.zeros(count, int) for count in (generated, real)), seed=0)
    assert len(kept) == len(kept_real) == min(generated, real)
    first, second = first[kept], second[kept_real]
    expected = compute_prdc(second, first, nearest_k=precision_recall.NEIGHBOURS)
    if len(kept) > precision_recall.DENSITY_NEIGHBOURS + 1:  # prdc partitions one further
        denser = compute_prdc(second, first, nearest_k=precision_recall.DENSITY_NEIGHBOURS)
        assert found.density.value == pytest.approx(denser["density"], rel=tolerance("density"))
        assert abs(found.coverage.value - denser["coverage"]) <= tolerance("coverage")
    assert abs(found.precision.value - expected["precision"]) <= tolerance("precision")
    assert abs(found.recall.value - expected["recall"]) <= tolerance("recall")
    module = oracle("torch_fidelity.metric_prc")
    other = module.calculate_precision_recall_part(torch.from_numpy(first), torch.from_numpy(second), precision_recall.NEIGHBOURS)
    assert (found.precision.value, found.recall.value) == pytest.approx(other, abs=1e-6)


def test_more_real_pictures_of_the_same_kind_change_nothing() -> None:
    """Pictures beside a thin manifold: against twelve times as many real ones, whose balls are smaller, nothing would be precise."""
    rng = np.random.default_rng(0)
    made, few, many = (np.pad(rng.normal(size=(count, 2)), ((0, 0), (0, 6))) for count in (200, 200, 2400))
    made[:, 4] += 0.2
    against_few, against_many = (precision_recall.compare_manifolds(made, real, seed=0) for real in (few, many))
    assert against_many.precision.value == pytest.approx(against_few.precision.value, abs=0.2)
    assert against_many.coverage.value == pytest.approx(against_few.coverage.value, abs=0.2)
    unequal = compute_prdc(many, made, nearest_k=precision_recall.NEIGHBOURS)["precision"]
    assert unequal < against_few.precision.value / 3
