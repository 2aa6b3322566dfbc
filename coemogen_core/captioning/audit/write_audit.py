"""An audit: draw a sample of captions, put them beside their pictures on one page, and keep what was drawn."""

import fsspec
import polars as pl
from pydantic import Field

from coemogen_core.captioning.audit.page import read_thumbnails, render_page
from coemogen_core.captioning.audit.reviews import AuditRecord, write_record
from coemogen_core.captioning.audit.sample import AuditableCaptions, draw_sample
from coemogen_core.captioning.audit.verdicts import FORMAT
from coemogen_core.emotions import EMOTIONS
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.whole_file import write_atomically
from coemogen_core.storage.workspace import Workspace
from schemas.emotion_names import EmotionName
from schemas.frozen_model import FrozenModel


class AuditPage(FrozenModel):
    """A page that waits for a person."""

    audit_id: str = Field(description="hash of the sample, the seed and the format of the verdicts")
    uri: str = Field(description="where the page lies in the workspace")
    copied_to: str | None = Field(default=None, description="where the copy for the person lies")
    counts: dict[EmotionName, int] = Field(description="captions shown, by emotion")
    short: tuple[EmotionName, ...] = Field(description="emotions with fewer captions than asked for")
    left_out: dict[str, str] = Field(description="by image id, why a drawn picture could not be shown")


def write_audit(
    workspace: Workspace,
    source: str,
    captions_frame: pl.DataFrame,
    *,
    per_emotion: int = 50,
    seed: int = 0,
    destination: str | None = None,
) -> AuditPage:
    """Write `audits/<source>/<audit id>/page.html`. The same captions and seed give the same page.

    Args:
        workspace: holds `images/<source>`.
        source: source of the pictures.
        captions_frame: current captions in the schema `AuditableCaptions`.
        per_emotion: captions of each emotion, at least 1.
        seed: another seed draws others.
        destination: where a copy goes: a file, or a folder that exists or whose name ends in "/".

    Raises:
        FileNotFoundError: the source has no image parts.
        ValueError: there is no caption, no picture of a drawn caption can be shown, or a column is missing.
        dataframely.exc.ValidationError: a row breaks the schema.
    """
    sample = draw_sample(captions_frame, per_emotion, seed)
    if sample.is_empty():
        raise ValueError(f"source {source!r} has no captions to audit in {workspace.uri}: caption its pictures first")
    pictures = read_thumbnails(workspace, source, sample)
    shown = sample.filter(pl.col("image_id").is_in(list(pictures.found)))
    if shown.is_empty():
        reason = next(iter(pictures.missing.values()))
        raise ValueError(f"no picture of the {sample.height} drawn captions can be shown (the first: {reason}): ingest {source!r} again")
    audit_id = audit_id_of(source, shown, seed)
    page = render_page(audit_id, source, shown, pictures.found).encode()
    write_record(workspace, _record(audit_id, source, shown, per_emotion, seed))
    uri = workspace.write_file(page, "audits", source, audit_id, "page.html")
    counts = {emotion: int((shown["emotion"] == emotion).sum()) for emotion in EMOTIONS}
    return AuditPage(
        audit_id=audit_id,
        uri=uri,
        copied_to=None if destination is None else _copy(page, destination, f"{audit_id}.html"),
        counts=counts,
        short=tuple(emotion for emotion, count in counts.items() if count < per_emotion),
        left_out=pictures.missing,
    )


def audit_id_of(source: str, sample: pl.DataFrame, seed: int) -> str:
    """Id of an audit: the hash of everything that a person is asked about.

    Args:
        source: source of the pictures.
        sample: rows in the schema `AuditableCaptions`, in their order.
        seed: seed of the draw.
    """
    rows = sample.select(AuditableCaptions.column_names()).rows()
    return recipe_id("audit", {"format": FORMAT, "source": source, "seed": seed, "rows": rows})


def _record(audit_id: str, source: str, shown: pl.DataFrame, per_emotion: int, seed: int) -> AuditRecord:
    columns = ["image_id", "recipe_id", "attempt", "part", "emotion"]
    return AuditRecord.model_validate(
        {
            "audit_id": audit_id,
            "source": source,
            "per_emotion": per_emotion,
            "seed": seed,
            "captions": shown.select(columns).rows(named=True),
        }
    )


def _copy(page: bytes, destination: str, name: str) -> str:
    filesystem, path = fsspec.core.url_to_fs(destination)
    target = f"{destination.rstrip('/')}/{name}" if destination.endswith("/") or filesystem.isdir(path) else destination
    write_atomically(target, page)
    return target
