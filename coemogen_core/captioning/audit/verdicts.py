"""The file that the audit page exports: a person's verdicts as JSON. Read as what it is: something that came from outside.

A file of another kind is refused as a whole; a row that cannot be read is listed with its reason, and the others count.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field, StrictInt, ValidationError, field_validator

from coemogen_core.errors import CoEmoGenError
from coemogen_core.storage.location import resolve
from coemogen_core.storage.names import SourceName
from schemas.choices import EmotionName
from schemas.frozen_model import FrozenModel
from schemas.tables import AUDIT_ID_PATTERN, SHA256_PATTERN

FORMAT: Literal["coemogen-caption-verdicts/1"] = "coemogen-caption-verdicts/1"
MAX_NOTE = 2000
MAX_REVIEWER = 100
REMEDY = "export the verdicts again from the audit page, and import the file unchanged"


class UnusableVerdicts(CoEmoGenError, ValueError):  # noqa: N818 (what is wrong is the file)
    """A file that holds no verdicts on this source; the message names the file, the place and the remedy."""


class RefusedVerdict(FrozenModel):
    """A row that was not recorded."""

    row: str = Field(description="which one: its place in the file, or what it is about")
    reason: str = Field(description="why, and what to do")


class Verdict(FrozenModel):
    """A person's verdict on one caption."""

    image_id: str = Field(pattern=SHA256_PATTERN, description="SHA-256 of the picture")
    recipe_id: str = Field(pattern="^[A-Za-z0-9_-]{1,100}$", description="recipe of the caption")
    attempt: StrictInt = Field(ge=1, lt=2**31, description="number of the attempt")
    emotion: EmotionName = Field(description="emotion that the caption answers to")
    verdict: Literal["accept", "reject"] = Field(description="what the person decided")
    note: str | None = Field(default=None, max_length=MAX_NOTE, description="why it was rejected, in the person's words")

    @property
    def key(self) -> tuple[str, str, int]:
        """What names the caption: image id, recipe id, attempt."""
        return self.image_id, self.recipe_id, self.attempt

    @property
    def subject(self) -> str:
        """What the verdict is about, in words."""
        return f"attempt {self.attempt} of {self.recipe_id} on picture {self.image_id[:12]}"


class VerdictDocument(FrozenModel):
    """An exported file. `exported_at` is any ISO 8601 time with an offset, kept as UTC with milliseconds, so that it sorts as text."""

    format: Literal["coemogen-caption-verdicts/1"] = Field(default=FORMAT, description="name and version of this format")
    audit_id: str = Field(pattern=AUDIT_ID_PATTERN, description="the audit whose page was used")
    source: SourceName = Field(description="source of the pictures")
    exported_at: str = Field(description="when the person exported")
    reviewer: str | None = Field(default=None, max_length=MAX_REVIEWER, description="who judged")
    verdicts: tuple[Verdict, ...] = Field(description="one a caption that was judged")

    @field_validator("exported_at")
    @classmethod
    def _in_utc(cls, text: str) -> str:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("a time without an offset: end it with Z for UTC")
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class VerdictFile:
    """A file as far as it could be read."""

    document: VerdictDocument  # readable rows only
    refused: tuple[RefusedVerdict, ...]


def read_verdicts(uri: str) -> VerdictFile:
    """Read an exported file from a local path or any URI that fsspec opens.

    Raises:
        FileNotFoundError: there is no such file.
        UnusableVerdicts: it holds no verdicts.
    """
    filesystem, path = resolve(uri)
    try:
        data = filesystem.cat_file(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{uri} does not exist: give the file that the audit page exported, verdicts-<audit id>.json") from error
    return parse_verdicts(data, uri)


def parse_verdicts(data: bytes, name: str) -> VerdictFile:
    """Read the content of an exported file; `name` is what messages call it.

    Raises:
        UnusableVerdicts: no JSON, another format, or a head that breaks the format.
    """
    content = _parse_object(data, name)
    if content.get("format") != FORMAT:
        raise UnusableVerdicts(f"{name}: its format is {_shown(content.get('format'))}, not {FORMAT!r}; {REMEDY}")
    rows = content.get("verdicts")
    try:
        head = VerdictDocument.model_validate({**content, "verdicts": [] if isinstance(rows, list) else rows})
    except ValidationError as error:
        raise UnusableVerdicts(f"{name}: {_problems(error)}; {REMEDY}") from error
    verdicts, refused = [], []
    for place, row in enumerate(rows if isinstance(rows, list) else []):
        try:
            verdicts.append(Verdict.model_validate(row))
        except ValidationError as error:
            refused.append(RefusedVerdict(row=f"verdicts[{place}]", reason=f"{_problems(error)}; {REMEDY}"))
    return VerdictFile(head.model_copy(update={"verdicts": tuple(verdicts)}), tuple(refused))


def _parse_object(data: bytes, name: str) -> Mapping[str, Any]:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnusableVerdicts(f"{name}: no JSON ({error}); {REMEDY}") from error
    if not isinstance(content, dict):
        raise UnusableVerdicts(f"{name}: a JSON {type(content).__name__}, not an object with verdicts; {REMEDY}")
    return content


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'row'}: {each['msg']} (given: {_shown(each['input'])})" for each in found)


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
