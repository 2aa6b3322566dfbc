"""The members of a tar archive, from its headers alone: nothing is extracted, and no picture is read.

Headers come from anywhere, so whatever they claim is checked: names, types, sizes, and how much of the archive is read at once.
"""

import tarfile
from collections.abc import Iterator
from typing import Any

from coemogen_core.data.source_folder import MAX_FILE_BYTES, SourceFolder, is_plain_text, safe_relative_path
from coemogen_core.data.source_item import Extent, RejectedFile, UnusableItem, printable

MAX_HEADER_BYTES = 2**20  # of one member, extended headers included
MAX_MEMBERS = 1_000_000  # of one archive: their names are remembered


def tar_members(folder: SourceFolder, path: str, size: int) -> Iterator[Extent | RejectedFile]:
    """Regular members of an archive of `size` bytes in its order; all else but folders and hidden files comes as a rejection.

    Raises:
        OSError: a remote store failed; trying again may help.
    """
    try:
        file = folder.open(path)
    except UnusableItem as error:
        yield RejectedFile(path, error.reason, error.detail)
        return
    with file:
        yield from _checked(_headers(_HeadersOnly(file, size), path), path, size)


def _headers(file: "_HeadersOnly", path: str) -> Iterator[tarfile.TarInfo | RejectedFile]:
    offset = -1
    try:
        with tarfile.TarFile(fileobj=file, mode="r", encoding="utf-8", errors="surrogateescape") as archive:  # type: ignore[arg-type]
            while (member := archive.next()) is not None:
                if archive.offset <= offset:
                    raise tarfile.ReadError("a member claims a negative size")
                offset = archive.offset
                archive.members.clear()  # type: ignore[attr-defined]  # it would else remember every member
                file.new_member()
                yield member
            file.seek(archive.offset)
            if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
                raise tarfile.ReadError(f"no header at byte {archive.offset}, where the next member should begin")
    except (tarfile.TarError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        detail = printable(f"{error or type(error).__name__}; what stands before is read; write the archive again")
        yield RejectedFile(path, "broken archive", detail)


def _checked(headers: Iterator[tarfile.TarInfo | RejectedFile], path: str, size: int) -> Iterator[Extent | RejectedFile]:
    seen: set[int] = set()
    for member in headers:
        if isinstance(member, RejectedFile):
            yield member
            continue
        if member.isdir() or member.name.rsplit("/", 1)[-1].startswith("."):
            continue
        if len(seen) >= MAX_MEMBERS:
            detail = f"more than {MAX_MEMBERS:,} members; the rest is left out: write several archives"
            yield RejectedFile(f"{path}#{member.offset}", "too many members", detail)
            return
        try:
            yield _extent(member, size, seen)
        except UnusableItem as error:
            usable = error.reason not in ("unsafe path", "unusable file name", "listed twice")
            name = f"{path}/{safe_relative_path(member.name)}" if usable else f"{path}#{member.offset}"
            yield RejectedFile(name, error.reason, printable(error.detail))


def _extent(member: tarfile.TarInfo, archive_size: int, seen: set[int]) -> Extent:
    if not is_plain_text(member.name):
        raise UnusableItem("unusable file name", f"{member.name!r} is no valid Unicode text or has control characters; rename it")
    name = safe_relative_path(member.name)
    if hash(name) in seen:
        raise UnusableItem("listed twice", f"the archive has another member {name!r} before this one; remove one of the two")
    seen.add(hash(name))
    if not member.isreg():
        raise UnusableItem("not a regular file", f"{name!r} is a link, a pipe or a device; put the file itself into the archive")
    if member.issparse():
        raise UnusableItem("sparse member", f"{name!r} is stored with holes; write the archive without --sparse")
    if member.size < 0 or member.offset_data + member.size > archive_size:
        raise UnusableItem("truncated", f"{name!r} claims {member.size} bytes, more than the archive holds; fetch the archive again")
    if member.size > MAX_FILE_BYTES:
        raise UnusableItem("file too large", f"{name!r} has more than {MAX_FILE_BYTES // 2**20} MiB; reduce the picture or remove it")
    return Extent(name, member.offset_data, member.size)


class _HeadersOnly:
    """An archive's file for `tarfile`, which reads whatever an extended header claims: here it gets a bounded number of bytes."""

    def __init__(self, file: Any, size: int) -> None:
        self._file, self._size, self._room = file, size, MAX_HEADER_BYTES

    def new_member(self) -> None:
        self._room = MAX_HEADER_BYTES

    def read(self, size: int) -> bytes:
        self._room -= size
        if size < 0 or self._room < 0:
            raise tarfile.ReadError(f"headers of more than {MAX_HEADER_BYTES} bytes")
        data: bytes = self._file.read(size)
        return data

    def seek(self, position: int) -> int:
        if not 0 <= position <= self._size:
            raise tarfile.ReadError(f"a member ends at byte {position:,}, the archive at {self._size:,}")
        return int(self._file.seek(position))

    def tell(self) -> int:
        return int(self._file.tell())
