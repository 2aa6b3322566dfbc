"""Which of some attempts the captions table really holds. Chunks are scanned one by one, those of the likely image parts first."""

from collections.abc import Collection, Iterator

import polars as pl

from coemogen_core.captioning.attempts import chunk_names
from coemogen_core.data.workspace import Workspace

Key = tuple[str, str, int]


def find_attempts(workspace: Workspace, source: str, wanted: Collection[Key], likely_parts: Collection[str] = ()) -> dict[Key, bool]:
    """Look attempts up in `captions/<source>`; only chunks of their recipes are opened, and none after the last was found.

    Args:
        workspace: holds the captions, and the images whose parts they belong to.
        source: source of the pictures.
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
    found: dict[Key, bool] = {}
    for recipe_id in sorted({recipe_id for _, recipe_id, _ in wanted}):
        keys = {key for key in wanted if key[1] == recipe_id}
        for chunk in _chunks(workspace, source, recipe_id, likely_parts):
            found.update(_found_in(workspace, source, chunk, recipe_id, keys))
            if keys <= found.keys():
                break
    return found


def _chunks(workspace: Workspace, source: str, recipe_id: str, likely_parts: Collection[str]) -> Iterator[str]:
    for part in sorted(likely_parts):
        yield from chunk_names(workspace, source, part, recipe_id)
    for part in workspace.table("images", source).parts():
        if part not in likely_parts:
            yield from chunk_names(workspace, source, part, recipe_id)


def _found_in(workspace: Workspace, source: str, chunk: str, recipe_id: str, keys: Collection[Key]) -> dict[Key, bool]:
    images = list({image_id for image_id, _, _ in keys})
    rows = workspace.table("captions", source).read_part(chunk, ["image_id", "attempt", "error"]).filter(pl.col("image_id").is_in(images))
    attempts = (((image_id, recipe_id, attempt), error is None) for image_id, attempt, error in rows.iter_rows())
    return {key: captioned for key, captioned in attempts if key in keys}
