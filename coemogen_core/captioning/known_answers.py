"""Answers that were paid for and are in no table yet: in the part's own journal, and in those that other runs left to its pictures.

A run that was killed leaves a journal under the name of its part. If the source has changed since, its pictures stand in other parts.
"""

from collections.abc import Callable, Iterator

import polars as pl

from coemogen_core.captioning.backend import CaptionAnswer
from coemogen_core.captioning.journal import Asked, Journal, journal_path, may_have_journals
from coemogen_core.data.standing_rows import standing_places
from coemogen_core.storage.workspace import Workspace


def known_answers(
    workspace: Workspace, source: str, part: str, recipe_id: str, due: pl.DataFrame, is_usable: Callable[[CaptionAnswer], bool]
) -> dict[Asked, CaptionAnswer]:
    """Answers to due attempts: of the same picture, prior and number. The part's own journal comes first.

    Opens the journals of parts that the index names for due pictures: files of this machine, of which most parts have none.

    Args:
        due: columns `image_id, emotion_prior, attempt`.
        is_usable: whether an answer may stand; one that may not is asked for anew.
    """
    known: dict[Asked, CaptionAnswer] = {}
    missing: set[Asked] = set(due.iter_rows())
    for place in _places(workspace, source, part, due["image_id"]):
        answers = Journal(journal_path(workspace.table("captions", place[0]).uri, place[1], recipe_id)).read()
        known |= {asked: answers[asked] for asked in missing & answers.keys() if is_usable(answers[asked])}
        missing -= known.keys()
        if not missing:
            break
    return known


def _places(workspace: Workspace, source: str, part: str, image_ids: pl.Series) -> Iterator[tuple[str, str]]:
    yield source, part
    if not may_have_journals(workspace):
        return
    for other, standing, _ in standing_places(workspace, image_ids, but=(source, part)):
        yield other, standing
