import errno
from pathlib import Path

import pytest

from coemogen_core.storage.whole_file import NoRoomError, write_atomically


@pytest.mark.parametrize(("step", "number"), [("replace", errno.ENOSPC), ("open", errno.EDQUOT), ("mkdir", errno.ENOSPC)])
def test_a_full_disk_is_named_with_its_remedy_and_what_stood_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    target = tmp_path / "part.parquet"
    target.write_bytes(b"before")

    def full(*_: object, **__: object) -> None:
        raise OSError(number, "full")

    with (  # noqa: PT012  Path's own methods are needed again
        monkeypatch.context() as patch,
        pytest.raises(NoRoomError, match=r"^no room for .*part\.parquet: free some space there") as raised,
    ):
        patch.setattr(Path, step, full)
        write_atomically(str(target), b"after")
    assert raised.value.errno == number
    assert [path.name for path in tmp_path.iterdir()] == ["part.parquet"]
    assert target.read_bytes() == b"before"


def test_another_failure_stays_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "forbidden")

    with monkeypatch.context() as patch, pytest.raises(PermissionError):  # noqa: PT012  Path's own methods are needed again
        patch.setattr(Path, "replace", forbidden)
        write_atomically(str(tmp_path / "file"), b"bytes")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("replace", [True, False])
def test_a_folder_of_that_name_is_refused_and_nothing_is_left_in_it(tmp_path, replace):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(IsADirectoryError, match="pictures is a folder: give the name of a file in it"):
        write_atomically(str(tmp_path / "pictures"), b"x", replace=replace)
    assert [file.name for file in tmp_path.rglob("*")] == ["pictures"]
