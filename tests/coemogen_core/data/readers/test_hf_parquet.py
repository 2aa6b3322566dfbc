import io
import json

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.plan import plan_source
from coemogen_core.data.readers import parquet_file
from coemogen_core.data.readers.registry import open_reader
from coemogen_core.data.source_item import RejectedFile, SourceItem, UnusableItem
from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.data.archives import parquet
from tests.coemogen_core.data.pictures import jpeg
from tests.coemogen_core.data.sources import put


def written(rows: dict, **features) -> bytes:
    """What `datasets` writes of these rows."""
    buffer = io.BytesIO()
    datasets.Dataset.from_dict(rows, datasets.Features(features)).to_parquet(buffer)
    return buffer.getvalue()


def load(root, column=None):
    reader = open_reader("hf_parquet", root, "CC0", column)
    entries = list(reader.list_items())
    items = [entry for entry in entries if isinstance(entry, SourceItem)]
    reasons = {entry.path: entry.reason for entry in entries if isinstance(entry, RejectedFile)}
    loaded = []
    for item, call in zip(items, reader.load_items(items), strict=True):
        try:
            loaded.append(call())
        except UnusableItem as error:
            reasons[item.path] = error.reason
    return loaded, reasons


def pictures(count):
    return [{"bytes": jpeg(number), "path": f"{number}.jpg"} for number in range(count)]


def test_what_datasets_writes(root):
    rows = {
        "image": pictures(3),
        "label": [3, 0, 8],
        "style": [1, 0, 1],
        "artist": ["Hokusai", None, "Klee"],
        "caption": ["a", "b", "c"],
        "score": [0.5, float("nan"), 1.0],
    }
    features = {
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=[*EMOTIONS, "boredom"]),
        "style": datasets.ClassLabel(names=["Cubism", "Ukiyo_e"]),
        "artist": datasets.Value("string"),
        "caption": datasets.Value("string"),
        "score": datasets.Value("float64"),
    }
    put(root, "data/validation-00000-of-00001.parquet", written(rows, **features))
    loaded, reasons = load(root)
    assert not reasons
    assert [item.path for item, _ in loaded] == [f"data/validation-00000-of-00001.parquet#{row}" for row in range(3)]
    assert [data for _, data in loaded] == [jpeg(number) for number in range(3)]
    said = [(item.label, item.split, item.style, item.artist, item.licence) for item, _ in loaded]
    assert said == [
        (EMOTIONS[3], "val", "Ukiyo_e", "Hokusai", "CC0"),
        (EMOTIONS[0], "val", "Cubism", None, "CC0"),
        (None, "val", "Ukiyo_e", "Klee", "CC0"),
    ]
    assert json.loads(loaded[1][0].attributes) == {"caption": "b", "file_name": "1.jpg", "label": EMOTIONS[0]}
    assert json.loads(loaded[2][0].attributes)["label"] == "boredom"


def test_pictures_that_datasets_encodes_come_through_ingest(tmp_path):
    """`datasets` encodes arrays itself, as PNG."""
    arrays = [np.random.default_rng(number).integers(0, 255, (12, 16, 3), dtype=np.uint8) for number in range(5)]
    table = datasets.Dataset.from_dict({"image": arrays}, datasets.Features(image=datasets.Image()))
    (tmp_path / "source").mkdir()
    table.to_parquet(str(tmp_path / "source/train.parquet"), batch_size=2)
    workspace = Workspace(str(tmp_path / "workspace"))
    (part,) = plan_source(workspace, "art", "hf_parquet", str(tmp_path / "source"))
    outcome = ingest_part(workspace, "art", part)
    assert (outcome.rows, outcome.dropped) == (5, 0)
    images = workspace.table("images", "art").read()
    assert images["width"].to_list() == [16] * 5
    assert images["split"].to_list() == ["train"] * 5


def test_names_as_labels_and_columns_for_splits(root):
    rows = {"image": [jpeg(number) for number in range(3)], "emotion": [" Awe", "dog", None], "split": ["test", "valid", "other"]}
    rows |= {"license": ["CC BY", None, None], "genre": ["landscape"] * 3}
    put(root, "train/a.parquet", parquet(rows))
    loaded, reasons = load(root)
    assert not reasons
    assert [(item.label, item.split, item.licence, item.genre) for item, _ in loaded] == [
        ("awe", "test", "CC BY", "landscape"),
        (None, "val", "CC0", "landscape"),
        (None, "train", "CC0", "landscape"),
    ]


def test_the_column_of_the_pictures(root):
    put(root, "a.parquet", parquet({"image": ["a.jpg"], "painting": [jpeg(1)], "label": ["awe"]}))
    assert load(root)[1] == {"a.parquet": "no image column"}
    ((item, data),) = load(root, "painting")[0]
    assert (item.label, data) == ("awe", jpeg(1))
    put(root, "a.parquet", written({"painting": pictures(1)}, painting=datasets.Image()))
    assert load(root)[0][0][1] == jpeg(0)
    with pytest.raises(ValueError, match="layout wikiart has no columns"):
        open_reader("wikiart", root, None, "painting")


def test_the_column_is_part_of_the_plan(tmp_path):
    put(str(tmp_path / "source"), "a.parquet", parquet({"one": [jpeg(1)], "two": [jpeg(2)]}))
    workspace = Workspace(str(tmp_path / "workspace"))
    names = set()
    for column, picture in (("one", jpeg(1)), ("two", jpeg(2))):
        (part,) = plan_source(workspace, "art", "hf_parquet", str(tmp_path / "source"), image_column=column)
        ingest_part(workspace, "art", part)
        assert workspace.table("images", "art").read_part(part)["image"].struct.field("bytes").to_list() == [picture]
        names.add(part)
    assert len(names) == 2


def test_rows_without_a_picture_are_listed(root):
    rows = [{"bytes": None, "path": "elsewhere.jpg"}, None, {"bytes": jpeg(1), "path": None}]
    put(root, "a.parquet", parquet({"image": rows}))
    loaded, reasons = load(root)
    assert [data for _, data in loaded] == [jpeg(1)]
    assert reasons == {"a.parquet#0": "missing file", "a.parquet#1": "missing file"}


def test_broken_tables_are_listed_and_stop_nothing(root):
    whole = parquet({"image": [jpeg(number) for number in range(50)]}, row_group_size=25, compression="none", use_dictionary=False)
    put(root, "a-whole.parquet", whole)
    put(root, "b-cut.parquet", whole[: len(whole) // 2])
    put(root, "c-text.parquet", "no table at all")
    put(root, "d-void.parquet", b"")
    put(root, "e-footer.parquet", whole[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1")
    put(root, "f-rubbish.parquet", b"PAR1" + bytes(range(256)) * 4 + (1024).to_bytes(4, "little") + b"PAR1")
    put(root, "g-page.parquet", whole[:4] + b"\xff" * 60 + whole[64:])
    put(root, "h-tiny.parquet", b"PAR1")
    loaded, reasons = load(root)
    assert sum(item.path.startswith("a-whole") for item, _ in loaded) == 50
    assert sum(item.path.startswith("g-page") for item, _ in loaded) == 25
    assert reasons.pop("b-cut.parquet") == reasons.pop("c-text.parquet") == reasons.pop("h-tiny.parquet") == "not a Parquet file"
    assert reasons.pop("d-void.parquet") == "empty file"
    assert reasons.pop("e-footer.parquet") == reasons.pop("f-rubbish.parquet") == "broken table"
    assert reasons == {f"g-page.parquet#{row}": "broken table" for row in range(25)}


def test_pages_larger_than_memory_should_take(root, monkeypatch):
    monkeypatch.setattr(parquet_file, "MAX_PAGE_BYTES", 20_000)
    sizes = [100] * 3 + [30_000] + [100]
    rows = [np.random.default_rng(number).bytes(size) for number, size in enumerate(sizes)]
    put(root, "a.parquet", parquet({"image": rows}, row_group_size=2))
    loaded, reasons = load(root)
    assert [item.path for item, _ in loaded] == ["a.parquet#0", "a.parquet#1", "a.parquet#4"]
    assert reasons == {"a.parquet#2": "page too large", "a.parquet#3": "page too large"}


def test_a_row_group_that_claims_more_rows_than_bytes(root):
    put(root, "a.parquet", parquet({"image": pa.nulls(1_000_000, pa.binary())}))
    assert load(root)[1] == {"a.parquet#0-999999": "broken table"}


def test_listing_reads_the_footer_and_a_part_its_row_groups(root, monkeypatch):
    put(root, "a.parquet", parquet({"image": [jpeg(number) for number in range(40)]}, row_group_size=10))
    monkeypatch.setattr(pq, "ParquetFile", None)
    reader = open_reader("hf_parquet", root)
    items = list(reader.list_items())
    monkeypatch.undo()
    opened = []
    rows_of_group = parquet_file.SourceParquet._rows_of_group
    monkeypatch.setattr(
        parquet_file.SourceParquet,
        "_rows_of_group",
        lambda self, number, *rest: opened.append(number) or rows_of_group(self, number, *rest),
    )
    assert [call()[1] for call in reader.load_items(items[15:32])] == [jpeg(number) for number in range(15, 32)]
    assert opened == [1, 2, 3]


def test_a_table_that_changed_since_listing(root):
    put(root, "a.parquet", parquet({"image": [jpeg(1)]}))
    reader = open_reader("hf_parquet", root)
    items = list(reader.list_items())
    put(root, "a.parquet", parquet({"image": [jpeg(1), jpeg(2)]}))
    (call,) = reader.load_items(items)
    with pytest.raises(UnusableItem, match="changed since listing"):
        call()


def test_a_huge_value_in_every_row_is_held_once(tmp_path):
    """One value in a dictionary, so that a small file gives any number of large rows: all but the first are duplicates."""
    picture = jpeg(1) + bytes(2**20)
    put(str(tmp_path / "source"), "a.parquet", parquet({"image": [picture] * 500}))
    workspace = Workspace(str(tmp_path / "workspace"))
    outcomes = [ingest_part(workspace, "art", part) for part in plan_source(workspace, "art", "hf_parquet", str(tmp_path / "source"))]
    assert sum(outcome.rows for outcome in outcomes) == 1
    assert sum(outcome.dropped for outcome in outcomes) == 499
