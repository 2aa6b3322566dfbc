"""The journal of a part that is being captioned: every answer as it comes, so that a killed run loses none that it had received.

A file of JSON lines beside the part's chunks, or in the user's state folder when the workspace lies in a bucket (objects cannot be
appended to; a run that goes on elsewhere then loses at most the chunks in flight). It is gone when the part is done.
"""

import dataclasses
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
from filelock import FileLock, Timeout

from coemogen_core.captioning.backend import CaptionAnswer
from coemogen_core.storage.local_files import local_folder
from coemogen_core.storage.workspace import Workspace

POLL_S = 0.1

logger = logging.getLogger(__name__)


@contextmanager
def part_lock(table_uri: str, part: str, recipe_id: str) -> Iterator[bool]:
    """Hold the lock of a part and recipe; waits while another run, thread or process, holds it.

    Yields:
        Whether it may be that another run has held it a moment ago. In a bucket nothing locks, so nobody waits.
    """
    folder = local_folder(table_uri)
    if folder is None:
        yield False
        return
    (folder / part).mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / part / f".{recipe_id}.lock", thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        logger.warning("another run is captioning part %s of %s: waiting for it", part, table_uri)
        lock.acquire(poll_interval=POLL_S)
    try:
        yield True
    finally:
        lock.release()


FIELDS = tuple(field.name for field in dataclasses.fields(CaptionAnswer))


def journal_path(table_uri: str, part: str, recipe_id: str) -> Path:
    """Where the journal of a part and recipe lies on this machine."""
    folder = local_folder(table_uri)
    if folder is not None:
        return folder / part / f".{recipe_id}.journal"
    return _state_folder() / hashlib.sha256(table_uri.encode()).hexdigest()[:16] / f"{part}.{recipe_id}.journal"


def may_have_journals(workspace: Workspace) -> bool:
    """Whether this machine may hold journals of a workspace; of one in a bucket, without a request."""
    return local_folder(workspace.uri) is not None or any(_state_folder().glob("*/*.journal"))


def _state_folder() -> Path:
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "coemogen"


Asked = tuple[str, str | None, int]
"""What an answer was given to: picture, emotion that was given as prior, number of the attempt."""


class Journal:
    """Answers to the attempts of one part, by what was asked. One process at a time writes it (see the part's lock)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def read(self) -> dict[Asked, CaptionAnswer]:
        """What was answered before; a line that a kill cut short is left out."""
        answers = {}
        if self._path.exists():
            for line in self._path.read_bytes().split(b"\n"):
                try:
                    entry = orjson.loads(line)
                    asked = entry["answer"]["image_id"], entry["emotion_prior"], entry["attempt"]
                    answers[asked] = CaptionAnswer(**entry["answer"])
                except (ValueError, KeyError, TypeError):
                    continue
        return answers

    def append(self, answers: Iterable[tuple[CaptionAnswer, str | None, int]]) -> None:
        """Write answers with the priors and numbers of their attempts; they outlive this process from then on."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        entries = (
            {"attempt": attempt, "emotion_prior": prior, "answer": {name: getattr(answer, name) for name in FIELDS}}
            for answer, prior, attempt in answers
        )
        os.write(self._file, b"".join(b"\n" + orjson.dumps(entry) for entry in entries))  # line breaks first: a torn line stays alone

    def close(self) -> None:
        """Close the file and keep it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def remove(self) -> None:
        """The part is done: its chunks hold all that stands here."""
        self.close()
        self._path.unlink(missing_ok=True)
