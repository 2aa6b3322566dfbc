"""Verdicts in the workspace: `caption_reviews/<source>`, a part an imported file. Nothing is overwritten; readers take the latest."""

from collections.abc import Collection, Iterable, Mapping, Sequence

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


def find_attempts(workspace: Workspace, source: str, wanted: Collection[Key], likely_parts: Collection[str] = ()) -> dict[Key, str | None]:
    """Look attempts up in `captions/<source>`; only chunks of their recipes are opened, and none after the last was found.

    Args:
        wanted: image id, recipe id and number of each attempt.
        likely_parts: image parts to look into first.

    Returns:
        The captions of attempts that exist; None where one failed. Where several parts hold one of this name, that of the first counts.

    Raises:
        FileNotFoundError: the source has no captions at all.
    """
    if not workspace.exists("captions", source):
        raise FileNotFoundError(
            f"no captions of source {source!r} in {workspace.uri}: give the workspace that the audit page was made from"
        )
    captions, found = workspace.table("captions", source), dict[Key, str | None]()
    parts = [*sorted(likely_parts), *(part for part in workspace.table("images", source).parts() if part not in likely_parts)]
    for asked in sorted({asked for _, asked, _ in wanted}):
        keys = {key for key in wanted if key[1] == asked}
        images = list({image_id for image_id, _, _ in keys})
        for chunk in (chunk for part in parts for chunk in chunk_names(workspace, source, part, asked)):
            rows = captions.read_part(chunk, ["image_id", "attempt", "caption"]).filter(pl.col("image_id").is_in(images))
            attempts = (((image_id, asked, attempt), caption) for image_id, attempt, caption in rows.iter_rows())
            found = {key: caption for key, caption in attempts if key in keys} | found
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
    captions, usable, unknown = _existing(workspace, source, accepted, record)
    rows = _rows(document, usable, captions)
    said = rows.drop("caption").rows()  # which is the tables' and not the file's
    part = f"{document.audit_id}.{recipe_id('reviews', {'rows': said}).removeprefix('reviews-')}" if usable else None
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

    A verdict follows its picture into other parts and sources. It counts for the text that was judged, whatever number its attempt has
    there: sources captioned at the same time may give one number to different attempts. And it counts for the caption that answers to the
    emotion it was given for; one without a prior answers to every emotion, and the last verdict of all counts for it: rows with a null
    prior. Verdicts of older parts tell no text: they count for the number.
    """
    reviews = [rows for source in workspace.list_folders("caption_reviews") for rows in _verdicts(workspace, source)]
    if not reviews:
        return CaptionReviews.create_empty().rename({"emotion": "emotion_prior"}).select(REJECTED)
    every = pl.concat(reviews)
    of_text = every.drop_nulls("caption")
    of_number = every.filter(pl.col("caption").is_null()).join(of_text, on=[*ATTEMPT_KEY, "emotion"], how="anti")
    counting = pl.concat([of_text.with_columns(attempt=pl.lit(None, pl.Int32)), of_number]).rename({"emotion": "emotion_prior"})
    counting = pl.concat([counting, counting.with_columns(emotion_prior=pl.lit(None, pl.String))])
    last = counting.sort("exported_at", "part", "attempt", maintain_order=True).unique(REJECTED, keep="last", maintain_order=True)
    return last.filter(pl.col("verdict") == "reject").select(REJECTED).sort(REJECTED)


def _verdicts(workspace: Workspace, source: str, audit_id: str | None = None) -> list[pl.DataFrame]:
    """Imported files, with their names in the column `part`."""
    table = workspace.table("caption_reviews", source)
    names = [name for name in table.parts() if audit_id is None or name.startswith(f"{audit_id}.")]
    rows = [pl.concat([CaptionReviews.create_empty(), table.read_part(name)], how="diagonal") for name in names]  # older ones lack columns
    return [verdicts.with_columns(part=pl.lit(name)) for name, verdicts in zip(names, rows, strict=True)]


def _latest(reviews: list[pl.DataFrame]) -> pl.DataFrame:
    if not reviews:
        return CaptionReviews.create_empty()
    ordered = pl.concat(reviews).sort(*ATTEMPT_KEY, "exported_at", "part")
    return ordered.unique(ATTEMPT_KEY, keep="last", maintain_order=True).select(CaptionReviews.column_names())


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
) -> tuple[dict[Key, str | None], list[Verdict], list[RefusedVerdict]]:
    """The captions, and only verdicts on such as exist and, where it is known what the page showed, were on it."""
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
    return known, usable, refused


def _rows(document: VerdictDocument, verdicts: Sequence[Verdict], captions: Mapping[Key, str | None]) -> pl.DataFrame:
    common = {"audit_id": document.audit_id, "reviewer": document.reviewer, "exported_at": document.exported_at}
    rows = [verdict.model_dump() | common | {"caption": captions[verdict.key]} for verdict in verdicts]
    empty = CaptionReviews.create_empty()
    return pl.DataFrame(rows, schema=empty.schema).select(empty.columns).sort(ATTEMPT_KEY)
