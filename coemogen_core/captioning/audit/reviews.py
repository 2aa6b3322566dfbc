"""Verdicts in the workspace: `caption_reviews/<source>`, a part an imported file. Nothing is overwritten; readers take the latest."""

from collections.abc import Collection, Iterable, Sequence

import polars as pl
from pydantic import Field

from coemogen_core.captioning.attempts import ATTEMPT_KEY, chunk_names
from coemogen_core.captioning.audit.acceptance import AcceptanceRates, acceptance_rates
from coemogen_core.captioning.audit.verdicts import RefusedVerdict, UnusableVerdicts, Verdict, VerdictDocument, read_verdicts
from coemogen_core.captioning.current_captions import REJECTED
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.workspace import Workspace
from schemas.choices import EmotionName
from schemas.frozen_model import FrozenModel
from schemas.tables import CaptionReviews


class SampledCaption(FrozenModel):
    """One card of an audit."""

    image_id: str = Field(description="SHA-256 of the picture")
    recipe_id: str = Field(description="recipe of the caption")
    attempt: int = Field(ge=1, description="number of the attempt")
    part: str = Field(description="image part in which the picture lies")
    emotion: EmotionName = Field(description="emotion that the caption answers to")


class AuditRecord(FrozenModel):
    """What an audit shows."""

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


Key = tuple[str, str, int]


def find_attempts(workspace: Workspace, source: str, wanted: Collection[Key], likely_parts: Collection[str] = ()) -> dict[Key, bool]:
    """Look attempts up in `captions/<source>`; only chunks of their recipes are opened, and none after the last was found.

    Args:
        wanted: image id, recipe id and number of each attempt.
        likely_parts: image parts to look into first.

    Returns:
        The attempts that exist: True where one gave a caption, False where it failed.

    Raises:
        FileNotFoundError: the source has no captions at all.
    """
    if not workspace.exists("captions", source):
        raise FileNotFoundError(
            f"no captions of source {source!r} in {workspace.uri}: give the workspace that the audit page was made from"
        )
    captions, found = workspace.table("captions", source), dict[Key, bool]()
    parts = [*sorted(likely_parts), *(part for part in workspace.table("images", source).parts() if part not in likely_parts)]
    for asked in sorted({asked for _, asked, _ in wanted}):
        keys = {key for key in wanted if key[1] == asked}
        images = list({image_id for image_id, _, _ in keys})
        for chunk in (chunk for part in parts for chunk in chunk_names(workspace, source, part, asked)):
            rows = captions.read_part(chunk, ["image_id", "attempt", "error"]).filter(pl.col("image_id").is_in(images))
            attempts = (((image_id, asked, attempt), error is None) for image_id, attempt, error in rows.iter_rows())
            found |= {key: captioned for key, captioned in attempts if key in keys}
            if keys <= found.keys():
                break
    return found


class AuditOutcome(FrozenModel):
    """What became of an imported file."""

    audit_id: str = Field(description="the audit that was judged")
    source: str = Field(description="source of the pictures")
    part: str | None = Field(description="part of `caption_reviews/<source>` that holds the verdicts; none when none was usable")
    reused: bool = Field(description="the same verdicts had been imported before")
    recorded: int = Field(ge=0, description="verdicts in that part")
    refused: tuple[RefusedVerdict, ...] = Field(description="rows that were not recorded, and why")
    rates: AcceptanceRates = Field(description="acceptance in this audit so far, earlier imports included")


def import_verdicts(
    workspace: Workspace, source: str, document: VerdictDocument, *, name: str = "the verdicts", refused: Sequence[RefusedVerdict] = ()
) -> AuditOutcome:
    """Record verdicts. The same verdicts again change nothing; a later export supersedes earlier verdicts on the same captions.

    Args:
        name: what messages call the document.
        refused: rows that were refused when it was read; they open the outcome's list.

    Raises:
        UnusableVerdicts: the verdicts are about another source.
        FileNotFoundError: the source has no captions in this workspace.
    """
    if document.source != source:
        raise UnusableVerdicts(
            f"{name}: source is {document.source!r}, but {source!r} was asked for; import it as {document.source!r}, or give the file "
            f"exported from a page of {source!r}"
        )
    accepted, doubtful = _distinct(document.verdicts)
    record = read_record(workspace, source, document.audit_id)
    usable, unknown = _existing(workspace, source, accepted, record)
    rows = _rows(document, usable)
    part = f"{document.audit_id}.{recipe_id('reviews', {'rows': rows.rows()}).removeprefix('reviews-')}" if usable else None
    table = workspace.table("caption_reviews", source)
    reused = part is not None and table.has_part(part)
    if part is not None and not reused:
        table.write_part(part, rows, CaptionReviews)
    return AuditOutcome(
        audit_id=document.audit_id,
        source=source,
        part=part,
        reused=reused,
        recorded=len(usable),
        refused=(*refused, *doubtful, *unknown),
        rates=acceptance_rates(read_reviews(workspace, source, document.audit_id)),
    )


def import_file(workspace: Workspace, uri: str, source: str | None = None) -> AuditOutcome:
    """Read an exported file and record its verdicts; without `source`, for the source that the file names.

    Raises:
        FileNotFoundError: there is no such file, or the workspace has no captions of the source.
        UnusableVerdicts: the file holds no verdicts, or such of another source.
    """
    file = read_verdicts(uri)
    return import_verdicts(workspace, source or file.document.source, file.document, name=uri, refused=file.refused)


def read_reviews(workspace: Workspace, source: str, audit_id: str | None = None) -> pl.DataFrame:
    """The latest verdict on each caption, by the time of its export (schema `CaptionReviews`, sorted by caption): of one audit, or of all.

    One row per (image_id, recipe_id, attempt); none when nothing was imported.
    """
    return _latest(_verdicts(workspace, source, audit_id))


def rejected_attempts(workspace: Workspace) -> pl.DataFrame:
    """Captions whose latest verdict, on whatever source's page, is a rejection: columns `REJECTED`, sorted.

    A verdict follows its picture: attempts that another source has taken over are the same rows. It counts for the caption that answers to
    the emotion it was given for: sources captioned at the same time may have given one number to attempts with different priors. A caption
    without a prior answers to every emotion, and the last verdict of all counts for it: the rows whose `emotion_prior` is null.
    """
    reviews = [rows for source in workspace.list_folders("caption_reviews") for rows in _verdicts(workspace, source)]
    for_prior = _latest(reviews, (*ATTEMPT_KEY, "emotion"))
    without = _latest(reviews).with_columns(emotion=pl.lit(None, pl.String))
    rejected = pl.concat([for_prior, without]).filter(pl.col("verdict") == "reject")
    return rejected.select(*ATTEMPT_KEY, emotion_prior="emotion").sort(REJECTED)


def _verdicts(workspace: Workspace, source: str, audit_id: str | None = None) -> list[pl.DataFrame]:
    """Imported files, with their names in the column `part`."""
    table = workspace.table("caption_reviews", source)
    names = [name for name in table.parts() if audit_id is None or name.startswith(f"{audit_id}.")]
    return [table.read_part(name).with_columns(part=pl.lit(name)) for name in names]


def _latest(reviews: list[pl.DataFrame], key: Sequence[str] = ATTEMPT_KEY) -> pl.DataFrame:
    if not reviews:
        return CaptionReviews.create_empty()
    ordered = pl.concat(reviews).sort(*key, "exported_at", "part")
    return ordered.unique(key, keep="last", maintain_order=True).select(CaptionReviews.column_names())


def _distinct(verdicts: Iterable[Verdict]) -> tuple[list[Verdict], list[RefusedVerdict]]:
    """A caption that was judged twice counts once; where the two contradict each other, not at all."""
    by_key: dict[Key, list[Verdict]] = {}
    for verdict in verdicts:
        by_key.setdefault(verdict.key, []).append(verdict)
    accepted, refused = [], []
    for first, *others in by_key.values():
        if any((other.verdict, other.emotion) != (first.verdict, first.emotion) for other in others):
            reason = f"{1 + len(others)} rows contradict each other; keep one of them"
            refused.append(RefusedVerdict(row=first.subject, reason=reason))
            continue
        accepted.append(first)
        refused += [RefusedVerdict(row=other.subject, reason="duplicate: the first row counts") for other in others]
    return accepted, refused


def _existing(
    workspace: Workspace, source: str, verdicts: Sequence[Verdict], record: AuditRecord | None
) -> tuple[list[Verdict], list[RefusedVerdict]]:
    """Only verdicts on captions that exist and, where it is known what the page showed, that were on it."""
    shown = {} if record is None else {(card.image_id, card.recipe_id, card.attempt): card for card in record.captions}
    known = find_attempts(workspace, source, {verdict.key for verdict in verdicts}, {card.part for card in shown.values()})
    usable, refused = [], []
    for verdict in verdicts:
        reason = None
        if verdict.key not in known:
            reason = f"no such attempt in {workspace.table('captions', source).uri}; import into the workspace that the page was made from"
        elif not known[verdict.key]:
            reason = "this attempt failed and has no caption to judge; remove the row"
        elif record is not None and verdict.key not in shown:
            reason = f"{record.audit_id} did not show this caption; remove the row"
        elif record is not None and shown[verdict.key].emotion != verdict.emotion:
            reason = f"{record.audit_id} showed it for {shown[verdict.key].emotion}, not {verdict.emotion}; export again"
        if reason is None:
            usable.append(verdict)
        else:
            refused.append(RefusedVerdict(row=verdict.subject, reason=reason))
    return usable, refused


def _rows(document: VerdictDocument, verdicts: Sequence[Verdict]) -> pl.DataFrame:
    common = {"audit_id": document.audit_id, "reviewer": document.reviewer, "exported_at": document.exported_at}
    rows = [verdict.model_dump() | common for verdict in verdicts]
    empty = CaptionReviews.create_empty()
    return pl.DataFrame(rows, schema=empty.schema).select(empty.columns).sort(ATTEMPT_KEY)
