"""WebDataset: tar archives in which consecutive members of one key are a sample: `0001.jpg`, `0001.json`, `0001.cls`, `0001.txt`.

A key ends at the first dot. Names of pictures may hold more of them (`j.m.w.-turner_storm.jpg`), so that several pictures stand under one
key: what is said of a picture is taken from the members of its own full name alone.

What img2dataset writes is read as it is: its JSON is kept, and what it failed to download is listed with the reason that it gives, in
`00000.parquet` beside `00000.tar` or in a sample's JSON. Planning reads headers; a picture is read by its byte range when its turn comes.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any

from coemogen_core.data.readers.parquet_file import SourceParquet
from coemogen_core.data.readers.reader import (
    NAME_ENDINGS,
    SUCCESS,
    LoadItem,
    SourceReader,
    list_containers,
    read_label,
    require_success,
    require_unchanged,
    said_once,
    split_of,
    status_reason,
    unread_picture,
    with_annotation,
)
from coemogen_core.data.readers.tar_members import tar_members
from coemogen_core.data.source_folder import SourceFolder, is_picture
from coemogen_core.data.source_item import Extent, FileStamp, Place, RejectedFile, SourceItem, UnusableItem, printable

EXPECTED = "WebDataset archives: *.tar with <key>.jpg and, where there are any, <key>.json, <key>.cls, <key>.txt"
MAX_ANNOTATION_BYTES = 2**20
READ_ACROSS = 2**16  # bytes between two members of a sample that are read along rather than asked for apart
_ANNOTATIONS = (*sorted(NAME_ENDINGS, key=len, reverse=True), ".json", ".txt")

logger = logging.getLogger(__name__)


class WebDatasetReader(SourceReader):
    """Reader of tar archives. The label is `label` or `emotion` of the JSON or the `.cls`, where that is one of the eight emotions."""

    version = 2

    def list_items(self) -> Iterator[SourceItem | RejectedFile]:
        """All samples, archive by archive, in the order of their members."""
        for archive in list_containers(self.folder, EXPECTED, (".tar",), (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")):
            if isinstance(archive, RejectedFile):
                yield archive
            else:
                yield from self._list_archive(*archive)

    def load_items(self, items: Sequence[SourceItem]) -> Iterator[LoadItem]:
        """Each by the byte range of its sample."""
        for (path, stamp), group in groupby(items, key=lambda item: (item.inside.container, item.inside.stamp)):
            inside = list(group)
            try:
                require_unchanged(self.folder, path, stamp)
            except UnusableItem as error:
                yield from (error.refuse for _ in inside)
            else:
                yield from (partial(self._load, item) for item in inside)

    def _list_archive(self, path: str, stamp: FileStamp) -> Iterator[SourceItem | RejectedFile]:
        unread = Counter[str]()
        members = tar_members(self.folder, path, stamp.size or 0)
        for key, members_of_key in groupby(members, key=lambda member: _key(member) if isinstance(member, Extent) else None):
            if key is None:
                yield from (member for member in members_of_key if isinstance(member, RejectedFile))
            else:
                sample = [member for member in members_of_key if isinstance(member, Extent)]
                unread.update(PurePosixPath(member.name).suffix.lower() for member in sample if not _is_read(member))
                yield from self._list_sample(path, stamp, sample)
        if unread:
            kinds = ", ".join(f"{number:,} {printable(ending) or 'without an ending'}" for ending, number in sorted(unread.items()))
            yield RejectedFile(path, "unread members", f"{kinds}: not read; they take nothing from the pictures beside them")
        yield from _failed_downloads(self.folder, path)

    def _list_sample(self, path: str, stamp: FileStamp, members: list[Extent]) -> Iterator[SourceItem | RejectedFile]:
        pictures = [member for member in members if is_picture(member.name)]
        beside = [member for member in members if member.name.lower().endswith(_ANNOTATIONS)]
        if not pictures:
            yield self._without_picture(path, members[0], beside)
            return
        taken: dict[str, str] = {}
        for picture in sorted(pictures, key=lambda picture: (_stem(picture) != _key(picture), picture.start)):
            name, stem = f"{path}/{picture.name}", _stem(picture)
            first = taken.get(stem) or taken.get(_key(picture))
            if first is not None:
                detail = f"the sample's picture is {first}; give the other one a key of its own"
                yield RejectedFile(name, "second picture of a sample", detail)
                continue
            taken[stem] = picture.name
            by_ending: dict[str, Extent] = {}
            for member in beside:
                if _stem(member) == stem and by_ending.setdefault(_ending(member), member) is not member:
                    detail = f"{by_ending[_ending(member)].name} says it already; remove one of the two"
                    yield RejectedFile(f"{path}/{member.name}", "listed twice", detail)
            own = tuple(by_ending.values())
            each = FileStamp(picture.size, stamp.tag, stamp.modified)
            place = Place(path, stamp, picture.start, own)
            yield unread_picture(name) or SourceItem(name, each, split=split_of(path), licence=self.licence, place=place)
        for member in beside:
            if _stem(member) not in taken and not member.name.lower().endswith(".txt"):
                detail = f"no picture of this sample is called {_stem(member)}, so that what it says is left out; name it like its picture"
                yield RejectedFile(f"{path}/{member.name}", "annotation of no picture", detail)

    def _without_picture(self, path: str, first: Extent, beside: Sequence[Extent]) -> RejectedFile:
        """Why a sample has no picture: its JSON may know."""
        name = f"{path}/{first.name}"
        try:
            for member in beside:
                if member.name.lower().endswith(".json"):
                    _require_short(member)
                    require_success(_parse_json(self._read(path, member), name), name)
        except UnusableItem as error:
            return RejectedFile(name, error.reason, printable(error.detail))
        return RejectedFile(name, "no picture", "the sample has no member that ends like a picture; add it or remove the sample")

    def _load(self, item: SourceItem) -> tuple[SourceItem, bytes]:
        place = item.inside
        picture = Extent(item.path, place.start, item.stamp.size or 0)
        for member in place.beside:
            _require_short(member)
        data, *annotations = self._read_together(place.container, [picture, *place.beside])
        texts = {_ending(member): text for member, text in zip(place.beside, annotations, strict=True)}
        return self._joined(item, texts), data

    def _read_together(self, path: str, members: list[Extent]) -> list[bytes]:
        start, end = min(member.start for member in members), max(member.start + member.size for member in members)
        if end - start > sum(member.size for member in members) + READ_ACROSS:
            return [self._read(path, member) for member in members]
        data = memoryview(self.folder.read_range(path, start, end - start))
        return [bytes(data[member.start - start : member.start - start + member.size]) for member in members]

    def _read(self, path: str, member: Extent) -> bytes:
        return self.folder.read_range(path, member.start, member.size)

    def _joined(self, item: SourceItem, texts: dict[str, bytes]) -> SourceItem:
        said = _parse_json(texts[".json"], item.path) if ".json" in texts else {}
        require_success(said, item.path)
        label = read_label(said | {ending: self._class(texts[ending]) for ending in NAME_ENDINGS if ending in texts}, item.path)
        for ending, name in ((".cls", "cls"), (".txt", "caption")):
            if ending in texts:
                said.setdefault(name, texts[ending].decode("utf-8", "replace").strip())
        return with_annotation(item, said, label, said)

    def _class(self, text: bytes) -> str:
        """What a `.cls` says: a name, or by its number a name in `classes.txt`; a number means nothing without that list."""
        word = text.decode("utf-8", "replace").strip()
        if word.isascii() and word.isdigit() and int(word[:9]) < len(self._classes):
            return self._classes[int(word[:9])]
        return word

    @cached_property
    def _classes(self) -> list[str]:
        try:
            return self.folder.read("classes.txt").decode("utf-8", "replace").splitlines()
        except UnusableItem:
            return []


def _key(member: Extent) -> str:
    """WebDataset's rule: the path up to the first dot of its last piece."""
    folder, separator, name = member.name.rpartition("/")
    return folder + separator + name.partition(".")[0]


def _ending(member: Extent) -> str:
    """The ending of an annotation, which may be of two words (`.label.txt`), or a file's."""
    name = member.name.lower()
    return next((ending for ending in _ANNOTATIONS if name.endswith(ending)), PurePosixPath(name).suffix)


def _stem(member: Extent) -> str:
    """The whole name without its ending."""
    return member.name[: len(member.name) - len(_ending(member))]


def _is_read(member: Extent) -> bool:
    return is_picture(member.name) or member.name.lower().endswith(_ANNOTATIONS)


def _require_short(member: Extent) -> None:
    if member.size > MAX_ANNOTATION_BYTES:
        raise UnusableItem("broken annotation", f"{member.name} has more than {MAX_ANNOTATION_BYTES} bytes; shorten it")


def _parse_json(data: bytes, path: str) -> dict[str, Any]:
    try:
        said = json.loads(data, parse_constant=lambda _: None, object_pairs_hook=said_once)  # NaN and Infinity are no JSON
    except (ValueError, RecursionError) as error:
        raise UnusableItem("broken annotation", f"{path}: its JSON is none ({error}); mend the sample") from error
    if not isinstance(said, dict):
        raise UnusableItem("broken annotation", f"{path}: its JSON is no object; mend the sample")
    return said


def _failed_downloads(folder: SourceFolder, archive: str) -> Iterator[RejectedFile]:
    """What img2dataset lists in `<shard>.parquet` beside an archive, but could not download; none without such a table."""
    path = archive.removesuffix(".tar") + ".parquet"
    try:
        table = SourceParquet(folder, path, folder.stamp(path))
    except UnusableItem as error:
        if error.reason != "missing file":
            logger.warning("%s is left out: %s", path, error)
        return
    if not {"key", "status"} <= set(table.schema.names):
        return
    columns = [name for name in ("key", "status", "error_message", "url") if name in table.schema.names]
    seen = set()
    try:
        for _, row in table.rows(columns, 0, table.rows_in_all):
            if row["status"] != SUCCESS and row["key"] not in seen:
                seen.add(row["key"])
                said = f"{row.get('url')!r}: {row.get('error_message')!r}"[:1000]
                detail = printable(f"img2dataset could not download {said}; download it again or leave it out")
                yield RejectedFile(printable(f"{archive}/{row['key']}"), status_reason(str(row["status"])), detail)
    except UnusableItem as error:
        logger.warning("%s: the rest is left out: %s", path, error)
