"""How long an evaluation takes: FID and Sem-D on the paper's sizes, intervals, and a folder of lab pictures from files to numbers.

    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/evaluation.py --json evaluation.json

Features are drawn at random, of the sizes that the networks give; the pictures are scenes of the lab's world.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from results_table import Row, report, row

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation import fid, sem_d
from coemogen_core.evaluation.alone import evaluate_alone
from coemogen_core.evaluation.evaluate import evaluate_method
from coemogen_core.evaluation.features import ImageFeatures
from coemogen_core.evaluation.picture_sets import open_pictures
from coemogen_core.evaluation.recipe import EvaluationRecipe, load_extractors
from coemogen_core.lab.corpora import write_photos

RECIPE = EvaluationRecipe()
PER_EMOTION = 250


def main() -> None:
    """Measure everything once and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the rows here")
    json_file = parser.parse_args().json
    rows = [*_fid(), *_sem_d()]
    with tempfile.TemporaryDirectory() as folder:
        rows += _pictures(Path(folder))
    report(rows, json_file)


def _fid() -> list[Row]:
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(2048, 2048)).astype(np.float32) / 45
    sets = [np.maximum(generator.standard_normal((50_000, 2048), dtype=np.float32) @ mixing + shift, 0) for shift in (0.3, 0.4)]

    def distance() -> float:
        return fid.frechet_distance(*(fid.gaussian_statistics(features) for features in sets))

    return _timed("FID from two sets of 50,000 x 2,048 features", distance, 20)


def _sem_d() -> list[Row]:
    embeddings = np.random.default_rng(0).standard_normal((8000, 768), dtype=np.float32)
    return _timed("Sem-D over all pairs of 8,000 x 768", lambda: sem_d.mean_pair_difference(embeddings), 1)


def _pictures(folder: Path) -> list[Row]:
    """Pictures of the lab's world as folders by emotion, half of them as the real ones."""
    photos = folder / "photos"
    write_photos(photos, 2 * PER_EMOTION * len(EMOTIONS), seed=0)
    everything = open_pictures(str(photos / "image"))  # by emotion, whatever their split
    for emotion, items in zip(EMOTIONS, everything.items, strict=True):
        for number, item in enumerate(items[: 2 * PER_EMOTION]):
            place = folder / ("images" if number % 2 else "real") / emotion
            place.mkdir(parents=True, exist_ok=True)
            (place / Path(item.path).name).write_bytes((photos / "image" / item.path).read_bytes())
    extractors = load_extractors(RECIPE)
    images, real = (open_pictures(str(folder / name)) for name in ("images", "real"))
    features, reference = (found.features(RECIPE, extractors) for found in (images, real))
    return [*_intervals(features, reference), *_end_to_end(folder, len(features.emotions))]


def _intervals(features: ImageFeatures, reference: ImageFeatures) -> list[Row]:
    extractors, count = load_extractors(RECIPE), len(features.emotions)
    name = f"all metrics and intervals of {count:,} images, {RECIPE.resamples:,} resamples, from features"
    return _timed(name, lambda: evaluate_method(features, reference, extractors, RECIPE), 30)


def _end_to_end(folder: Path, count: int) -> list[Row]:
    extractors = load_extractors(RECIPE)

    def measure() -> object:
        return evaluate_alone(str(folder / "images"), str(folder / "real"), RECIPE, extractors)

    return _timed(f"{count:,} lab images against as many real ones, files to numbers", measure, 90)


def _timed(name: str, work: Callable[[], object], bar: float) -> list[Row]:
    """Wall-clock time against its bar, and the computing time of all threads, which says how much of it other processes took."""
    started, computing = time.perf_counter(), time.process_time()
    work()
    seconds, computing = time.perf_counter() - started, time.process_time() - computing
    print(f"{name}: {seconds:.2f} s, {computing:.2f} s of computing", flush=True)
    return [row(name, "s", seconds, None, bar, seconds < bar), row("  of it computing, all threads", "s", computing, None, None, None)]


if __name__ == "__main__":
    main()
