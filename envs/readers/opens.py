"""Opens what we write by calls of other libraries, and compares every row, column and picture with what was written.

    python opens.py JOB.json

The job lists calls as the dataset card and the pages spell them, and for each the file of rows that it must give. This runs in environments
of readers as old as those that are promised, so it needs nothing but Python and the reader. It prints one JSON line a call: `null`, or what
was wrong.
"""

import importlib
import io
import json
import math
import os
import struct
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace


def main():
    """Try every call of the job; what `datasets` copies goes to a folder that ends with the process."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=cache)
        try_all()


def try_all():
    """A line for every call."""
    for each in json.loads(Path(sys.argv[1]).read_text())["calls"]:
        try:
            compare(rows_of(each["call"]), json.loads(Path(each["rows"]).read_text()))
            wrong = None
        except BaseException as error:  # polars' panics are no Exceptions
            cause = f", from {error.__cause__!r}" if error.__cause__ else ""
            wrong = f"{error!r}{cause}"[:600]
        print(json.dumps([each["name"], wrong]), flush=True)


def rows_of(call):
    """Rows of whatever the call gives, as dictionaries."""
    if call.startswith("SELECT"):
        cursor = importlib.import_module("duckdb").connect().execute(call)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    found = eval(call, Libraries())  # noqa: S307  our own calls
    for method in ("to_table", "collect"):  # a dataset of pyarrow, a lazy frame of polars
        found = getattr(found, method)() if hasattr(found, method) else found
    for method in ("to_pylist", "to_dicts"):
        if hasattr(found, method):
            return getattr(found, method)()
    if type(found).__name__ == "DataFrame":
        return found.to_dict("records")
    return [of_archive(row) if "__key__" in row else dict(row) for row in found]


class Libraries(dict):
    """The names that a call may use, imported when they are used."""

    def __missing__(self, name):
        """Raises KeyError for a name that is none of them."""
        if name == "load_dataset":
            return importlib.import_module("datasets").load_dataset
        if name == "glob":
            return importlib.import_module("glob").glob
        if name == "pyarrow":
            return SimpleNamespace(dataset=importlib.import_module("pyarrow.dataset"), parquet=importlib.import_module("pyarrow.parquet"))
        if name in ("pandas", "polars", "webdataset"):
            return importlib.import_module(name)
        raise KeyError(name)


def of_archive(row):
    """A sample of an archive in the shape of a published row."""
    pictures = [key for key in ("jpg", "png") if key in row]
    require(len(pictures) == 1, f"keys of a sample: {sorted(row)}")
    require(row["txt"] == row["json"]["caption"], "the text is not the caption")
    require(row["__key__"] == row["json"]["image_id"], "the key is not the id")
    return {**row["json"], "image": row[pictures[0]]}


def require(holds, wrong):
    """Raises ValueError with what is wrong, where something does not hold."""
    if not holds:
        raise ValueError(wrong)


def compare(rows, written):
    """Raises ValueError where a row, column, value or picture differs from what was written."""
    key = written["key"]
    expected = {row[key]: row for row in written["rows"]}
    require(len(rows) == len(written["rows"]), f"{len(rows)} rows, {len(written['rows'])} were written")
    require({row[key] for row in rows} == set(expected), "other rows")
    for row in rows:
        wanted = expected[row[key]]
        require(set(row) == set(wanted), f"columns {sorted(row)}, {sorted(wanted)} were written")
        for name, value in wanted.items():
            if name == "image":
                compare_picture(row[name], value)
            else:
                require(plain(row[name]) == plain(value), f"{name} is {row[name]!r}, {value!r} was written")


def plain(value):
    """A value as JSON has it; floats of 32 bits, missing values as None."""
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        value = value.tolist()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return None if math.isnan(value) else struct.unpack("f", struct.pack("f", value))[0]
    return value


def compare_picture(found, written):
    """The file's own bytes and name, or the pixels that Pillow reads from them; some readers turn them upright, or into RGB."""
    data = Path(written["file"]).read_bytes()
    if isinstance(found, dict):
        require((bytes(found["bytes"]), found["path"]) == (data, written["path"]), "another file")
        return
    from PIL import Image, ImageOps

    require(isinstance(found, Image.Image), f"the picture is {type(found).__name__}")
    own = Image.open(io.BytesIO(data))
    require(pixels(found) in [pixels(own), pixels(ImageOps.exif_transpose(own)), pixels(own.convert("RGB"))], "other pixels")


def pixels(picture):
    """What is compared."""
    return picture.mode, picture.size, picture.tobytes()


if __name__ == "__main__":
    main()
