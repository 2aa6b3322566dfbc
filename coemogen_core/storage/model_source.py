"""The identity of a pretrained model: what a recipe hashes, so that two machines agree whatever the path."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, get_args

from pydantic import AfterValidator
from safetensors import SafetensorError, safe_open

from coemogen_core.errors import CoEmoGenError
from coemogen_core.lab import LabModel, models_folder
from coemogen_core.storage.passing_failure import may_pass

LAB_PREFIX = "lab:"


def locate(model: str) -> str:
    """Where a model is opened: the folder of `lab:clip` and the like in this installation, a folder with `~` spelled out, or a hub id.

    Raises:
        FileNotFoundError: the text looks like a path (`names_a_folder`) but no such folder exists.
        ValueError: the lab has no such model; the message lists those it has.
    """
    if not model.startswith(LAB_PREFIX):
        folder = Path(model).expanduser()
        if names_a_folder(model) and not folder.is_dir():
            raise FileNotFoundError(f"model folder {model} does not exist: give the folder of a saved model or a hub id")
        return str(folder) if folder.is_dir() else model
    for name in get_args(LabModel):
        if name == model.removeprefix(LAB_PREFIX):
            return str(models_folder(name))
    raise ValueError(f"{model!r} is not a model of the lab: {', '.join(LAB_PREFIX + name for name in get_args(LabModel))}")


class ModelError(CoEmoGenError, ValueError):
    """A model that cannot be opened; the message names it, and the file where that is known."""


@contextmanager
def opening(model: str) -> Iterator[None]:
    """In the block a model is opened by a library, whose errors become one line that names the model.

    Raises:
        ModelError: it cannot be opened.
        FileNotFoundError: see `locate`.
    """
    where = locate(model)
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        if may_pass(error) or type(error).__name__ == "OutOfMemoryError":
            raise
        said = " ".join(str(error).split())[:300] or type(error).__name__
        broken = _broken_weights(Path(where))
        what = f"its {broken} is no safetensors file" if broken is not None else f"the library says: {said}"
        raise ModelError(f"model {model!r} cannot be opened; {what}. Fetch it again, or give another folder or hub id") from error


def _broken_weights(folder: Path) -> str | None:
    """The first safetensors file of a folder that has no header of one."""
    for file in sorted(folder.rglob("*.safetensors")) if folder.is_dir() else ():
        try:
            with safe_open(file, framework="np"):
                pass
        except SafetensorError:
            return str(file.relative_to(folder))
    return None


def names_a_folder(model: str) -> bool:
    """Whether a text can only be a folder, wherever one is: it starts with `/`, `.` or `~`, or names a model of the lab."""
    return model.startswith(("/", ".", "~", LAB_PREFIX))


def fingerprint(model: str, revision: str | None = None) -> str:
    """Identity of a model.

    Args:
        model: folder of a saved model, `lab:<name>`, or a hub id such as `openai/clip-vit-large-patch14`.
        revision: commit of a hub model; a branch name would not pin the answer, so pass the commit for results that must last.

    Returns:
        `sha256:<16 hex digits>` over names and contents of a local folder's files, or `<hub id>@<revision>`.

    Raises:
        FileNotFoundError, ValueError: see `locate`.
    """
    folder = Path(locate(model))
    if folder.is_dir():
        return _folder_fingerprint(str(folder.resolve()))
    return f"{model}@{revision or 'main'}"


@cache
def _folder_fingerprint(folder: str) -> str:
    digest = hashlib.sha256()
    root = Path(folder)
    names = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    for name in names:
        if any(piece.startswith(".") for piece in name.parts):  # a hub's client keeps its notes in hidden folders
            continue
        file = root / name
        digest.update(name.as_posix().encode() + b"\0")
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return f"sha256:{digest.hexdigest()[:16]}"


def _known(model: str) -> str:
    if model.startswith(LAB_PREFIX):
        locate(model)
    return model


ModelName = Annotated[str, AfterValidator(_known)]
"""A model in a recipe: a folder, a hub id, or `lab:<name>` for one that comes with the package. It stays as it was written, and is located
when it is opened, so that the recipe of one checkout is that of another."""
