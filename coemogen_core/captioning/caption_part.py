"""Caption one part: pictures out of the images table, attempts into the captions table, durable every 100 captions."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from coemogen_core.captioning.attempts import HISTORY_COLUMNS, attempts_of, chunk_name, chunk_names, due_now, read_attempts
from coemogen_core.captioning.backend import CaptionAnswer, CaptionRequest, open_backend
from coemogen_core.captioning.caption_text import clean_caption, lint_caption
from coemogen_core.captioning.failure import failure
from coemogen_core.captioning.prompt import Prompt, load_prompt
from coemogen_core.captioning.recipe import CaptionRecipe, LocalSettings, ServerSettings
from coemogen_core.data.workspace import Workspace
from schemas.outcomes import PartOutcome
from schemas.tables import Captions

ROWS_PER_CHUNK = 100


def caption_part(
    workspace: Workspace,
    source: str,
    part: str,
    wanted: pl.DataFrame,
    recipe: CaptionRecipe,
    settings: LocalSettings | ServerSettings,
) -> PartOutcome:
    """Caption the wanted pictures of one part, one round of attempts (`attempts.due_now`).

    Args:
        workspace: where `images/<source>/<part>` lies and `captions/<source>/<part>.<recipe id>.<sequence>` goes.
        source: name of the source.
        part: name of the image part.
        wanted: columns `image_id, emotion`, all of this part; the emotion is the prior, and may be null for a plain prompt.
        recipe: what decides the captions.
        settings: which captioner, and how hard to drive it.

    Returns:
        rows = wanted pictures that have a caption, dropped = those that have none; reused when nothing was left to do, and then
        no model was loaded and no server asked.

    Raises:
        ValueError: a wanted picture is not in the part, stands there twice, or has no emotion where the prompt needs one.
        EndpointError: the captioning server cannot be used; finished chunks are kept.
    """
    started = time.perf_counter()
    table = _Captioning(workspace, source, part, recipe, settings)
    ordered = table.in_part_order(wanted)
    due = due_now(table.history(ordered), settings.max_attempts)
    if not due.is_empty():
        table.caption(due)
    captioned = int(table.history(ordered)["captioned"].sum())
    return PartOutcome(
        part=part,
        rows=captioned,
        dropped=ordered.height - captioned,
        reused=due.is_empty(),
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True)
class _Captioning:
    """The tables that one call of `caption_part` works on."""

    workspace: Workspace
    source: str
    part: str
    recipe: CaptionRecipe
    settings: LocalSettings | ServerSettings

    @property
    def recipe_id(self) -> str:
        return self.recipe.recipe_id(self.settings.backend)

    @property
    def prompt(self) -> Prompt:
        return load_prompt(self.recipe.prompt_id)

    def in_part_order(self, wanted: pl.DataFrame) -> pl.DataFrame:
        """`image_id, emotion_prior` of the wanted pictures in the order of the part, whatever order the selection came in."""
        uses_prior = self.prompt.prior is not None
        prior = pl.col("emotion").cast(pl.String) if uses_prior else pl.lit(None, pl.String)
        asked = wanted.select("image_id", emotion_prior=prior)
        images = self.workspace.table("images", self.source)
        ordered = images.read_part(self.part, ["image_id"]).join(asked, on="image_id", how="inner", maintain_order="left_right")
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

    def history(self, ordered: pl.DataFrame) -> pl.DataFrame:
        attempts = read_attempts(self.workspace, self.source, self.part, self.recipe_id, HISTORY_COLUMNS)
        return attempts_of(ordered, attempts, self.recipe)

    def caption(self, due: pl.DataFrame) -> None:
        """Ask for all due captions and write chunk after chunk.

        A chunk is a fixed stretch of the due rows, and batches lie within chunks: so the composition of a batch, and with it the
        last bit of an answer, is the same whether or not a run was interrupted.
        """
        captions = self.workspace.table("captions", self.source)
        sequence = len(chunk_names(self.workspace, self.source, self.part, self.recipe_id))
        model = self.recipe.model_identity(self.settings.backend)
        stretches = due.iter_slices(ROWS_PER_CHUNK)
        for answers in open_backend(self.recipe, self.settings).answer(self._chunks(due)):
            rows = self._rows(next(stretches), answers, model)
            captions.write_part(chunk_name(self.part, self.recipe_id, sequence), rows, Captions)
            sequence += 1

    def _chunks(self, due: pl.DataFrame) -> Iterator[list[CaptionRequest]]:
        """Requests with their pictures, at most `ROWS_PER_CHUNK` at a time, in the order of the due rows (that of the part)."""
        pending: list[CaptionRequest] = []
        asked = {image_id: (prior, attempt) for image_id, prior, attempt in due.iter_rows()}
        images = self.workspace.table("images", self.source)
        for batch in images.iter_part(self.part, ["image_id", "image"]):
            for image_id, image in batch.filter(pl.col("image_id").is_in(list(asked))).iter_rows():
                pending.append(self._request(image_id, image["bytes"], *asked[image_id]))
                if len(pending) == ROWS_PER_CHUNK:
                    yield pending
                    pending = []
        if pending:
            yield pending

    def _request(self, image_id: str, image: bytes, prior: str | None, attempt: int) -> CaptionRequest:
        fixed, emotional = self.prompt.parts(prior)  # type: ignore[arg-type]  # the table's check allows the eight emotions only
        before, after = ("", " ".join(text for text in (fixed, emotional) if text)) if self.recipe.image_first else (fixed, emotional)
        digest = hashlib.sha256(f"{self.recipe.seed}/{image_id}/{attempt}".encode()).digest()
        return CaptionRequest(image_id, image, before, after, seed=int.from_bytes(digest[:4], "big") >> 1)

    def _rows(self, due: pl.DataFrame, answers: list[CaptionAnswer], model: str) -> pl.DataFrame:
        judged = [self._judge(answer) for answer in answers]
        answered = pl.DataFrame(
            [
                (answer.image_id, caption, answer.prompt_tokens, answer.completion_tokens, answer.latency_s, answer.finish_reason, error)
                for answer, (caption, error) in zip(answers, judged, strict=True)
            ],
            schema={
                "image_id": pl.String,
                "caption": pl.String,
                "prompt_tokens": pl.Int32,
                "completion_tokens": pl.Int32,
                "latency_s": pl.Float32,
                "finish_reason": pl.String,
                "error": pl.String,
            },
            orient="row",
        )
        constants = {"recipe_id": self.recipe_id, "prompt_id": self.recipe.prompt_id, "model": model}
        rows = due.join(answered, on="image_id", how="left", validate="1:1", maintain_order="left")
        return rows.with_columns(pl.lit(value).alias(name) for name, value in constants.items())

    def _judge(self, answer: CaptionAnswer) -> tuple[str | None, str | None]:
        """Caption or error of an answer: an answer that a lint turns down is a failed attempt."""
        if answer.error is not None or answer.text is None:
            return None, answer.error or failure("server", "neither an answer nor an error")
        caption = clean_caption(answer.text)
        reason = lint_caption(caption, self.prompt.max_sentences)
        return (None, failure("rejected", reason)) if reason else (caption, None)
