"""Names that become folders of a workspace."""

from typing import Annotated

from pydantic import Field

SOURCE_NAME = r"^[a-z][a-z0-9_-]*$"
SourceName = Annotated[str, Field(pattern=SOURCE_NAME)]
"""A picture set: `images/<source>` and all tables of its pictures."""
DatasetName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""A curated dataset: `decisions/<dataset>`, `curated/<dataset>`."""
