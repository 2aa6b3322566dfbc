"""What a log says about a server's end."""

from pathlib import Path

from coemogen_core.captioning.server.own_server import TAIL_LINES, end_of_log

LOG = """(APIServer pid=1) WARNING 11-21 18:36:01 [system_utils.py:255] This can cause errors like `OSError: [Errno 24]`
(Worker pid=3) ERROR 11-21 18:36:24 [multiproc_executor.py:953]     raise ValueError(
(Worker pid=3) ERROR 11-21 18:36:24 [multiproc_executor.py:953] ValueError: Following weights were not initialized
Traceback (most recent call last):
  File "launcher.py", line 1, in launch
    raise RuntimeError(
"""
END = "RuntimeError: Engine core initialization failed. See root cause above.\n"


def test_the_exception_where_it_began_is_named_however_far_above_the_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("KeyError: of an earlier life\n" + LOG + "\n".join(f"line {line}" for line in range(100)) + "\n" + END)
    text = end_of_log(log, len("KeyError: of an earlier life\n"))
    assert text.startswith("its first error: ValueError: Following weights were not initialized\n")
    assert text.endswith(END.rstrip())
    assert len(text.splitlines()) == TAIL_LINES + 2
    assert "make captioner" not in text


def test_a_broken_environment_is_told_from_a_broken_model(tmp_path: Path) -> None:
    said = "python: Error while finding module specification for 'vllm.main' (ModuleNotFoundError: No module named 'vllm')"
    (tmp_path / "log").write_text(said)
    assert "`make captioner` builds the environment anew" in end_of_log(tmp_path / "log", 0)


def test_an_empty_log_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    assert end_of_log(tmp_path / "log", 0).startswith("the end of its log")
