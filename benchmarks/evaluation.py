"""How long an evaluation takes: FID and Sem-D on the paper's sizes, intervals, and a folder of lab pictures from files to numbers.

    .venv/bin/python benchmarks/evaluation.py --json evaluation.json

Features are drawn at random, of the sizes that the networks give; the pictures are scenes of the lab's world. FID's reference are
torch-fidelity's functions on the same features (tests/oracles.txt installs it; without it there is none), Sem-D's is all pairs one by one.
All metrics with their intervals are computed with one and with two BLAS threads, each at most three times as long as the one FID of as many
threads: small eigenproblems on several threads can take a hundred times as long as on one.
`--small` takes a tenth of everything, to see that the script runs: its rows have no bars.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from results_table import Row, report, row
from scipy.spatial.distance import pdist
from threadpoolctl import threadpool_limits

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation import fid, semantics
from coemogen_core.evaluation.alone import evaluate_alone
from coemogen_core.evaluation.definitions import tolerance
from coemogen_core.evaluation.evaluate import evaluate_method
from coemogen_core.evaluation.features import ImageFeatures
from coemogen_core.evaluation.picture_sets import open_pictures
from coemogen_core.evaluation.recipe import EvaluationRecipe, load_extractors
from coemogen_core.lab.corpora import write_photos

Result = TypeVar("Result")

RECIPE = EvaluationRecipe()
PER_EMOTION = 250
THREADS, TIMES_FID = (1, 2), 3
NOT_INSTALLED = "torch-fidelity is not installed: FID has no reference"


def main() -> None:
    """Measure everything once and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the rows here")
    parser.add_argument("--small", action="store_true", help="a tenth of the sizes, without bars")
    arguments = parser.parse_args()
    scale = 10 if arguments.small else 1
    rows = _sem_d(scale)
    limits = {}
    for threads in THREADS:
        with threadpool_limits(threads, user_api="blas"):
            found = _fid(scale, threads)
        limits[threads], rows = TIMES_FID * found[0]["ours"], [*rows, *found]
    with tempfile.TemporaryDirectory() as folder:
        rows += _pictures(Path(folder), PER_EMOTION // scale, limits)
    if arguments.small:
        rows = [each | {"bar": None, "holds": None} for each in rows]
    report(rows, arguments.json)


def _fid(scale: int, threads: int) -> list[Row]:
    count, dim = 50_000 // scale, 2048 // scale
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(dim, dim)).astype(np.float32) / np.float32(dim**0.5)
    sets = [np.maximum(generator.standard_normal((count, dim), dtype=np.float32) @ mixing + shift, 0) for shift in (0.3, 0.4)]

    def distance() -> float:
        return fid.frechet_distance(*(fid.gaussian_statistics(features) for features in sets))

    name = f"FID from two sets of {count:,} x {dim:,} features, BLAS threads: {threads}"
    return _against(name, distance, _torch_fidelity(sets), 20, tolerance("fid"))


def _torch_fidelity(sets: Sequence[np.ndarray]) -> Callable[[], float] | None:
    """torch-fidelity's FID of the features, as the tests call it."""
    sys.path.append(str(Path(__file__).parents[1]))  # the tests are no installed package
    from tests.oracles import oracle

    try:
        module = oracle("torch_fidelity.metric_fid")
    except pytest.skip.Exception:
        print(NOT_INSTALLED)
        return None

    def distance() -> float:
        statistics = [module.fid_features_to_statistics(torch.from_numpy(features).double()) for features in sets]
        return float(module.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"])

    return distance


def _sem_d(scale: int) -> list[Row]:
    count, dim = 8000 // scale, 768
    embeddings = np.random.default_rng(0).standard_normal((count, dim), dtype=np.float32)

    def ours() -> float:
        found = semantics.mean_pair_difference(embeddings)
        assert found is not None
        return found

    def one_by_one() -> float:
        return float(pdist(embeddings.astype(np.float64), "sqeuclidean").mean() / dim)

    return _against(f"Sem-D over all pairs of {count:,} x {dim}", ours, one_by_one, 1, tolerance("sem_d"))


def _against(name: str, ours: Callable[[], float], reference: Callable[[], float] | None, bar: float, most: float) -> list[Row]:
    """Time of ours against its bar and beside that of the reference, and by how much the two numbers differ."""
    value, seconds, computing = _timed(name, ours)
    other, reference_seconds, _ = (None, None, None) if reference is None else _timed(f"{name}, reference", reference)
    rows = [row(name, "s", seconds, reference_seconds, bar, seconds < bar), _computing(computing)]
    if other is not None:
        apart = abs(value / other - 1)
        rows.append(row("  relative difference from the reference", "", apart, None, most, apart <= most))
    return rows


def _pictures(folder: Path, per_emotion: int, limits: Mapping[int, float]) -> list[Row]:
    """Pictures of the lab's world as folders by emotion, half of them as the real ones."""
    photos = folder / "photos"
    write_photos(photos, 2 * per_emotion * len(EMOTIONS), seed=0)
    everything = open_pictures(str(photos / "image"))  # by emotion, whatever their split
    for emotion, items in zip(EMOTIONS, everything.items, strict=True):
        for number, item in enumerate(items[: 2 * per_emotion]):
            place = folder / ("images" if number % 2 else "real") / emotion
            place.mkdir(parents=True, exist_ok=True)
            (place / Path(item.path).name).write_bytes((photos / "image" / item.path).read_bytes())
    extractors = load_extractors(RECIPE)
    images, real = (open_pictures(str(folder / name)) for name in ("images", "real"))
    features, reference = (found.features(RECIPE, extractors) for found in (images, real))
    intervals = [_intervals(features, reference, threads, bar) for threads, bar in limits.items()]
    return [*(each for rows in intervals for each in rows), *_end_to_end(folder, len(features.emotions))]


def _intervals(features: ImageFeatures, reference: ImageFeatures, threads: int, bar: float) -> list[Row]:
    extractors, count = load_extractors(RECIPE), len(features.emotions)
    name = f"all metrics and intervals of {count:,} images, from features, BLAS threads: {threads}"
    with threadpool_limits(threads, user_api="blas"):
        return _barred(name, lambda: evaluate_method(features, reference, extractors, RECIPE), bar)


def _end_to_end(folder: Path, count: int) -> list[Row]:
    extractors = load_extractors(RECIPE)

    def measure() -> object:
        return evaluate_alone(str(folder / "images"), str(folder / "real"), RECIPE, extractors)

    return _barred(f"{count:,} lab images against as many real ones, files to numbers", measure, 90)


def _barred(name: str, work: Callable[[], object], bar: float) -> list[Row]:
    _, seconds, computing = _timed(name, work)
    return [row(name, "s", seconds, None, bar, seconds < bar), _computing(computing)]


def _computing(seconds: float) -> Row:
    """The computing time of all threads, which says how much of the wall-clock time other processes took."""
    return row("  of it computing, all threads", "s", seconds, None, None, None)


def _timed(name: str, work: Callable[[], Result]) -> tuple[Result, float, float]:
    """What the work gives, its wall-clock time, and its computing time."""
    started, computing = time.perf_counter(), time.process_time()
    found = work()
    seconds, computing = time.perf_counter() - started, time.process_time() - computing
    print(f"{name}: {seconds:.2f} s, {computing:.2f} s of computing", flush=True)
    return found, seconds, computing


if __name__ == "__main__":
    main()
