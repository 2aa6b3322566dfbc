import io
import json
import tarfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from polars.testing import assert_frame_equal

from coemogen_core.curation.decide import decide
from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.plan import plan_source
from coemogen_core.publication.exports import export_clip_retrieval, export_webdataset
from coemogen_core.publication.publication import ending, publish, published_table
from schemas.tables import embeddings_schema
from tests.coemogen_core.curation.curated_art import ENCODER, PARTS, RECIPE, SOURCE, build_art


@pytest.fixture
def workspace(workspace):
    build_art(workspace)
    rng = np.random.default_rng(0)
    for part in PARTS:
        ids = workspace.table("images", SOURCE).read_part(part, ["image_id"])["image_id"]
        vectors = rng.normal(size=(len(ids), 8)).astype(np.float16)
        frame = pl.DataFrame({"image_id": ids, "embedding": pl.Series(vectors)})
        workspace.table("embeddings", SOURCE, ENCODER).write_part(part, frame, embeddings_schema(8))
    return workspace


@pytest.fixture
def version(workspace):
    version = decide(workspace, SOURCE, PARTS, RECIPE).version
    publish(workspace, "emoart", version, SOURCE)
    return version


@pytest.mark.parametrize(("size", "shards"), [(1000, [12]), (5, [5, 5, 2])])
def test_webdataset_holds_every_row_with_its_text_and_facts(workspace, version, tmp_path, size, shards):
    export = export_webdataset(workspace, "emoart", version, str(tmp_path / "tars"), size)
    assert export.rows == 12
    assert list(export.files) == [f"{number:05d}.tar" for number in range(len(shards))]
    rows = {row["image_id"]: row for row in workspace.table("curated", "emoart", version, "train").read().iter_rows(named=True)}
    for name, expected in zip(export.files, shards, strict=True):
        with tarfile.open(tmp_path / "tars" / name) as tar:
            members = tar.getmembers()
            assert len(members) == 3 * expected
            assert {(member.mtime, member.uid, member.gid, member.uname, member.mode) for member in members} == {(0, 0, 0, "", 0o644)}
            for picture, text, facts in zip(*[iter(members)] * 3, strict=True):
                row = rows.pop(picture.name.removesuffix(".png"))
                read = [tar.extractfile(member).read() for member in (picture, text, facts)]
                assert read[:2] == [row["image"]["bytes"], row["caption"].encode()]
                sidecar = json.loads(read[2])
                expected = {key: "" if value is None else value for key, value in row.items() if key != "image"}
                assert sidecar == expected | {"path": row["image"]["path"]}
                assert {member.name.split(".")[0] for member in (picture, text, facts)} == {row["image_id"]}
    assert not rows


def test_webdataset_opens_with_datasets(workspace, version, tmp_path):
    import datasets

    export = export_webdataset(workspace, "emoart", version, str(tmp_path / "tars"), 5)
    files = [str(tmp_path / "tars" / name) for name in export.files]
    loaded = datasets.load_dataset("webdataset", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == 12
    assert loaded[0]["png"].size == (48, 40)


def test_an_export_is_a_source_again(workspace, version, tmp_path):
    export_webdataset(workspace, "emoart", version, str(tmp_path / "tars"), 5)
    parts = plan_source(workspace, "again", "webdataset", str(tmp_path / "tars"))
    outcomes = [ingest_part(workspace, "again", part) for part in parts]
    assert sum(outcome.dropped for outcome in outcomes) == 0
    columns = ["image_id", "label", "split", "artist", "style", "genre", "licence"]
    published, read = published_table(workspace, "emoart", version), workspace.table("images", "again")
    assert_frame_equal(read.read(columns), published.read(columns), check_row_order=False)


def test_exports_give_the_same_bytes_again(workspace, version, tmp_path):
    for export in (export_webdataset, export_clip_retrieval):
        written = []
        for name in ("a", "b"):
            folder = tmp_path / export.__name__ / name
            export(workspace, "emoart", version, str(folder))
            written.append({str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()})
        assert written[0] == written[1]
        assert written[0]


def test_clip_retrieval_layout(workspace, version, tmp_path):
    export = export_clip_retrieval(workspace, "emoart", version, str(tmp_path / "export"))
    assert export.rows == 12
    assert set(export.files) == {
        f"{kind}_{n}.{end}" for kind, end in (("img_emb/img_emb", "npy"), ("metadata/metadata", "parquet")) for n in (0, 1)
    }
    stored = workspace.table("embeddings", SOURCE, ENCODER).read()
    for number in (0, 1):
        vectors = np.load(tmp_path / "export" / "img_emb" / f"img_emb_{number}.npy")
        metadata = pl.read_parquet(tmp_path / "export" / "metadata" / f"metadata_{number}.parquet")
        assert vectors.dtype == np.float16
        expected = metadata.select("image_id").join(stored, on="image_id", how="left", maintain_order="left")
        assert np.array_equal(vectors, expected["embedding"].to_numpy())
        for path, (width, height) in zip(metadata["image_path"], metadata.select("width", "height").iter_rows(), strict=True):
            assert Image.open(tmp_path / "export" / path).size == (width, height)


def test_what_is_missing_is_named(workspace, version, tmp_path):
    for export in (export_webdataset, export_clip_retrieval):
        with pytest.raises(FileNotFoundError, match="publish this version first"):
            export(workspace, "emoart", "emoart-0", str(tmp_path))
    Path(workspace.uri, "embeddings", SOURCE, ENCODER, f"{PARTS[1]}.parquet").unlink()
    with pytest.raises(FileNotFoundError):
        export_clip_retrieval(workspace, "emoart", version, str(tmp_path / "x"))


@pytest.mark.parametrize(
    ("kind", "name"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif"), ("BMP", "bmp"), ("TIFF", "tif")]
)
def test_the_ending_is_that_of_the_content(kind, name):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, kind)
    assert ending(buffer.getvalue()) == name


def test_no_picture_has_no_ending():
    with pytest.raises(ValueError, match=r"manifest\.json"):
        ending(b"nothing")


def test_an_earlier_export_leaves_no_shard_behind(workspace, version, tmp_path):
    (tmp_path / "mine.tar").write_bytes(b"mine")
    assert len(export_webdataset(workspace, "emoart", version, str(tmp_path), 2).files) == 6
    export = export_webdataset(workspace, "emoart", version, str(tmp_path), 10)
    assert sorted(path.name for path in tmp_path.glob("*.tar")) == [*export.files, "mine.tar"]
    assert json.loads((tmp_path / ".export.json").read_text())["files"] == list(export.files)
