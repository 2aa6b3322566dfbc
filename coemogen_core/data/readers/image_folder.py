"""A plain folder of pictures, with whatever says their emotion: folders named by it, or the metadata files of `datasets`' imagefolder.

Folders that count, at any depth: `awe/`, `emotion=awe/` (or `label=`, `class=`), `10_awe/` and `10_awe person/` (kohya's repeats
and class), and `train/`, `split=train/`.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from coemogen_core.data.readers.folder_metadata import FILE_NAMES, METADATA, FolderMetadata
from coemogen_core.data.readers.reader import (
    CLASS_NAMES,
    LABEL_NAMES,
    SourceReader,
    known_emotion,
    known_split,
    list_pictures,
    read_label,
    with_annotation,
)
from coemogen_core.data.source_item import FileStamp, RejectedFile, SourceItem, UnusableItem, printable
from coemogen_core.emotions import Emotion

EXPECTED = "pictures, in folders named by their emotion where they have one: <emotion>/*.jpg"
_KEY_VALUE = re.compile(rf"({'|'.join(re.escape(name) for name in (*LABEL_NAMES, *CLASS_NAMES))}|split)=(.+)", re.IGNORECASE)
_REPEATS = re.compile(r"\d+_(\S+)( .+)?")
_TAKEN = (*FILE_NAMES, "split", "artist", "style", "genre", "licence", "license")


logger = logging.getLogger(__name__)


class ImageFolderReader(SourceReader):
    """Reader of pictures at any depth; the label is what folders and metadata files say, where that is one of the eight emotions."""

    version = 2

    def list_items(self) -> Iterator[SourceItem | RejectedFile]:
        """All pictures, sorted by path; then what metadata files name and the folders do not hold, and broken lines."""
        metadata = FolderMetadata(self.folder)
        labelled, without = 0, Counter[str]()
        for found in list_pictures(self.folder, EXPECTED, lambda path, stamp: self._describe(path, stamp, metadata), METADATA):
            yield found
            metadata.of(found.path)  # it is there, whatever became of it
            if isinstance(found, SourceItem):
                labelled += found.label is not None
                if found.label is None and found.label_left_out is None:
                    without[str(PurePosixPath(found.path).parent)] += 1
        yield from metadata.left()
        if labelled and without:
            folders = ", ".join(f"{printable(folder)} ({number:,})" for folder, number in without.most_common(5))
            logger.warning("%s: %d pictures have no label, in: %s", self.folder.root, without.total(), folders)

    def _describe(self, path: str, stamp: FileStamp, metadata: FolderMetadata) -> SourceItem | RejectedFile:
        item = SourceItem(path=path, stamp=stamp, licence=self.licence)
        try:
            by_folder, split, left_out = _read_folders(path)
            said = metadata.of(path)
            label = read_label(said, path)
            if by_folder is not None and label[0] not in (None, by_folder):
                detail = f"{path} lies in a folder of {by_folder}, its metadata says {label[0]}; correct one"
                raise UnusableItem("contradictory emotion", detail)
        except UnusableItem as error:
            return RejectedFile(path, error.reason, printable(error.detail))
        attributes = {key: value for key, value in said.items() if key.lower() not in _TAKEN and value not in (None, "")}
        emotion = by_folder or label[0]
        return with_annotation(replace(item, split=split), said, (emotion, None if emotion else label[1] or left_out), attributes)


def _read_folders(path: str) -> tuple[Emotion | None, str | None, str | None]:
    """Emotion and split that the folders of a path name, and what of them is meant as an emotion and is none."""
    emotions: set[Emotion] = set()
    split = left_out = None
    for folder in PurePosixPath(path).parts[:-1]:
        pair, repeats = _KEY_VALUE.fullmatch(folder), _REPEATS.fullmatch(folder)
        word = pair.group(2) if pair else repeats.group(1) if repeats else folder
        word = word.strip()
        if known_split(word) and not (pair and pair.group(1).lower() != "split"):
            split = known_split(word)
        elif emotion := known_emotion(word):
            emotions.add(emotion)
        elif pair and pair.group(1).lower() in LABEL_NAMES:
            left_out = f"the folder {folder!r} names none of the eight emotions; rename it, or take its pictures as unlabelled"
    if len(emotions) > 1:
        raise UnusableItem("contradictory emotion", f"{path} lies in folders of {' and '.join(sorted(emotions))}; move it")
    return next(iter(emotions), None), split, left_out
