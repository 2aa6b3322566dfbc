"""Why a picture is captioned again, and which reasons count tonight."""

from typing import Literal, get_args

import fsspec
from pydantic import BaseModel, ConfigDict, Field

Reason = Literal["rejected by a person", "failed", "linted", "listed", "low alignment", "older recipe"]
REASONS: tuple[Reason, ...] = get_args(Reason)
"""In the order in which a budget is spent: what has no usable caption first, what is merely old last."""


class RecaptionReasons(BaseModel):
    """Which pictures to caption again. A picture that several reasons name counts under the first of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rejected: bool = Field(default=True, description="captions that a person rejected in an audit")
    failed: bool = Field(default=True, description="pictures without a caption: never asked for, or no answer came")
    linted: bool = Field(default=True, description="answers that a lint turned down, and captions that CLIP's window cuts off")
    lowest_alignment: float = Field(
        default=0.05, ge=0.0, lt=1.0, description="share of each emotion's captions that CLIP finds least like their pictures; 0 = none"
    )
    older_recipe: bool = Field(default=False, description="captions of any other recipe than the one asked now")
    list_uri: str | None = Field(default=None, description="file with one image id a line: caption these as well")

    def listed(self) -> frozenset[str]:
        """Image ids of the list.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a line is no image id; the message names the line.
        """
        if self.list_uri is None:
            return frozenset()
        with fsspec.open(self.list_uri, "rt", encoding="utf-8") as file:
            lines = [line.strip() for line in file]
        for number, line in enumerate(lines, 1):
            if line and (len(line) != 64 or not set(line) <= set("0123456789abcdef")):
                raise ValueError(f"{self.list_uri}, line {number}: {line[:80]!r} is no image id (64 hexadecimal digits, as in the tables)")
        return frozenset(line for line in lines if line)
