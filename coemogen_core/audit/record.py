"""`audits/<source>/<audit id>/sample.json`: which captions an audit shows, so that verdicts can be checked against it."""

from pydantic import BaseModel, ConfigDict, Field

from coemogen_core.data.workspace import Workspace
from schemas.emotion_names import EmotionName


class SampledCaption(BaseModel):
    """One card of an audit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_id: str = Field(description="SHA-256 of the picture")
    recipe_id: str = Field(description="recipe of the caption")
    attempt: int = Field(ge=1, description="number of the attempt")
    part: str = Field(description="image part in which the picture lies")
    emotion: EmotionName = Field(description="emotion that the caption answers to")


class AuditRecord(BaseModel):
    """What an audit shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    audit_id: str = Field(description="hash of the sample, the seed and the format of the verdicts")
    source: str = Field(description="source of the pictures")
    per_emotion: int = Field(ge=1, description="captions per emotion that were asked for")
    seed: int = Field(description="seed of the draw")
    captions: tuple[SampledCaption, ...] = Field(description="every card of the page")


def write_record(workspace: Workspace, record: AuditRecord) -> None:
    """Keep what an audit shows."""
    workspace.write_json(record.model_dump(mode="json"), "audits", record.source, record.audit_id, "sample.json")


def read_record(workspace: Workspace, source: str, audit_id: str) -> AuditRecord | None:
    """What an audit shows, or None when its page was written elsewhere."""
    if not workspace.exists("audits", source, audit_id, "sample.json"):
        return None
    return AuditRecord.model_validate(workspace.read_json("audits", source, audit_id, "sample.json"))
