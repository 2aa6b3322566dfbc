"""Caption one part: pictures out of the images table, attempts into the captions table.

Chunks of up to 500 attempts become part of the table; until its chunk is written, each answer of a server stands in the part's journal.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice

import polars as pl

from coemogen_core.captioning.added_attempts import NUMBERED, WRITING, add_chunk, not_standing
from coemogen_core.captioning.attempts import (
    HISTORY_COLUMNS,
    ROWS_PER_FILE,
    attempts_of,
    chunk_names,
    due_now,
    free_sequences,
    read_attempts,
    read_chunks,
    write_recipe_record,
)
from coemogen_core.captioning.backend import CaptionAnswer, CaptionBackend, CaptionRequest, Chunk, FailureKind, is_the_servers
from coemogen_core.captioning.carried_attempts import carry_attempts
from coemogen_core.captioning.journal import Asked, Journal, journal_path, part_lock
from coemogen_core.captioning.judge import JudgedAnswer, judge_answer
from coemogen_core.captioning.known_answers import known_answers
from coemogen_core.captioning.prompt import Prompt, form_instruction, load_prompt
from coemogen_core.captioning.recipe import CaptionRecipe, LocalSettings, ServerSettings
from coemogen_core.device import Slot, give_back_heap
from coemogen_core.storage.local_files import local_folder
from coemogen_core.storage.workspace import Workspace
from schemas.outcomes import PartOutcome
from schemas.tables import Captions

REQUESTS_AT_ONCE = 100
"""How many requests a backend is given together; a local model's answers are durable when so many are done."""
ANSWER_COLUMNS = {
    name: Captions.create_empty().schema[name]
    for name in ("caption", "fields", "error", "prompt_tokens", "completion_tokens", "asked_at", "latency_s", "finish_reason")
}


def caption_part(
    workspace: Workspace,
    source: str,
    part: str,
    wanted: pl.DataFrame,
    recipe: CaptionRecipe,
    settings: LocalSettings | ServerSettings,
    stop_at: float | None = None,
    *,
    slot: Slot = nullcontext,
) -> PartOutcome:
    """Caption the wanted pictures of one part, one round of attempts (`attempts.due_now`). One run at a time does a part.

    What was asked about these pictures in other parts and sources is taken over first (`carry_attempts`).

    Args:
        wanted: columns `image_id, emotion`, all of this part; the emotion is the prior, and may be null for a plain prompt. With a
            column `after_attempt`, only attempts with larger numbers count: so a recipe can caption a picture anew.
        stop_at: time (seconds since 1970) from which nothing more is asked; what was asked is waited for.
        slot: of the captioner, a server or a model in this process; entered to ask, when something is due.

    Returns:
        rows = wanted pictures that have a caption, dropped = those that have none; reused when nothing was left to do, and then
        no model was loaded and no server asked.

    Raises:
        ValueError: a wanted picture is not in the part, stands there twice, or has no emotion where the prompt needs one.
        EndpointError: the captioning server cannot be used; what was answered is kept.
    """
    started = time.perf_counter()
    table = _Captioning(workspace, source, part, recipe, settings, stop_at)
    ordered = table.in_part_order(wanted)
    chunks = table.chunks()
    done, new = table.history(ordered, chunks), set[str]()
    idle = not table.is_due(done)
    if not idle and table.carry(done):
        chunks = table.chunks()
        done = table.history(ordered, chunks)
        idle = not table.is_due(done)
    if not idle:
        with part_lock(table.uri, part, table.recipe_id) as locked:
            if locked:  # another run may have done it meanwhile
                chunks = table.chunks()
                done = table.history(ordered, chunks)
            due = due_now(done, settings.max_attempts)
            idle = due.is_empty()
            if not idle:
                with slot():
                    new = table.caption(due, chunks)
        give_back_heap()
    captioned = len(new.union(done.filter("captioned")["image_id"]))
    return PartOutcome(part=part, rows=captioned, dropped=ordered.height - captioned, reused=idle, seconds=time.perf_counter() - started)


def has_due(
    workspace: Workspace, source: str, part: str, wanted: pl.DataFrame, recipe: CaptionRecipe, settings: LocalSettings | ServerSettings
) -> bool:
    """Whether `caption_part` with these arguments would ask for anything; takes over attempts like it. Raises like it."""
    table = _Captioning(workspace, source, part, recipe, settings, None)
    ordered = table.in_part_order(wanted)
    done = table.history(ordered, table.chunks())
    if not table.is_due(done):
        return False
    return not table.carry(done) or table.is_due(table.history(ordered, table.chunks()))


@dataclass(frozen=True)
class _Captioning:
    """The tables that one call of `caption_part` works on."""

    workspace: Workspace
    source: str
    part: str
    recipe: CaptionRecipe
    settings: LocalSettings | ServerSettings
    stop_at: float | None

    @property
    def uri(self) -> str:
        return self.workspace.table("captions", self.source).uri

    @cached_property
    def recipe_id(self) -> str:
        return self.recipe.recipe_id(self.settings.backend)

    @property
    def prompt(self) -> Prompt:
        return load_prompt(self.recipe.prompt_id)

    def in_part_order(self, wanted: pl.DataFrame) -> pl.DataFrame:
        """`image_id, emotion_prior, after_attempt` of the wanted pictures, in the order of the part."""
        uses_prior = self.prompt.prior is not None
        prior = pl.col("emotion").cast(pl.String) if uses_prior else pl.lit(None, pl.String)
        after = pl.col("after_attempt") if "after_attempt" in wanted.columns else pl.lit(0)
        asked = wanted.select("image_id", emotion_prior=prior, after_attempt=after.cast(pl.Int32))
        images = self.workspace.table("images", self.source)
        ordered = self.image_ids.join(asked, on="image_id", how="inner", maintain_order="left_right")
        if ordered.height != wanted.height or ordered["image_id"].is_duplicated().any():
            raise ValueError(
                f"the selection for part {self.part} of {images.uri} names {wanted.height} pictures, {ordered['image_id'].n_unique()} "
                "different ones of them are in the part: select from this part, each picture once"
            )
        if uses_prior and ordered["emotion_prior"].has_nulls():
            raise ValueError(
                f"{ordered['emotion_prior'].null_count()} selected pictures of part {self.part} of {images.uri} have no emotion, but "
                f"prompt {self.recipe.prompt_id} gives it as a prior: leave them out or use a plain prompt"
            )
        return ordered

    @cached_property
    def image_ids(self) -> pl.DataFrame:
        """`image_id` of every picture of the part, in its order."""
        return self.workspace.table("images", self.source).read_part(self.part, ["image_id"])

    def carry(self, history: pl.DataFrame) -> int:
        due = history.filter(~pl.col("final")).select("image_id", "emotion_prior")
        return carry_attempts(self.workspace, self.source, self.part, self.image_ids["image_id"], self.recipe_id, due)

    def is_due(self, history: pl.DataFrame) -> bool:
        return not due_now(history, self.settings.max_attempts).is_empty()

    def chunks(self) -> list[str]:
        return chunk_names(self.workspace, self.source, self.part, self.recipe_id)

    def history(self, ordered: pl.DataFrame, chunks: list[str]) -> pl.DataFrame:
        attempts = read_chunks(self.workspace, self.source, chunks, HISTORY_COLUMNS)
        return attempts_of(ordered, attempts, self.recipe)

    def caption(self, due: pl.DataFrame, chunks: list[str]) -> set[str]:
        """Ask for all due captions and write chunk after chunk, as they are done; returns the pictures that have got one.

        A chunk of the table is a fixed stretch of the due rows, and batches lie within chunks: so the composition of a batch, and with it
        the last bit of an answer, is the same whether or not a run was interrupted. Chunks that a killed run left out come first, and get
        the numbers that they would have had.
        """
        write_recipe_record(self.workspace, self.source, self.recipe, self.settings.backend)  # what the recipe id stands for, in words
        backend = open_backend(self.recipe, self.settings)
        journal = Journal(journal_path(self.uri, self.part, self.recipe_id))
        known: dict[Asked, CaptionAnswer] = {}
        if backend.remembers:  # what a server failed at, an answer that only looks like one included, is asked anew by whoever goes on
            known = known_answers(
                self.workspace, self.source, self.part, self.recipe_id, due, lambda answer: not self._servers_fault(answer)
            )
        asked = {image_id: (prior, attempt) for image_id, prior, attempt in due.iter_rows()}

        def remember(fresh: list[CaptionAnswer]) -> None:
            if backend.remembers:
                journal.append((answer, *asked[answer.image_id]) for answer in fresh)

        rows_per_chunk = ROWS_PER_FILE if backend.remembers and local_folder(self.uri) else REQUESTS_AT_ONCE
        numbers, captioned = free_sequences(chunks), set[str]()
        stretches = dict(zip(numbers, due.iter_slices(rows_per_chunk), strict=False))
        answers = {sequence: [known[row] for row in stretch.iter_rows() if row in known] for sequence, stretch in stretches.items()}
        try:
            for chunk, more in backend.answer(self._chunks(stretches, known), remember):
                answers[chunk.sequence] += more
                if len(answers[chunk.sequence]) == stretches[chunk.sequence].height:
                    rows = self._rows(stretches.pop(chunk.sequence), answers.pop(chunk.sequence))
                    self._write(chunk.sequence, rows)
                    captioned |= set(rows.drop_nulls("caption")["image_id"])
        except BaseException:
            journal.close()
            raise
        if stretches:  # stopped by the clock: what was answered of an unfinished chunk waits in the journal
            journal.close()
        else:
            journal.remove()
        return captioned

    def _chunks(self, stretches: dict[int, pl.DataFrame], known: dict[Asked, CaptionAnswer]) -> Iterator[Chunk]:
        """Requests with their pictures, in the order of the part; pictures whose answers are known are not asked again."""
        images = self.workspace.table("images", self.source)
        rows = {row[0]: row for stretch in stretches.values() for row in stretch.iter_rows()}
        asked = {image_id for image_id, row in rows.items() if row not in known}
        pictures = images.iter_pictures(self.part, asked)
        for sequence, stretch in list(stretches.items()):
            wanted = [image_id for image_id in stretch["image_id"] if image_id in asked]
            for start in range(0, max(1, len(wanted)), REQUESTS_AT_ONCE):
                if self.stop_at is not None and time.time() >= self.stop_at:
                    return
                members = wanted[start : start + REQUESTS_AT_ONCE]
                yield Chunk(sequence, [self._request(image, *rows[image_id]) for image_id, image in islice(pictures, len(members))])

    def _write(self, sequence: int, rows: pl.DataFrame) -> None:
        """Write a chunk, beside what another run, of any recipe, took over meanwhile."""
        with part_lock(self.uri, self.part, WRITING) as locked:
            if locked:
                rows = not_standing(rows, read_attempts(self.workspace, self.source, self.part, self.recipe_id, NUMBERED))
            add_chunk(self.workspace, self.source, self.part, self.recipe_id, rows, sequence)

    def _request(self, image: bytes, image_id: str, prior: str | None, attempt: int) -> CaptionRequest:
        fixed, emotional = self.prompt.parts(prior)  # type: ignore[arg-type]  # the table's check allows the eight emotions only
        fixed = " ".join(text for text in (fixed, form_instruction(self.recipe.answer)) if text)
        before, after = ("", " ".join(text for text in (fixed, emotional) if text)) if self.recipe.image_first else (fixed, emotional)
        digest = hashlib.sha256(f"{self.recipe.seed}/{image_id}/{attempt}".encode()).digest()
        return CaptionRequest(image_id, image, before, after, seed=int.from_bytes(digest[:4], "big") >> 1)

    def _rows(self, due: pl.DataFrame, answers: list[CaptionAnswer]) -> pl.DataFrame:
        model = self.recipe.model_identity(self.settings.backend)
        constants = {"recipe_id": self.recipe_id, "prompt_id": self.recipe.prompt_id, "model": model}
        judged = [{"image_id": answer.image_id, **self._judged(answer)} for answer in answers]
        answered = pl.DataFrame(judged, schema={"image_id": pl.String, **ANSWER_COLUMNS})
        rows = due.join(answered, on="image_id", how="left", validate="1:1", maintain_order="left")
        return rows.with_columns(pl.lit(value).alias(name) for name, value in constants.items())

    def _verdict(self, answer: CaptionAnswer) -> JudgedAnswer:
        of_the_form: FailureKind = "rejected" if self.settings.backend == "local" else "malformed"
        return judge_answer(answer, self.recipe.answer, self.prompt.max_sentences, self.recipe.max_new_tokens, of_the_form)

    def _servers_fault(self, answer: CaptionAnswer) -> bool:
        error = self._verdict(answer).error
        return error is not None and is_the_servers(error)

    def _judged(self, answer: CaptionAnswer) -> dict[str, object]:
        """The columns of an answer."""
        verdict = self._verdict(answer)
        return {
            "caption": verdict.caption,
            "fields": verdict.fields.model_dump() if verdict.fields else None,
            "error": verdict.error,
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "asked_at": datetime.fromtimestamp(answer.asked_at, UTC),
            "latency_s": answer.latency_s,
            "finish_reason": answer.finish_reason,
        }


def open_backend(recipe: CaptionRecipe, settings: LocalSettings | ServerSettings) -> CaptionBackend:
    """The captioner that the settings ask for. A local model is loaded once per process."""
    # Imported here: one of the two needs torch and seconds, the other neither.
    if isinstance(settings, LocalSettings):
        from coemogen_core.captioning.local_backend import LocalBackend

        return LocalBackend(recipe, settings)
    from coemogen_core.captioning.server.backend import ServerBackend

    return ServerBackend(recipe, settings)
