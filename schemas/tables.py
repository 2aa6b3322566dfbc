"""What a row of every table of a workspace looks like: column types, keys and value ranges.

Each schema is a dataframely schema, so a frame is validated by `SCHEMA.validate(frame)`. What lies on disk is Parquet with
plain Arrow types (`arrow_schema`), readable as it is by polars, pyarrow, DuckDB and Hugging Face `datasets`; a column named
`image` carries the `datasets.Image` feature.
"""

import json
from functools import cache

import dataframely as dy
import polars as pl
import pyarrow as pa

from schemas.choices import EMOTION_NAMES

SHA256_PATTERN = "^[0-9a-f]{64}$"
SPLITS = ("train", "val", "test")
AUDIT_ID_PATTERN = "^audit-[0-9a-f]{12}$"
VERDICTS = ("accept", "reject")


class Float16(dy.Float32):
    """A column of half-precision floats (dataframely itself stops at single precision)."""

    @property
    def dtype(self) -> pl.DataType:
        """The polars type."""
        return pl.Float16()


def _image_id() -> dy.String:
    return dy.String(primary_key=True, regex=SHA256_PATTERN)


def _emotion(*, nullable: bool) -> dy.String:
    return dy.String(nullable=nullable, check=lambda column: column.is_in(EMOTION_NAMES))


class Images(dy.Schema):
    """`images/<source>`: one accepted picture."""

    image_id = _image_id()  # SHA-256 of `image.bytes`
    image = dy.Struct({"bytes": dy.Binary(nullable=False), "path": dy.String(nullable=False)}, nullable=False)
    width = dy.Int32(min=1, nullable=False)
    height = dy.Int32(min=1, nullable=False)
    label = _emotion(nullable=True)
    split = dy.String(nullable=True, check=lambda column: column.is_in(SPLITS))
    artist = dy.String(nullable=True)
    style = dy.String(nullable=True)
    genre = dy.String(nullable=True)
    licence = dy.String(nullable=True)
    attributes = dy.String(nullable=True)  # the source's own annotation of this picture, as JSON


class Pictures(dy.Schema):
    """`pictures/<decoder>/<source>`: which pictures a part holds, or held; it stays when the part goes."""

    image_id = _image_id()
    width = dy.Int32(min=1, nullable=False)
    height = dy.Int32(min=1, nullable=False)


class Rejected(dy.Schema):
    """`rejected/<source>`: one file that could not become an image row."""

    path = dy.String(primary_key=True)
    reason = dy.String(nullable=False)  # short and countable: "truncated", "not an image", ...
    detail = dy.String(nullable=False)  # the decoder's own words, and the remedy where there is one


class EmotionScores(dy.Schema):
    """`emotion_scores/<source>/<classifier>`: calibrated class probabilities of one picture."""

    image_id = _image_id()
    probabilities = dy.Array(dy.Float32(min=0.0, max=1.0), 8, nullable=False)  # in the order of EMOTIONS
    label = _emotion(nullable=False)
    confidence = dy.Float32(min=0.0, max=1.0, nullable=False)  # the largest of the probabilities


class Captions(dy.Schema):
    """`captions/<source>`: one attempt to caption one picture."""

    image_id = _image_id()
    recipe_id = dy.String(primary_key=True)
    attempt = dy.Int32(primary_key=True, min=1)
    caption = dy.String(nullable=True)  # null exactly when `error` is set
    fields = dy.Struct(  # what a structured answer says besides; null in a plain one
        {
            "brightness": dy.String(nullable=True),
            "colorfulness": dy.String(nullable=True),
            "scene": dy.String(nullable=True),
            "objects": dy.List(dy.String(nullable=False), nullable=True),
            "facial_expression": dy.String(nullable=True),
            "human_action": dy.String(nullable=True),
            "trigger": dy.String(nullable=True),
        },
        nullable=True,
    )
    emotion_prior = _emotion(nullable=True)
    prompt_id = dy.String(nullable=False)
    model = dy.String(nullable=False)
    prompt_tokens = dy.Int32(nullable=True, min=0)
    completion_tokens = dy.Int32(nullable=True, min=0)
    asked_at = dy.Datetime(time_unit="us", time_zone="UTC", nullable=False)  # when its request was sent; measured, like the latency
    latency_s = dy.Float32(nullable=True, min=0.0)
    finish_reason = dy.String(nullable=True)
    error = dy.String(nullable=True)

    @dy.rule()
    def caption_or_error(cls) -> pl.Expr:  # noqa: N805  dataframely passes the schema
        """Either a caption or the reason for its absence."""
        return pl.col("caption").is_null() != pl.col("error").is_null()


class Alignment(dy.Schema):
    """`alignment/<source>/<encoder>`: CLIP similarity of one caption to its picture."""

    image_id = _image_id()
    recipe_id = dy.String(primary_key=True)  # of the caption
    attempt = dy.Int32(primary_key=True, min=1)  # of the caption
    similarity = dy.Float32(min=-1.001, max=1.001, nullable=False)  # cosine
    text_tokens = dy.Int32(min=2, nullable=False)  # of the whole caption, both end marks included
    cut_tokens = dy.Int32(min=0, nullable=False)  # so many of them lie past the encoder's window (77 for CLIP) and were not seen


class Curated(dy.Schema):
    """`curated/<dataset>/<version>/train`: a published row."""

    image_id = _image_id()
    image = dy.Struct({"bytes": dy.Binary(nullable=False), "path": dy.String(nullable=False)}, nullable=False)
    width = dy.Int32(min=1, nullable=False)
    height = dy.Int32(min=1, nullable=False)
    label = _emotion(nullable=False)
    confidence = dy.Float32(min=0.0, max=1.0, nullable=True)  # null where a person gave the label
    caption = dy.String(nullable=False)
    similarity = dy.Float32(min=-1.001, max=1.001, nullable=False)
    caption_recipe_id = dy.String(nullable=False)
    split = dy.String(nullable=True, check=lambda column: column.is_in(SPLITS))
    artist = dy.String(nullable=True)
    style = dy.String(nullable=True)
    genre = dy.String(nullable=True)
    licence = dy.String(nullable=True)


class Decisions(dy.Schema):
    """`decisions/<dataset>/<version>`: why a candidate was kept or dropped; every candidate has one row."""

    image_id = _image_id()
    kept = dy.Bool(nullable=False)
    reason = dy.String(nullable=False)  # "kept", "low confidence", "emotion not collected", "no caption", "low alignment", ...
    label = _emotion(nullable=True)
    confidence = dy.Float32(nullable=True)
    caption = dy.String(nullable=True)
    similarity = dy.Float32(nullable=True)
    caption_recipe_id = dy.String(nullable=True)
    caption_attempt = dy.Int32(nullable=True)
    text_tokens = dy.Int32(nullable=True)  # length of the caption for the encoder
    cut_tokens = dy.Int32(nullable=True)  # of which it did not see so many
    near_duplicate_of = dy.String(nullable=True, regex=SHA256_PATTERN)  # the larger picture that was kept instead


class NearDuplicates(dy.Schema):
    """`near_duplicates/<source>/<recipe>`: a picture that belongs to a group of such as look alike; those without a like are left out."""

    image_id = _image_id()
    group_id = dy.String(regex=SHA256_PATTERN, nullable=False)  # image_id of the largest picture of the group
    pixels = dy.Int64(min=1, nullable=False)
    distance = dy.Float32(min=0.0, max=2.0, nullable=False)  # cosine distance to the largest


class CaptionReviews(dy.Schema):
    """`caption_reviews/<source>`: a person's verdict on one attempt to caption one picture, given in one audit."""

    image_id = _image_id()
    recipe_id = dy.String(primary_key=True)  # of the caption
    attempt = dy.Int32(primary_key=True, min=1)
    audit_id = dy.String(primary_key=True, regex=AUDIT_ID_PATTERN)
    emotion = _emotion(nullable=False)  # that the caption answers to
    caption = dy.String(nullable=True)  # that was judged; null in older parts
    verdict = dy.String(nullable=False, check=lambda column: column.is_in(VERDICTS))
    note = dy.String(nullable=True)  # the person's words on why it was rejected
    reviewer = dy.String(nullable=True)
    exported_at = dy.String(nullable=False)  # UTC, "2026-01-31T12:00:00.000Z": sorts by time as text


class Samples(dy.Schema):
    """`runs/<run_id>/samples/<method>`: one generated picture (PNG)."""

    emotion = dy.String(primary_key=True, check=lambda column: column.is_in(EMOTION_NAMES))
    index = dy.Int32(primary_key=True, min=0)
    seed = dy.Int64(nullable=False)
    image = dy.Struct({"bytes": dy.Binary(nullable=False), "path": dy.String(nullable=False)}, nullable=False)


def embeddings_schema(dim: int) -> type[dy.Schema]:
    """`embeddings/<source>/<encoder>`: one unit-length vector of `dim` half-precision numbers."""

    class Embeddings(dy.Schema):
        image_id = _image_id()
        embedding = dy.Array(Float16(), dim, nullable=False)

    return Embeddings


@cache
def arrow_schema(schema: type[dy.Schema]) -> pa.Schema:
    """The schema on disk: 32-bit string and binary offsets; with a column `image`, the features that `datasets` reads, of all columns."""
    wide = schema.create_empty().to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    fields = [pa.field(field.name, _narrow(field.type)) for field in wide]
    if "image" not in wide.names:
        return pa.schema(fields)
    features = {field.name: _feature(field.type) for field in fields} | {"image": {"_type": "Image"}}  # before 2.17: all or none
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _feature(kind: pa.DataType) -> dict[str, object]:
    """What `datasets` calls a type, of any version."""
    if pa.types.is_struct(kind):
        return {child.name: _feature(child.type) for child in kind}
    if pa.types.is_fixed_size_list(kind):
        return {"feature": _feature(kind.value_type), "length": kind.list_size, "_type": "Sequence"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "Sequence"}
    names = {"double": "float64", "float": "float32", "halffloat": "float16"}
    return {"dtype": names.get(str(kind), str(kind)), "_type": "Value"}


def _narrow(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_binary(kind):
        return pa.binary()
    if pa.types.is_large_list(kind):
        return pa.list_(_narrow(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(child.name, _narrow(child.type)) for child in kind])
    return kind
