"""A source that changes, built with all stages of a corpus as the flows chain them; and what each stage computed, and what came of it."""

import io
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from coemogen_core.captioning.alignment import align_captions
from coemogen_core.captioning.caption_part import caption_part
from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from coemogen_core.classifier.classifier_store import score_part
from coemogen_core.classifier.emotion_probe import EmotionProbe, ProbeRecipe
from coemogen_core.classifier.probe_training import train_classifier
from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import CurationRecipe
from coemogen_core.curation.selection import Selection
from coemogen_core.data import ingest
from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.picture_index import update_index
from coemogen_core.data.plan import finish_source, plan_source
from coemogen_core.emotions import EMOTIONS, parse_emotion
from coemogen_core.encoders.clip_encoder import ClipEncoder, EncoderRecipe
from coemogen_core.encoders.embedding import embed_part
from coemogen_core.lab.scenes.scene import render, sample_scene
from coemogen_core.model.base_models import BaseModels
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training import features as features_module
from coemogen_core.training.feature_set import FeatureSet, rows_of_set
from coemogen_core.training.features import FeatureRecipe, cache_features_part
from schemas.choices import Layout

STAGES = ("decoded", "embedded", "scored", "captioned", "aligned", "featurised")
ENCODER = EncoderRecipe(model="lab:clip", device="cpu")
FEATURES = FeatureRecipe(models=BaseModels(diffusion="lab:diffusion", clip="lab:clip"), resolution=64, device="cpu")
CAPTION = CaptionRecipe(model="stub-captioner", revision="1", max_new_tokens=48)
Made = tuple[list[str], str, str]
"""Parts, version of the decisions, id of the features."""
MEASURED = ("asked_at", "latency_s")  # columns that two equal runs do not share


@dataclass(frozen=True)
class Build:
    """One source with its settings, and the stub that captions it."""

    workspace: Workspace
    root: Path
    endpoint: str
    source: str = "photos"
    layout: Layout = "image_folder"
    part_size: int = 250

    @property
    def settings(self) -> ServerSettings:
        """Of the captioner."""
        return ServerSettings(endpoints=(self.endpoint,), concurrency=32)

    def run(self, classifier_id: str) -> Made:
        """All stages, as the flows chain them; returns the parts, the version of the decisions and the id of the features."""
        parts = self.ingest()
        policy = CaptionPolicy.pinned(CAPTION.recipe_id("server"))
        for part in parts:
            embed_part(self.workspace, self.source, part, ENCODER)
            score_part(self.workspace, self.source, part, ENCODER.encoder_id, classifier_id)
            wanted = Selection().wanted(self.workspace, self.source, part)
            caption_part(self.workspace, self.source, part, wanted, CAPTION, self.settings)
            align_captions(self.workspace, self.source, part, policy, ENCODER)
        curation = CurationRecipe(dataset=self.source, selection=Selection(), captions=policy, encoder_id=ENCODER.encoder_id)
        version = decide(self.workspace, self.source, parts, curation).version
        for part in parts:
            cache_features_part(self.workspace, self.source, version, self.source, part, FEATURES)
        return parts, version, FEATURES.feature_id(version)

    def ingest(self) -> list[str]:
        """Plan, ingest, index, retire."""
        parts = plan_source(self.workspace, self.source, self.layout, str(self.root), "CC0", self.part_size)
        update_index(self.workspace)
        for part in parts:
            ingest_part(self.workspace, self.source, part)
        update_index(self.workspace)
        finish_source(self.workspace, self.source, self.part_size)
        return parts

    def classifier(self) -> str:
        """The emotion classifier, trained on a labelled set that never changes."""
        parts = self.ingest()
        for part in parts:
            embed_part(self.workspace, self.source, part, ENCODER)
        return train_classifier(self.workspace, self.source, parts, ENCODER.encoder_id, ProbeRecipe()).card.classifier_id


@dataclass(frozen=True)
class Change:
    """What happens to a source, and how many pictures are new to the workspace then."""

    name: str
    new: int
    apply: Callable[[Build, np.random.Generator], Build]


def changes(pictures: int) -> list[Change]:
    """What happens to growing datasets."""
    one = max(1, pictures // 100)

    def files(build: Build) -> list[Path]:
        return sorted(build.root.rglob("*.jpg"))

    def some(build: Build, rng: np.random.Generator) -> list[Path]:
        return [files(build)[index] for index in rng.choice(pictures, one, replace=False)]

    def add(build: Build, rng: np.random.Generator) -> Build:
        for number, file in enumerate(some(build, rng)):
            draw(file.with_name(f"{file.stem}-{number}.jpg"), file.parent.name, rng)
        return build

    def remove(build: Build, rng: np.random.Generator) -> Build:
        for file in some(build, rng):
            file.unlink()
        return build

    def rename(build: Build, rng: np.random.Generator) -> Build:
        for number, file in enumerate(some(build, rng)):
            file.rename(file.with_name(f"{rng.integers(10**9):09d}-{number}.jpg"))
        return build

    def rewrite(build: Build, rng: np.random.Generator) -> Build:
        for file in some(build, rng):
            draw(file, file.parent.name, rng)
        return build

    def move(build: Build, _: np.random.Generator) -> Build:
        moved = build.root.rename(build.root.with_name("moved"))
        return replace(build, root=moved)

    def cut_again(build: Build, _: np.random.Generator) -> Build:
        return replace(build, part_size=build.part_size * 8 // 5)

    def second_source(build: Build, rng: np.random.Generator) -> Build:
        root = build.root.with_name("second")
        for number, file in enumerate(files(build)[::10]):
            place = root / file.parent.name / f"{rng.integers(10**9):09d}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
            draw(place.with_name(f"{rng.integers(10**9):09d}-{number}.jpg"), file.parent.name, rng)
        return replace(build, root=root, source="second")

    def as_table(build: Build, rng: np.random.Generator) -> Build:
        root = build.root.with_name("table")
        table = replace(build, root=root, source="table", layout="hf_parquet")
        pictures_in_order = files(build)
        write_table(root, pictures_in_order)
        table.ingest()
        write_table(root, [pictures_in_order[index] for index in rng.permutation(pictures)])
        return table

    return [
        Change("1 % new files", one, add),
        Change("1 % removed", 0, remove),
        Change("1 % renamed", 0, rename),
        Change("1 % content changed", one, rewrite),
        Change("folder moved", 0, move),
        Change("another part size", 0, cut_again),
        Change("second source, half shared", len(range(0, pictures, 10)), second_source),
        Change("table, rows in another order", 0, as_table),
    ]


@contextmanager
def counted(stub: Any) -> Iterator[Counter[str]]:
    """Counts pictures (or captions) that each stage computes within the block."""
    found: Counter[str] = Counter()
    asked = Counter(stub.requests)

    def counting(owner: Any, name: str, stage: str, rows: int | None, sign: int = 1) -> Callable[[], None]:
        """Count the rows of an argument, by its place, or the calls."""
        original = getattr(owner, name)

        def wrapper(*given: Any, **named: Any) -> Any:
            found[stage] += sign * (1 if rows is None else len(given[rows]))
            return original(*given, **named)

        setattr(owner, name, wrapper)
        return lambda: setattr(owner, name, original)

    undo = [
        counting(ingest, "decode_image", "decoded", None),
        counting(ClipEncoder, "encode_pixels", "embedded", 1),
        counting(ClipEncoder, "encode_texts", "aligned", 1),
        counting(EmotionProbe, "predict", "scored", 1),
        counting(features_module, "_encode_batch", "featurised", 0),
        counting(ClipEncoder, "encode_images", "embedded", 1, sign=-1),  # of the features: counted there
    ]
    try:
        yield found
    finally:
        found["captioned"] = sum((Counter(stub.requests) - asked).values())
        for each in undo:
            each()


def different_tables(ours: Build, after: Made, fresh: Build, made: Made, classifier_id: str) -> list[str]:
    """Names of the tables that are not the same by id."""
    named: dict[str, tuple[str, ...]] = {
        "images": ("images",),
        "rejected": ("rejected",),
        "embeddings": ("embeddings", ENCODER.encoder_id),
        "scores": ("emotion_scores", classifier_id),
        "captions": ("captions",),
        "alignment": ("alignment", ENCODER.encoder_id),
    }
    differing = [name for name, place in named.items() if not rows_by_id(ours, after[0], place).equals(rows_by_id(fresh, made[0], place))]
    decided = [
        build.workspace.table("decisions", build.source, version).read() for build, (_, version, _) in ((ours, after), (fresh, made))
    ]
    if not decided[0].sort(decided[0].columns).equals(decided[1].sort(decided[1].columns)):
        differing.append("decisions")
    return differing + ([] if same_features(ours, after[2], fresh, made[2]) else ["features"])


def rows_by_id(build: Build, parts: list[str], place: tuple[str, ...]) -> pl.DataFrame:
    """Rows of these parts of a table, sorted, without what is measured; pictures as they are."""
    table = build.workspace.table(place[0], build.source, *place[1:])
    names = [chunk for part in parts for chunk in table.parts(within=part)] if place[0] in ("captions", "alignment") else parts
    rows = table.read(parts=names).drop(MEASURED, strict=False)
    if "image" in rows.columns:
        rows = rows.unnest("image")
    keys = [name for name in ("image_id", "recipe_id", "attempt", "path") if name in rows.columns]
    return rows.sort(keys)


def same_features(ours: Build, our_id: str, fresh: Build, fresh_id: str) -> bool:
    """Whether every row of two feature sets is the same."""
    sets = FeatureSet.open(ours.workspace, ours.source, our_id), FeatureSet.open(fresh.workspace, fresh.source, fresh_id)
    rows = list(range(len(sets[0])))
    if len(sets[1]) != len(rows):
        return False
    for variant in (0, 1):
        for start in range(0, len(rows), 500):
            lot = rows[start : start + 500]
            batches = [features.batch(lot, [variant] * len(lot)) for features in sets]
            if not all((getattr(batches[0], name) == getattr(batches[1], name)).all() for name in batches[0].__dataclass_fields__):
                return False
    return True


def never_kept(build: Build, after: Made, base: Build, before: Made) -> int:
    """Number of pictures that are kept now and were not before: only what is kept has features."""
    kept = [
        each.workspace.table("decisions", each.source, made[1]).read(["image_id", "kept"]).filter("kept")
        for each, made in ((build, after), (base, before))
    ]
    return len(set(kept[0]["image_id"]) - set(kept[1]["image_id"]))


def training_rows(build: Build, made: Made) -> str:
    """What a training's id says of its data."""
    return rows_of_set(build.workspace, build.source, made[2])[0]


def draw(file: Path, emotion: str, rng: np.random.Generator) -> None:
    """A lab picture."""
    file.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    render(sample_scene(rng, parse_emotion(emotion))).save(buffer, "JPEG", quality=90)
    file.write_bytes(buffer.getvalue())


def write_table(root: Path, files: list[Path]) -> None:
    """The pictures as two Parquet files of a Hugging Face dataset, in this order."""
    root.mkdir(exist_ok=True)
    half = len(files) // 2
    for number, some in enumerate((files[:half], files[half:])):
        pictures = [{"bytes": file.read_bytes(), "path": file.name} for file in some]
        pl.DataFrame({"image": pictures, "label": [file.parent.name for file in some]}).write_parquet(root / f"train-{number:05d}.parquet")


def new_source(folder: Path, pictures: int, endpoint: str, part_size: int = 250, labelled: int = 400) -> Build:
    """Drawn pictures in folders of their emotions, and beside them the set that the classifier learns from; nothing is built yet."""
    rng = np.random.default_rng(0)
    root = folder / "photos"
    for index in range(pictures):
        emotion = EMOTIONS[index % len(EMOTIONS)]
        draw(root / emotion / f"{rng.integers(10**9):09d}-{index}.jpg", emotion, rng)
    rng = np.random.default_rng(1)
    for index in range(labelled):
        emotion = EMOTIONS[index % len(EMOTIONS)]
        draw(folder / "labelled" / emotion / f"{index}.jpg", emotion, rng)
    return Build(Workspace(str(folder / "workspace")), root, endpoint, part_size=part_size)


def labelled_set(build: Build, base: Build | None = None) -> Build:
    """The set that the classifier learns from; it lies beside the base's pictures."""
    return Build(build.workspace, (base or build).root.parent / "labelled", build.endpoint, source="labelled")


if __name__ == "__main__":
    uri, folder, server, name, scored_by = sys.argv[1:]
    Build(Workspace(uri), Path(folder), server, name, part_size=10).run(scored_by)
