"""What nothing refers to any more: found in a listing of the workspace, weighed, and removed on request.

Rows of pictures that left a source, of earlier cuts, of encoders and versions that nobody uses stay findable until somebody removes them
here; nothing else ever does. Never listed: the parts of present plans, all that a current or published version names, runs with their
models and pictures, verdicts of people, what no stage has written, and what was written, or is of a version that was used, within the
chosen number of days, since a run may be about to use it.

Cost at 100 million pictures in 100,000 parts: a listing of some millions of names, about 1 GB of memory and, in a bucket, a request for
every 1,000 of them.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain

from coemogen_core.curation.decisions import RECIPE, beside_decisions
from coemogen_core.data.part_plan import read_cuts, remove_cut
from coemogen_core.storage.listing import StoredFile, files_below, written_since
from coemogen_core.storage.location import resolve
from coemogen_core.storage.workspace import Workspace
from coemogen_core.upkeep.names import read_name
from coemogen_core.upkeep.references import References, find_references

DAY_S = 86_400.0
LISTS = "pictures"
OF_PICTURES = ("images", "rejected")
TABLES = (*OF_PICTURES, "pictures", "embeddings", "emotion_scores", "captions", "alignment", "evaluation", "near_duplicates")
OF_VERSIONS = ("decisions", "features")
NO_PLAN = "parts that are in no plan and no kept version"
JOURNALS = "journals of parts that are in no plan and no kept version"
NO_ENCODER = "no kept version names the encoder"
NO_CLASSIFIER = "no kept version names the classifier"
NO_GROUPS = "no kept version names the groups"
NO_VERSION = "the version is neither current nor published"
HALF_PUBLISHED = "its publication was broken off"
_MADE_BY = {"encoder": NO_ENCODER, "classifier": NO_CLASSIFIER, "groups": NO_GROUPS}


@dataclass
class Unreferenced:
    """Files of one table that nothing refers to, for one reason."""

    table: str
    why: str
    bytes: int = 0
    paths: list[str] = field(default_factory=list)
    record: tuple[str, ...] = ()
    """Where the record of its version lies, for files of a version."""
    oldest: float = 0.0
    """Seconds since 1970; what was used later was not listed."""

    @property
    def files(self) -> int:
        """Number of files."""
        return len(self.paths)


@dataclass(frozen=True)
class OldCut:
    """A plan of a source for a part size that nobody has planned with lately; its own parts count as unreferenced once it is forgotten."""

    source: str
    part_size: int
    days: float


def find_unreferenced(workspace: Workspace, older_than_days: float = 7.0) -> list[Unreferenced]:
    """What could be removed, by table and reason, heaviest first.

    Args:
        older_than_days: only files that were written longer ago, and of a version those of which no run has used it since.
    """
    oldest = time.time() - older_than_days * DAY_S
    references = find_references(workspace, used_since=oldest)
    found: dict[tuple[str, str], Unreferenced] = {}
    for table, why, said, file in chain(_in_tables(workspace, references, oldest), _half_published(workspace, references, oldest)):
        place = f"{table}/{said['place']}"
        if (place, why) not in found:
            record = beside_decisions(said["dataset"], said["version"], RECIPE) if "version" in said else ()
            found[place, why] = Unreferenced(place, why, record=record, oldest=oldest)
        found[place, why].bytes += file.bytes
        found[place, why].paths.append(file.path)
    return sorted(found.values(), key=lambda each: (-each.bytes, each.table, each.why))


def find_old_cuts(workspace: Workspace, older_than_days: float = 7.0) -> list[OldCut]:
    """Plans for part sizes other than the one that was planned last, not planned with for so many days."""
    found = []
    for source in workspace.list_folders("images"):
        cuts = sorted(read_cuts(workspace, source).values(), key=lambda cut: cut.planned_at)
        ages = [(cut.part_size, (time.time() - cut.planned_at) / DAY_S) for cut in cuts[:-1]]
        found += [OldCut(source, part_size, days) for part_size, days in ages if days > older_than_days]
    return found


def remove_unreferenced(workspace: Workspace, unreferenced: Sequence[Unreferenced]) -> list[Unreferenced]:
    """Remove these files, lists of pictures last: what was not removed yet, because somebody stopped this, is listed again.

    Left alone are versions that a run has come back to since. What is gone already, because somebody else removes it too, is passed by.

    Returns:
        What was removed.
    """
    filesystem, _ = resolve(workspace.uri)
    removed = []
    for each in sorted(unreferenced, key=lambda each: each.table.startswith(f"{LISTS}/")):
        if each.record and written_since(workspace, each.oldest, *each.record):
            continue
        for path in each.paths:
            with suppress(FileNotFoundError):
                filesystem.rm_file(path)
        removed.append(each)
    return removed


def forget_cuts(workspace: Workspace, cuts: Sequence[OldCut]) -> None:
    """Forget plans; the parts that they alone have are unreferenced from then on."""
    for cut in cuts:
        remove_cut(workspace, cut.source, cut.part_size)


_Found = tuple[str, str, dict[str, str], StoredFile]
"""Table, why nothing refers to a file of it, what its name says, and the file."""


def _in_tables(workspace: Workspace, references: References, oldest: float) -> Iterator[_Found]:
    """Of all tables but the published ones, older files that nothing refers to."""
    young = set[tuple[str, str]]()  # parts that nothing refers to, of which something is left alone
    for table in sorted((*TABLES, *OF_VERSIONS), key=lambda table: table == LISTS):
        for file in files_below(workspace, table):
            kind = "journals" if table == "captions" and file.name.endswith(".journal") else table
            said = read_name(kind, file.name)
            why = None if said is None else _why(references, kind, said)
            if said is None or why is None:
                continue
            place = said.get("source", ""), said.get("part", "")
            if file.written >= oldest:
                young.add(place)
            elif table != LISTS or place not in young:  # as long as rows stand under its name, one must know what they are of
                yield table, why, said, file


def _why(references: References, kind: str, said: dict[str, str]) -> str | None:
    """Why nothing refers to a file, given what its name says (`names.read_name`); None where something may."""
    if kind in OF_VERSIONS:
        return None if _is_used(references, said) else NO_VERSION
    source = said["source"]
    if source not in references.planned:
        return None
    if kind in OF_PICTURES:
        return None if said["part"] in references.planned[source] else NO_PLAN
    if "part" in said and not references.has_part(source, said["part"]):
        return JOURNALS if kind == "journals" else NO_PLAN
    return next((why for maker, why in _MADE_BY.items() if maker in said and not references.has(maker, source, said[maker])), None)


def _half_published(workspace: Workspace, references: References, oldest: float) -> Iterator[_Found]:
    """The files of publications without a manifest, to which nothing was added lately."""
    publications = defaultdict[str, list[tuple[dict[str, str], StoredFile]]](list)
    for file in files_below(workspace, "curated"):
        said = read_name("curated", file.name)
        if said is not None:
            publications[said["place"]].append((said, file))
    for files in publications.values():
        if not any("manifest" in said or _is_used(references, said) or file.written >= oldest for said, file in files):
            yield from (("curated", HALF_PUBLISHED, said, file) for said, file in files)


def _is_used(references: References, said: dict[str, str]) -> bool:
    return said["dataset"] not in references.versions or said["version"] in references.versions[said["dataset"]]
