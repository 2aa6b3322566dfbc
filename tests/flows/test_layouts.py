"""Corpora from the layouts of other tools, through the flows: a labelled one as Hugging Face tables, an unlabelled one as archives."""

import io
import tarfile
from pathlib import Path

import datasets
import pytest
from datasets.table import embed_table_storage

from coemogen_core.emotions import EMOTIONS
from coemogen_core.lab.corpora import write_paintings, write_photos
from coemogen_core.storage.workspace import Workspace
from flows.build_emoart import build_emoart
from flows.build_emoset import build_emoset
from flows.params import BuildEmoartParams, BuildEmosetParams, load_params

pytestmark = pytest.mark.usefixtures("prefect_server")


def write_tables(folder: Path, photos: Path, embedded: bool = True) -> None:
    """The drawn photos as `datasets` writes tables, a class label and a split beside each picture."""
    files = sorted(photos.glob("image/*/*.jpg"))
    rows = {
        "image": [str(file) for file in files],
        "label": [file.parent.name for file in files],
        "split": ["train" if number % 4 else "validation" for number in range(len(files))],
    }
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(EMOTIONS)), "split": datasets.Value("string")}
    table = datasets.Dataset.from_dict(rows, features=datasets.Features(kinds))
    if embedded:
        table = table.with_format("arrow").map(embed_table_storage, batched=True).with_format(None)
    for number in range(2):
        table.shard(2, number, contiguous=True).to_parquet(folder / f"photos-{number}.parquet")


def write_archives(folder: Path, paintings: Path) -> None:
    """The drawn paintings as two shards, one of their pictures broken."""
    files = sorted(paintings.glob("*/*.jpg"))
    for number in range(2):
        with tarfile.open(folder / f"{number:05d}.tar", "w") as archive:
            for file in files[number::2]:
                data = b"\xff\xd8 no picture" if file == files[0] else file.read_bytes()
                member = tarfile.TarInfo(f"{file.stem}.jpg")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def test_tables_and_archives_become_datasets(tmp_path: Path, tiny_clip: Path) -> None:
    for name in ("tables", "archives"):
        (tmp_path / name).mkdir()
    write_photos(tmp_path / "photos", 64, 1)
    write_paintings(tmp_path / "paintings", 24, 2)
    write_tables(tmp_path / "tables", tmp_path / "photos")
    write_archives(tmp_path / "archives", tmp_path / "paintings")
    shared = {
        "workspace": str(tmp_path / "workspace"),
        "part_size": 20,
        "encoder": {"model": str(tiny_clip)},
        "caption": {"model": "lab:captioner", "max_new_tokens": 48},
    }
    photos = {"name": "photos", "layout": "hf_parquet", "root": str(tmp_path / "tables")}
    paintings = {"name": "paintings", "layout": "webdataset", "root": str(tmp_path / "archives")}
    emoset = build_emoset(load_params("lab", BuildEmosetParams, {**shared, "source": photos}))
    wanted = {"source": paintings, "labelled_source": "photos", "min_confidence": 0.13}
    emoart = build_emoart(load_params("lab", BuildEmoartParams, {**shared, **wanted}))

    tables = Workspace(str(tmp_path / "workspace"))
    labelled = tables.table("images", "photos").read(["label", "split"])
    assert labelled.height == 64
    assert set(labelled["label"]) == set(EMOTIONS)
    assert labelled["split"].value_counts().sort("split")["count"].to_list() == [48, 16]
    assert tables.table("images", "paintings").count() == 23
    assert tables.table("rejected", "paintings").read()["path"].str.contains("00000.tar").to_list() == [True]
    for outcome, pictures in ((emoset, 64), (emoart, 23)):
        decisions = tables.table("decisions", outcome.dataset, outcome.version).read()
        assert decisions.height == pictures
        assert decisions.filter("kept").height > 0


def test_a_source_without_a_usable_picture_says_why(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    write_photos(tmp_path / "photos", 16, 1)
    write_tables(tmp_path / "tables", tmp_path / "photos", embedded=False)
    source = {"name": "photos", "layout": "hf_parquet", "root": str(tmp_path / "tables")}
    params = load_params("lab", BuildEmosetParams, {"workspace": str(tmp_path / "workspace"), "source": source})
    with pytest.raises(ValueError, match=r"no usable picture; rejected: 16 missing file \(photos-0.parquet#0: .*pictures embedded"):
        build_emoset(params)
