"""The current caption of a picture, the latest successful attempt of one caption recipe, with its stored similarity."""

import polars as pl

from coemogen_core.data.workspace import Workspace

_ATTEMPT = ["image_id", "attempt", "caption", "emotion_prior"]


def chunks_by_part(workspace: Workspace, source: str, caption_recipe_id: str) -> dict[str, list[str]]:
    """Names of the caption chunks of one recipe in order of writing, by image part: `<image part>.<recipe>.<sequence>`."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in workspace.table("captions", source).parts():
        image_part, recipe, sequence = name.rsplit(".", 2)
        if recipe == caption_recipe_id:
            found.setdefault(image_part, []).append((int(sequence), name))
    return {part: [name for _, name in sorted(chunks)] for part, chunks in found.items()}


def current_captions(workspace: Workspace, source: str, chunks: list[str], encoder_id: str) -> pl.DataFrame:
    """Current caption of each picture that has one in these chunks.

    Returns:
        Columns `image_id` (unique, sorted), `caption`, `emotion_prior` (nullable), `similarity` (null: the picture has no embedding).

    Raises:
        FileNotFoundError: a chunk has not been aligned with this encoder.
    """
    empty = pl.DataFrame(schema={"image_id": pl.String, "caption": pl.String, "emotion_prior": pl.String, "similarity": pl.Float32})
    frames = [_aligned_chunk(workspace, source, chunk, encoder_id) for chunk in chunks]
    if not frames:
        return empty
    attempts = pl.concat(frames).sort("image_id", "attempt", maintain_order=True)
    return attempts.unique("image_id", keep="last", maintain_order=True).select(empty.columns)


def _aligned_chunk(workspace: Workspace, source: str, chunk: str, encoder_id: str) -> pl.DataFrame:
    alignment = workspace.table("alignment", source, encoder_id)
    if not alignment.has_part(chunk):
        raise FileNotFoundError(f"no part {chunk} in {alignment.uri}: align the captions of source {source!r} with this encoder first")
    attempts = workspace.table("captions", source).read_part(chunk, _ATTEMPT).filter(pl.col("caption").is_not_null())
    return attempts.join(alignment.read_part(chunk, ["image_id", "similarity"]), on="image_id", how="left", maintain_order="left")
