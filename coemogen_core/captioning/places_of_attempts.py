"""Where a part looks for attempts that were made of its pictures elsewhere: in few places, however often their sources have changed."""

from collections.abc import Iterator, Sequence, Set
from functools import lru_cache

from coemogen_core.data.part_plan import current_parts
from coemogen_core.data.picture_index import open_index
from coemogen_core.data.standing_rows import FRUITLESS
from coemogen_core.storage.workspace import Workspace

Place = tuple[str, str, list[str]]
"""Source, part, and pictures that stand or stood there."""


def places_of_attempts(workspace: Workspace, source: str, places: Sequence[Place], missing: Set[tuple[str, str | None]]) -> Iterator[Place]:
    """Those of these places that are worth a look: the source's own first.

    Of parts that a source has now, all; what was asked in a part that is gone was taken over by its successor, if that asked for anything.
    So those are looked into for pictures that still have no attempt, and no longer when `FRUITLESS` in a row had none.

    Args:
        source: whose part the attempts are wanted for.
        places: from `standing_rows.standing_places`.
        missing: picture and prior of what is due and has no attempt so far; the caller takes out what it finds between two places.
    """
    index = open_index(workspace).name
    ordered = sorted(places, key=lambda place: place[0] != source)
    present = [part in _present(workspace, other, index) for other, part, _ in ordered]
    yield from (place for place, is_present in zip(ordered, present, strict=True) if is_present)
    fruitless = 0
    for place in (place for place, is_present in zip(ordered, present, strict=True) if not is_present):
        before = len(missing)
        if not before or fruitless == FRUITLESS:
            return
        if {image_id for image_id, _ in missing}.intersection(place[2]):
            yield place
            fruitless = fruitless + 1 if len(missing) == before else 0


@lru_cache(maxsize=64)
def _present(workspace: Workspace, source: str, index: str) -> frozenset[str]:  # noqa: ARG001 (looked up anew when the index is another)
    return frozenset(current_parts(workspace, source))
