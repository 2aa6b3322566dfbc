"""The public list files of the refined WikiArt set: which style, genre and artist a painting has.

Each task has `<task>_class.txt` (`12 Impressionism`, a class a line) and `<task>_train.csv`, `<task>_val.csv` (`<Style>/<file>.jpg,12`).
They are found in the source's root or in the folder that holds it.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from coemogen_core.data.source_folder import SourceFolder, safe_relative_path
from coemogen_core.data.source_item import RejectedFile, UnusableItem, printable

TASKS = ("style", "genre", "artist")
LISTS = ("train", "val", "test")

logger = logging.getLogger(__name__)


@dataclass
class WikiArtLists:
    """What the list files say.

    Attributes:
        classes: of every listed painting, by path: task to class name, where the class is known.
        rejected: lines that say nothing usable.
        named_by: list file that names a painting first.
    """

    classes: dict[str, dict[str, str]] = field(default_factory=dict)
    rejected: list[RejectedFile] = field(default_factory=list)
    named_by: dict[str, str] = field(default_factory=dict)


def read_lists(folder: SourceFolder) -> WikiArtLists:
    """The list files of a source; nothing where there are none.

    Raises:
        OSError: a remote store failed; trying again may help.
    """
    lists = WikiArtLists()
    for task in TASKS:
        names = _class_names(folder, task)
        for name in (f"{task}_{part}.csv" for part in LISTS):
            for number, line in enumerate(_lines(folder, name)):
                _read_line(lists, task, names, line, f"{name}#{number}")
    return lists


def _read_line(lists: WikiArtLists, task: str, names: dict[str, str], line: str, where: str) -> None:
    path, _, index = line.rpartition(",")
    try:
        if not index.strip().isdecimal():
            raise UnusableItem("broken list entry", f"{line[:200]!r} is no '<Style>/<file>.jpg,<class number>'; mend the line")
        path = safe_relative_path(path.strip())
        lists.named_by.setdefault(path, where)
        classes = lists.classes.setdefault(path, {})
        if index.strip() not in names:
            raise UnusableItem("unknown class", f"{path}: {task}_class.txt has no class {index.strip()[:20]}; add it or correct the line")
        if classes.setdefault(task, names[index.strip()]) != names[index.strip()]:
            raise UnusableItem("contradictory class", f"{path} is {classes[task]!r} in a line before, here {names[index.strip()]!r}")
    except UnusableItem as error:
        lists.rejected.append(RejectedFile(where, error.reason, printable(error.detail)))


def _class_names(folder: SourceFolder, task: str) -> dict[str, str]:
    pairs = (line.strip().partition(" ") for line in _lines(folder, f"{task}_class.txt"))
    return {index: printable(name.strip()) for index, _, name in pairs if name.strip()}


def _lines(folder: SourceFolder, name: str) -> Iterator[str]:
    for place in (folder, folder.parent()):
        try:
            text = place.read(name).decode("utf-8", "replace") if place is not None else ""
        except UnusableItem as error:
            if error.reason != "missing file":
                logger.warning("%s/%s is left out: %s", place.root if place is not None else "", name, error)
            continue
        if text:
            yield from (line for line in text.lstrip("\ufeff").splitlines() if line.strip())
            return
