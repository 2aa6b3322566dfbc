"""What nothing refers to any more: found in a listing of the workspace, weighed, and removed on request.

Rows of pictures that left a source, of earlier cuts, of encoders and versions that nobody uses stay findable until somebody removes them
here; nothing else ever does. Never listed: the parts of present plans, all that a current or published version names, runs with their
models and pictures, verdicts of people, and what is younger than the chosen number of days, since a run may be about to use it.

Cost at 100 million pictures in 100,000 parts: a listing of some millions of names, about 1 GB of memory and, in a bucket, a request for
every 1,000 of them.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from coemogen_core.curation.decisions import RECIPE
from coemogen_core.curation.funnel import FUNNEL
from coemogen_core.data.part_plan import read_cuts, remove_cut
from coemogen_core.storage.file_times import written_at
from coemogen_core.storage.location import resolve
from coemogen_core.storage.workspace import Workspace
from coemogen_core.upkeep.references import References, find_references

DAY_S = 86_400.0
OF_PARTS = ("pictures", "embeddings", "emotion_scores", "captions", "alignment", "evaluation")
NO_PLAN = "parts that are in no plan and no kept version"
NO_ENCODER = "no kept version names the encoder"
NO_CLASSIFIER = "no kept version names the classifier"
NO_VERSION = "the version is neither current nor published"


@dataclass
class Unreferenced:
    """Files of one table that nothing refers to, for one reason."""

    table: str
    why: str
    bytes: int = 0
    paths: list[str] = field(default_factory=list)

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
        older_than_days: of a table's files, only those that were written longer ago.
    """
    references, oldest = find_references(workspace), time.time() - older_than_days * DAY_S
    found: dict[tuple[str, str], Unreferenced] = {}
    for table in ("images", "rejected", *OF_PARTS, "decisions", "features"):
        for names, path, size in _files(workspace, table, oldest):
            reason = _why(references, table, names)
            if reason is not None:
                place = "/".join([table, *names[: _DEPTH.get(table, 1)]]).removesuffix(f".{RECIPE}").removesuffix(f".{FUNNEL}")
                each = found.setdefault((place, reason), Unreferenced(place, reason))
                each.bytes += size
                each.paths.append(path)
    return sorted(found.values(), key=lambda each: (-each.bytes, each.table, each.why))


def find_old_cuts(workspace: Workspace, older_than_days: float = 7.0) -> list[OldCut]:
    """Plans for part sizes other than the one that was planned last, not planned with for so many days."""
    found = []
    for source in workspace.list_folders("images"):
        cuts = sorted(read_cuts(workspace, source).values(), key=lambda cut: cut.planned_at)
        ages = [(cut.part_size, (time.time() - cut.planned_at) / DAY_S) for cut in cuts[:-1]]
        found += [OldCut(source, part_size, days) for part_size, days in ages if days > older_than_days]
    return found


def remove_unreferenced(workspace: Workspace, unreferenced: Sequence[Unreferenced]) -> None:
    """Remove these files, lists of pictures last: what was not removed yet, because somebody stopped this, is listed again."""
    filesystem, _ = resolve(workspace.uri)
    for each in sorted(unreferenced, key=lambda each: each.table.startswith("pictures/")):
        for path in each.paths:
            filesystem.rm_file(path)


def forget_cuts(workspace: Workspace, cuts: Sequence[OldCut]) -> None:
    """Forget plans; the parts that they alone have are unreferenced from then on."""
    for cut in cuts:
        remove_cut(workspace, cut.source, cut.part_size)


_DEPTH = {"pictures": 2, "embeddings": 2, "emotion_scores": 2, "alignment": 2, "decisions": 2, "features": 2}
"""Names that tell what is listed together: source, or source and encoder, dataset and version."""


def _why(references: References, table: str, names: list[str]) -> str | None:
    """Why nothing refers to a file of a table, given by its names below it; None where something may."""
    if table in ("decisions", "features"):
        return _why_not_version(references, table, names)
    if table == "evaluation":  # <features id>/real/<source>-<split>/<part>.safetensors
        source, part = (names[2].rpartition("-")[0], _stem(names[3])) if len(names) == 4 and names[1] == "real" else ("", "")
    elif table == "pictures":  # <decoder>/<source>/<part>.parquet
        source, part = (names[1], _stem(names[2])) if len(names) == 3 and not names[1].startswith("_") else ("", "")
    else:  # <source>/[<encoder>/]<part>[/<chunk>]
        source, part = names[0], _stem(names[{"embeddings": 2, "emotion_scores": 2, "alignment": 2}.get(table, 1) if len(names) > 1 else 0])
    alive = references.planned if table in ("images", "rejected") else references.parts
    if source not in alive or part.startswith("_"):
        return None
    if part not in alive[source]:
        return NO_PLAN
    if table in ("embeddings", "alignment") and names[1] not in references.encoders.get(source, {names[1]}):
        return NO_ENCODER
    if table == "emotion_scores" and names[1] not in references.classifiers.get(source, {names[1]}):
        return NO_CLASSIFIER
    return None


def _why_not_version(references: References, table: str, names: list[str]) -> str | None:
    dataset, rest = names[0], names[1]
    if dataset not in references.versions or rest == "current.json":
        return None
    version = rest.split(".")[1 if table == "features" else 0]  # features/<dataset>/<picture id>.<version>.<splits>
    return None if version in references.versions[dataset] else NO_VERSION


def _files(workspace: Workspace, table: str, oldest: float) -> Iterator[tuple[list[str], str, int]]:
    """Names below the table, path and size of its files that were last written before a moment; hidden ones left out."""
    filesystem, folder = resolve(workspace.path(table))
    if not filesystem.exists(folder):
        return
    for path, info in filesystem.find(folder, detail=True).items():
        names = path.removeprefix(folder).strip("/").split("/")
        if not names[-1].startswith(".") and len(names) > 1 and written_at(info) < oldest:
            yield names, path, int(info["size"] or 0)


def _stem(name: str) -> str:
    return name.partition(".")[0]
