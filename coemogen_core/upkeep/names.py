"""Names of the files that the stages write. What is named otherwise somebody else has left there, and nothing here looks at it."""

import re

from coemogen_core.curation.decisions import RECIPE
from coemogen_core.curation.funnel import FUNNEL
from coemogen_core.curation.near_duplicates import GROUPS
from coemogen_core.publication.publication import CARD, DATA, MANIFEST

_HASH = "[0-9a-f]{12}"
_SOURCE = "(?P<source>[a-z][a-z0-9_-]*)"
_DATASET = "(?P<dataset>[a-z][a-z0-9_]*)"
_VERSION = f"(?P<version>(?P=dataset)-{_HASH})"
_PART = "(?P<part>part-[0-9a-z]+(?:-[0-9a-z]+)*)"
_ID = f"[0-9A-Za-z_-]+-{_HASH}"
_CHUNK = rf"{_PART}/{_ID}\.\d+\.parquet"
_BESIDE = "|".join(map(re.escape, (RECIPE, FUNNEL)))

FORMS = {
    "images": rf"(?P<place>{_SOURCE})/{_PART}\.parquet",
    "rejected": rf"(?P<place>{_SOURCE})/{_PART}\.parquet",
    "pictures": rf"(?P<place>decoder-\d+/{_SOURCE})/{_PART}\.parquet",
    "embeddings": rf"(?P<place>{_SOURCE}/(?P<encoder>{_ID}))/{_PART}\.parquet",
    "emotion_scores": rf"(?P<place>{_SOURCE}/(?P<classifier>{_ID}))/{_PART}\.parquet",
    "captions": rf"(?P<place>{_SOURCE})/(?:{_CHUNK})",
    "journals": rf"(?P<place>{_SOURCE})/{_PART}/\.{_ID}\.journal",
    "alignment": rf"(?P<place>{_SOURCE}/(?P<encoder>{_ID}))/{_CHUNK}",
    "evaluation": rf"(?P<place>features-{_HASH})/real/{_SOURCE}/{_PART}-{_HASH}\.safetensors",
    "near_duplicates": rf"(?P<place>{_SOURCE}/(?P<groups>near-duplicates-{_HASH}))/{GROUPS}\.parquet",
    "decisions": rf"(?P<place>{_DATASET}/{_VERSION})(?:/{_PART}\.parquet|\.(?:{_BESIDE}))",
    "features": rf"(?P<place>{_DATASET}/features-{_HASH}\.{_VERSION}\.[^/]+)/{_PART}\.safetensors",
    "curated": rf"(?P<place>{_DATASET}/{_VERSION})/(?:{DATA}/{_PART}\.parquet|{re.escape(CARD)}|(?P<manifest>{re.escape(MANIFEST)}))",
}
"""By table, or kind of file beside one, what its files are called below its folder; `place` is what is listed together."""
_COMPILED = {kind: re.compile(form) for kind, form in FORMS.items()}
_RECORD = re.compile(rf"{_DATASET}/{_VERSION}\.{re.escape(RECIPE)}")


def read_name(kind: str, name: str) -> dict[str, str] | None:
    """What the name of a file below its table's folder says, e.g. `source` and `part`; None when no stage has named it."""
    found = _COMPILED[kind].fullmatch(name)
    return None if found is None else {key: value for key, value in found.groupdict().items() if value is not None}


def version_of_record(dataset: str, name: str) -> str | None:
    """The version whose record a file in `decisions/<dataset>` is; None of any other file."""
    found = _RECORD.fullmatch(f"{dataset}/{name}")
    return None if found is None else found["version"]
