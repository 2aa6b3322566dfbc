"""What most settings and records are: a pydantic model that never changes and knows all of its fields."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """Frozen, and hashable where its fields are; an unknown field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
