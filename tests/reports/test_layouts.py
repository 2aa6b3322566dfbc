"""Layouts as people really have them: a label is the picture's own or none, and whatever is left out is listed with its reason."""

import io
import json
import unicodedata

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from coemogen_core.data.ingest import LABEL_LEFT_OUT, ingest_part
from coemogen_core.data.plan import plan_source
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.data.archives import parquet, tar
from tests.coemogen_core.data.pictures import jpeg
from tests.coemogen_core.data.sources import put


class Ingested:
    """What became of a source."""

    def __init__(self, workspace: Workspace, layout: str, root: str) -> None:
        parts = plan_source(workspace, "pictures", layout, root)
        self.outcomes = [ingest_part(workspace, "pictures", part) for part in parts]
        images = workspace.table("images", "pictures").read(["image", "label", "split", "artist", "style", "attributes"], parts)
        self.rows = {row["image"]["path"]: row for row in images.rows(named=True)}
        rejected = workspace.table("rejected", "pictures").read(parts=parts)
        self.reasons = dict(rejected.select("path", "reason").iter_rows())
        self.details = dict(rejected.select("path", "detail").iter_rows())

    @property
    def labels(self) -> dict[str, str | None]:
        return {path: row["label"] for path, row in self.rows.items()}


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "source")


def said(**values: object) -> bytes:
    return json.dumps(values).encode()


class TestWebDataset:
    def test_names_with_dots_do_not_take_each_others_labels(self, workspace, root):
        members = [
            ("j.m.w.-turner_storm.jpg", jpeg(1)),
            ("j.m.w.-turner_storm.json", said(emotion="fear")),
            ("j.m.w.-turner_sunset.jpg", jpeg(2)),
            ("j.m.w.-turner_sunset.json", said(emotion="awe")),
            ("j.m.w.-turner_harbour.jpg", jpeg(3)),
        ]
        put(root, "a.tar", tar(members))
        found = Ingested(workspace, "webdataset", root)
        assert found.labels == {
            "a.tar/j.m.w.-turner_storm.jpg": "fear",
            "a.tar/j.m.w.-turner_sunset.jpg": "awe",
            "a.tar/j.m.w.-turner_harbour.jpg": None,
        }
        assert found.reasons == {}

    def test_another_json_of_the_sample_is_not_its_own(self, workspace, root):
        members = [("0001.jpg", jpeg(1)), ("0001.json", said(label="awe")), ("0001.meta.json", said(label="fear", url="x"))]
        put(root, "a.tar", tar(members))
        found = Ingested(workspace, "webdataset", root)
        assert found.labels == {"a.tar/0001.jpg": "awe"}
        assert found.reasons == {"a.tar/0001.meta.json": "annotation of no picture"}

    def test_annotations_that_stand_apart_are_listed(self, workspace, root):
        members = [("1.jpg", jpeg(1)), ("2.jpg", jpeg(2)), ("1.json", said(label="awe")), ("2.json", said(label="fear"))]
        put(root, "a.tar", tar(members))
        found = Ingested(workspace, "webdataset", root)
        assert found.labels == {"a.tar/1.jpg": None, "a.tar/2.jpg": None}
        assert set(found.reasons) == {"a.tar/1.json", "a.tar/2.json"}

    def test_a_class_without_a_list_and_an_unknown_word_are_labels_left_out(self, workspace, root):
        members = [("1.jpg", jpeg(1)), ("1.cls", b"3"), ("2.jpg", jpeg(2)), ("2.json", said(emotion="joy"))]
        put(root, "a.tar", tar(members))
        found = Ingested(workspace, "webdataset", root)
        assert found.labels == {"a.tar/1.jpg": None, "a.tar/2.jpg": None}
        assert found.reasons == dict.fromkeys(("a.tar/1.jpg", "a.tar/2.jpg"), LABEL_LEFT_OUT)
        assert "'joy'" in found.details["a.tar/2.jpg"]
        assert [(outcome.rows, outcome.dropped) for outcome in found.outcomes] == [(2, 0)]
        again = Ingested(workspace, "webdataset", root)
        assert [(outcome.rows, outcome.dropped, outcome.reused) for outcome in again.outcomes] == [(2, 0, True)]

    @pytest.mark.parametrize("ending", ["cls", "label", "emotion", "label.txt", "emotion.txt", "cls.txt", "LABEL.txt"])
    def test_a_member_that_holds_the_name_alone(self, workspace, root, ending):
        put(root, "a.tar", tar([("1.jpg", jpeg(1)), (f"1.{ending}", b"awe\n"), ("2.jpg", jpeg(2)), (f"2.{ending}", b"joy")]))
        found = Ingested(workspace, "webdataset", root)
        assert found.labels == {"a.tar/1.jpg": "awe", "a.tar/2.jpg": None}
        assert found.reasons == {"a.tar/2.jpg": LABEL_LEFT_OUT}

    def test_members_that_nobody_reads_are_counted(self, workspace, root):
        members = [("1.jpg", jpeg(1)), ("1.npy", b"x"), ("1.sentiment", b"awe"), ("2.jpg", jpeg(2)), ("2.npy", b"x")]
        put(root, "a.tar", tar(members))
        found = Ingested(workspace, "webdataset", root)
        assert set(found.labels) == {"a.tar/1.jpg", "a.tar/2.jpg"}
        assert found.reasons == {"a.tar": "unread members"}
        assert "2 .npy, 1 .sentiment" in found.details["a.tar"]

    @pytest.mark.parametrize("said_twice", [b'{"Label": "awe", "label": "fear"}', b'{"emotion": "awe", "emotion": "fear"}'])
    def test_two_labels_in_one_annotation(self, workspace, root, said_twice):
        put(root, "a.tar", tar([("1.jpg", jpeg(1)), ("1.json", said_twice)]))
        found = Ingested(workspace, "webdataset", root)
        assert list(found.labels.values()) in ([], [None])
        assert set(found.reasons.values()) <= {"contradictory emotion", LABEL_LEFT_OUT}
        assert len(found.reasons) == 1

    def test_two_annotations_of_one_picture(self, workspace, root):
        put(root, "a.tar", tar([("1.jpg", jpeg(1)), ("1.json", said(label="awe")), ("1.JSON", said(label="fear"))]))
        found = Ingested(workspace, "webdataset", root)
        assert (found.labels, found.reasons) == ({"a.tar/1.jpg": "awe"}, {"a.tar/1.JSON": "listed twice"})

    def test_a_failed_download_and_a_sample_without_a_picture_of_one_name(self, workspace, root):
        put(root, "00.tar", tar([("1.jpg", jpeg(1)), ("2", b"x")]))
        put(root, "00.parquet", parquet({"key": ["1", "2"], "status": ["success", "failed_to_download"]}))
        found = Ingested(workspace, "webdataset", root)
        assert (list(found.rows), "00.tar/2" in found.reasons) == (["00.tar/1.jpg"], True)

    def test_formats_that_are_not_read_are_rejected_by_name(self, workspace, root):
        put(root, "a.tar", tar([("1.jpg", jpeg(1)), ("2.avif", b"\0\0\0 ftypavif")]))
        assert Ingested(workspace, "webdataset", root).reasons == {"a.tar/2.avif": "unread format"}


class TestFolders:
    @pytest.mark.parametrize(
        ("path", "split"),
        [
            ("awe/a.jpg", None),
            ("train/awe/a.jpg", "train"),
            ("validation/awe/deeper/a.jpg", "val"),
            ("emotion=awe/a.jpg", None),
            ("split=test/label=awe/a.jpg", "test"),
            ("class=awe/a.jpg", None),
            ("10_awe/a.jpg", None),
            ("10_awe person/a.jpg", None),
            ("Awe/a.jpg", None),
        ],
    )
    def test_a_folder_names_the_emotion(self, workspace, root, path, split):
        put(root, path, jpeg(1))
        put(root, "other/b.jpg", jpeg(2))
        found = Ingested(workspace, "image_folder", root)
        assert found.labels == {path: "awe", "other/b.jpg": None}
        assert found.rows[path]["split"] == split

    def test_folders_without_an_emotion_beside_those_with_one_are_named(self, workspace, root, caplog):
        for path in ("awe/a.jpg", "joy/b.jpg", "joy/c.jpg"):
            put(root, path, jpeg(len(path)))
        Ingested(workspace, "image_folder", root)
        assert "2 pictures have no label, in: joy (2)" in caplog.text

    def test_folders_that_lie_too_deep_are_listed(self, workspace, root):
        put(root, "awe/a.jpg", jpeg(1))
        deep = "/".join("abcdefghijklmnopq")
        put(root, f"{deep}/b.jpg", jpeg(2))
        assert Ingested(workspace, "image_folder", root).reasons == {f"{deep}/": "too deep"}

    def test_folders_that_contradict_each_other(self, workspace, root):
        put(root, "awe/fear/a.jpg", jpeg(1))
        put(root, "awe/b.jpg", jpeg(2))
        assert Ingested(workspace, "image_folder", root).reasons == {"awe/fear/a.jpg": "contradictory emotion"}

    def test_metadata_csv(self, workspace, root):
        for number in range(4):
            put(root, f"{number}.jpg", jpeg(number))
        lines = [
            "file_name,Emotion,artist,text",
            '0.jpg,awe,"Turner, J. M. W.",a storm',
            "1.jpg,joy,,",
            "2.jpg,,,",
            "gone.jpg,fear,,",
            ",fear,,",
        ]
        put(root, "metadata.csv", "\ufeff" + "\r\n".join(lines))
        found = Ingested(workspace, "image_folder", root)
        assert found.labels == {"0.jpg": "awe", "1.jpg": None, "2.jpg": None, "3.jpg": None}
        assert found.rows["0.jpg"]["artist"] == "Turner, J. M. W."
        assert json.loads(found.rows["0.jpg"]["attributes"]) == {"Emotion": "awe", "text": "a storm"}
        assert found.reasons == {"1.jpg": LABEL_LEFT_OUT, "gone.jpg": "missing file", "metadata.csv#4": "broken list entry"}

    @pytest.mark.parametrize(
        "table",
        [
            "file_name,label,text\ra.jpg,awe,x\r",
            "file_name, label\na.jpg,awe\n",
            f"file_name,label,workflow\na.jpg,awe,{'x' * 200_000}\n",
            'file_name,label,text\r\na.jpg,awe,"two\r\nlines"\r\n',
        ],
        ids=["old Mac", "a blank", "a workflow", "two lines"],
    )
    def test_metadata_as_programs_write_it(self, workspace, root, table):
        put(root, "a.jpg", jpeg(1))
        put(root, "metadata.csv", table)
        found = Ingested(workspace, "image_folder", root)
        assert (found.labels, found.reasons) == ({"a.jpg": "awe"}, {})
        if "two" in table:
            assert json.loads(found.rows["a.jpg"]["attributes"])["text"] == "two\r\nlines"

    @pytest.mark.parametrize("column", ["file_name", "File_Name", "filename", "image_file_name", "path", "photo_file_name"])
    def test_a_column_that_names_the_file(self, workspace, root, column):
        put(root, "a.jpg", jpeg(1))
        put(root, "metadata.csv", f"{column},label\na.jpg,awe\n")
        found = Ingested(workspace, "image_folder", root)
        assert (found.labels, found.reasons) == ({"a.jpg": "awe"}, {})

    def test_metadata_as_a_table(self, workspace, root):
        put(root, "train/a.jpg", jpeg(1))
        put(root, "train/metadata.parquet", parquet({"file_name": ["a.jpg", "gone.jpg"], "label": ["awe", "fear"], "stars": [5, 1]}))
        found = Ingested(workspace, "image_folder", root)
        assert (found.labels, found.reasons) == ({"train/a.jpg": "awe"}, {"train/gone.jpg": "missing file"})
        assert json.loads(found.rows["train/a.jpg"]["attributes"]) == {"label": "awe", "stars": 5}

    def test_lines_of_another_length_are_listed_and_read(self, workspace, root):
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            put(root, name, jpeg(ord(name[0])))
        put(root, "metadata.csv", "file_name,label,text\na.jpg,awe,x\nb.jpg\nc.jpg,fear,x,y\n")
        found = Ingested(workspace, "image_folder", root)
        assert found.labels == {"a.jpg": "awe", "b.jpg": None, "c.jpg": "fear"}
        assert found.reasons == {"metadata.csv#1": "broken list entry", "metadata.csv#2": "broken list entry"}
        assert "fewer columns" in found.details["metadata.csv#1"]
        assert "more columns" in found.details["metadata.csv#2"]

    @pytest.mark.parametrize(
        ("files", "table", "reasons"),
        [
            (["b.heic"], "file_name,label\na.jpg,awe\nb.heic,fear\n", {"b.heic": "unread format"}),
            (["awe/fear/b.jpg"], "file_name,label\na.jpg,awe\nawe/fear/b.jpg,fear\n", {"awe/fear/b.jpg": "contradictory emotion"}),
            ([], "file_name,label\na.jpg,awe\n,fear,extra\n", {"metadata.csv#1": "broken list entry"}),
            ([], "file_name,label\na.jpg,awe\na.jpg,awe,extra\n", {"metadata.csv#1": "broken list entry"}),
            ([], "file_name,label,text\na.jpg,awe,x\n/abs/b.jpg,awe\n", {"metadata.csv#1": "broken list entry"}),
        ],
        ids=["a format", "folders", "no name", "twice", "a path"],
    )
    def test_what_is_wrong_in_two_ways_is_one_row(self, workspace, root, files, table, reasons):
        for path in ("a.jpg", *files):
            put(root, path, jpeg(len(path)))
        put(root, "metadata.csv", table)
        found = Ingested(workspace, "image_folder", root)
        assert (found.labels, found.reasons) == ({"a.jpg": "awe"}, reasons)

    def test_one_missing_file_that_two_tables_name(self, workspace, root):
        put(root, "t/a.jpg", jpeg(1))
        put(root, "metadata.csv", "file_name,label\nt/gone.jpg,awe\n")
        put(root, "t/metadata.csv", "file_name,label\ngone.jpg,awe\n")
        found = Ingested(workspace, "image_folder", root)
        assert (found.labels, found.reasons) == ({"t/a.jpg": None}, {"t/gone.jpg": "missing file"})

    def test_columns_that_differ_in_capitals_alone(self, workspace, root):
        put(root, "a.jpg", jpeg(1))
        put(root, "metadata.csv", "file_name,label,Label\na.jpg,awe,fear\n")
        assert Ingested(workspace, "image_folder", root).reasons == {"a.jpg": "contradictory emotion"}

    def test_a_column_that_stands_twice(self, workspace, root):
        put(root, "a.jpg", jpeg(1))
        put(root, "metadata.csv", "file_name,label,label\na.jpg,awe,fear\n")
        found = Ingested(workspace, "image_folder", root)
        assert (found.labels, found.reasons) == ({"a.jpg": None}, {"metadata.csv": "broken list entry"})

    def test_a_quote_that_is_never_closed(self, workspace, root):
        for name in ("a.jpg", "b.jpg"):
            put(root, name, jpeg(ord(name[0])))
        put(root, "metadata.csv", 'file_name,label,text\na.jpg,awe,"x\nb.jpg,fear,y\n')
        found = Ingested(workspace, "image_folder", root)
        assert found.labels == {"a.jpg": "awe", "b.jpg": None}
        assert found.reasons == {"metadata.csv#0": "broken list entry"}
        assert "never closed" in found.details["metadata.csv#0"]

    def test_metadata_that_cannot_be_read_loses_no_picture(self, workspace, root):
        put(root, "a.jpg", jpeg(1))
        put(root, "awe/b.jpg", jpeg(2))
        put(root, "metadata.csv", "file_name,label\na.jpg,awe\n".encode("utf-16"))
        put(root, "awe/metadata.csv/c.jpg", jpeg(3))
        found = Ingested(workspace, "image_folder", root)
        assert found.labels == {"a.jpg": None, "awe/b.jpg": "awe", "awe/metadata.csv/c.jpg": "awe"}
        assert found.reasons["metadata.csv"] == "broken list entry"

    def test_metadata_jsonl_in_a_split(self, workspace, root):
        put(root, "train/a.jpg", jpeg(1))
        put(root, "train/metadata.jsonl", '{"file_name": "a.jpg", "label": "sadness"}\nno json\n')
        found = Ingested(workspace, "image_folder", root)
        assert found.labels == {"train/a.jpg": "sadness"}
        assert found.rows["train/a.jpg"]["split"] == "train"
        assert found.reasons == {"train/metadata.jsonl#1": "broken list entry"}

    def test_metadata_in_another_unicode_form(self, workspace, root):
        composed, decomposed = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
        put(root, decomposed, jpeg(1))
        put(root, "metadata.csv", f"file_name,label\n{composed},awe\n")
        found = Ingested(workspace, "image_folder", root)
        assert (found.labels, found.reasons) == ({decomposed: "awe"}, {})

    def test_a_folder_and_its_metadata_contradict_each_other(self, workspace, root):
        put(root, "awe/a.jpg", jpeg(1))
        put(root, "awe/b.jpg", jpeg(2))
        put(root, "metadata.csv", "file_name,label\nawe/a.jpg,fear\n")
        assert Ingested(workspace, "image_folder", root).reasons == {"awe/a.jpg": "contradictory emotion"}

    @pytest.mark.parametrize("ending", ["heic", "HEIF", "avif", "jxl", "psd", "cr2"])
    def test_formats_that_are_not_read_are_rejected_by_name(self, workspace, root, ending):
        put(root, "awe/a.jpg", jpeg(1))
        put(root, f"awe/b.{ending}", b"some bytes")
        assert Ingested(workspace, "image_folder", root).reasons == {f"awe/b.{ending}": "unread format"}


def as_bytes(frame: pd.DataFrame | pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer) if isinstance(frame, pd.DataFrame) else frame.write_parquet(buffer)
    return buffer.getvalue()


PICTURES = [jpeg(1), jpeg(2)]
TABLES = {
    "pandas' category": as_bytes(pd.DataFrame({"image": PICTURES, "label": pd.Categorical(["awe", "fear"])})),
    "polars' Enum": as_bytes(pl.DataFrame({"image": PICTURES, "label": pl.Series(["awe", "fear"], dtype=pl.Enum(["awe", "fear"]))})),
    "polars' Categorical": as_bytes(pl.DataFrame({"image": PICTURES, "label": pl.Series(["awe", "fear"], dtype=pl.Categorical)})),
    "names beside numbers": parquet({"image": PICTURES, "label": [1, 6], "label_name": ["awe", "fear"]}),
    "texts beside numbers": parquet({"image": PICTURES, "label": [1, 6], "label_text": ["awe", "fear"]}),
    "a plural": parquet({"image": PICTURES, "labels": ["awe", "fear"]}),
    "plural in lists": parquet({"image": PICTURES, "emotions": [["awe"], ["fear"]]}),
    "a capital": parquet({"image": PICTURES, "Emotion": ["Awe", "FEAR"]}),
    "a class": parquet({"image": PICTURES, "class_name": ["awe", "fear"]}),
    "a list of one": parquet({"image": PICTURES, "number": [1, 2], "label": [["awe"], ["fear"]]}),
    "a record": parquet({"image": PICTURES, "label": [{"id": 1, "name": "awe"}, {"id": 6, "name": "fear"}]}),
    "bytes": parquet({"image": PICTURES, "label": [b"awe", b"fear"]}),
    "large strings": parquet({"image": PICTURES, "label": pa.array(["awe", "fear"], pa.large_string())}),
}


class TestParquet:
    @pytest.mark.parametrize("how", TABLES)
    def test_a_label_is_read_however_it_is_stored(self, workspace, root, how):
        put(root, "a.parquet", TABLES[how])
        found = Ingested(workspace, "hf_parquet", root)
        assert (found.labels, found.reasons) == ({"a.parquet#0": "awe", "a.parquet#1": "fear"}, {})

    def test_numbers_without_names_are_labels_left_out(self, workspace, root):
        put(root, "a.parquet", parquet({"image": PICTURES, "label": [1, 6]}))
        found = Ingested(workspace, "hf_parquet", root)
        assert found.labels == {"a.parquet#0": None, "a.parquet#1": None}
        assert set(found.reasons.values()) == {LABEL_LEFT_OUT}

    def test_columns_that_differ_in_capitals_alone(self, workspace, root):
        put(root, "a.parquet", parquet({"image": PICTURES, "label": ["awe", "fear"], "Label": ["awe", "awe"]}))
        found = Ingested(workspace, "hf_parquet", root)
        assert (found.labels, found.reasons) == ({"a.parquet#0": "awe"}, {"a.parquet#1": "contradictory emotion"})

    def test_several_labels_of_one_picture_are_left_out_and_listed(self, workspace, root):
        put(root, "a.parquet", parquet({"image": PICTURES, "label": [["awe"], ["awe", "fear"]]}))
        found = Ingested(workspace, "hf_parquet", root)
        assert found.labels == {"a.parquet#0": "awe", "a.parquet#1": None}
        assert found.reasons == {"a.parquet#1": LABEL_LEFT_OUT}

    def test_columns_that_contradict_each_other(self, workspace, root):
        put(root, "a.parquet", parquet({"image": PICTURES, "label": ["awe", "fear"], "emotion": ["awe", "anger"]}))
        assert Ingested(workspace, "hf_parquet", root).reasons == {"a.parquet#1": "contradictory emotion"}

    def test_what_img2dataset_writes(self, workspace, root):
        columns = {
            "url": ["https://example.org/1", "https://example.org/2"],
            "key": ["000", "001"],
            "status": ["success", "failed_to_download"],
            "error_message": [None, "HTTP Error 404: Not Found"],
            "jpg": [jpeg(1), None],
            "emotion": ["awe", "fear"],
        }
        put(root, "00000.parquet", parquet(columns))
        found = Ingested(workspace, "hf_parquet", root)
        assert found.labels == {"00000.parquet#0": "awe"}
        assert found.reasons == {"00000.parquet#1": "failed_to_download"}
        assert "HTTP Error 404" in found.details["00000.parquet#1"]


class TestWikiArtLists:
    @pytest.mark.parametrize(
        "name",
        [
            "raphael_the-school, of athens.jpg",
            "line\u0085break.jpg",
            'quoted "name".jpg',
            "paul-klee_fish\u2028.jpg",
            "d\u00fcrer_hase.jpg",
        ],
    )
    def test_names_as_the_published_lists_have_them(self, workspace, root, name):
        put(root, f"Cubism/{name}", jpeg(1))
        put(root, "style_class.txt", "0 High_Renaissance\n")
        buffer = io.StringIO(newline="")
        import csv

        csv.writer(buffer).writerow([f"Cubism/{unicodedata.normalize('NFD', name)}", 0])
        put(root, "style_train.csv", buffer.getvalue())
        found = Ingested(workspace, "wikiart", root)
        assert [row["style"] for row in found.rows.values()] == ["High_Renaissance"]
        assert found.reasons == {}

    def test_an_unquoted_comma_is_part_of_the_name(self, workspace, root):
        put(root, "Cubism/a, b.jpg", jpeg(1))
        put(root, "style_class.txt", "0 High_Renaissance\n")
        put(root, "style_train.csv", "Cubism/a, b.jpg,0\n")
        found = Ingested(workspace, "wikiart", root)
        assert ([row["style"] for row in found.rows.values()], found.reasons) == (["High_Renaissance"], {})


def test_emoset_lists_in_another_unicode_form(workspace, root):
    composed, decomposed = (unicodedata.normalize(form, "image/awe/é.jpg") for form in ("NFC", "NFD"))
    put(root, decomposed, jpeg(1))
    put(root, "train.json", json.dumps([["awe", "x", composed, None]]))
    found = Ingested(workspace, "emoset", root)
    assert (found.labels, found.reasons) == ({decomposed: "awe"}, {})
