"""What we write is opened by others, whole: published datasets, WebDataset archives and tables, in the newest readers and the oldest.

The calls are those of docs/readers.md; `envs/readers/opens.py` makes them, in a process of its own, and compares rows, columns, pictures.
"""

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from coemogen_core.publication.publication import READERS
from tests.reports.odd_publication import write_odd_publication

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "readers.md"
OPENS = ROOT / "envs" / "readers" / "opens.py"
SECTIONS = {  # heading of the page: what its placeholder stands for
    "A published dataset": ("published",),
    "A WebDataset export": ("archives", "archive"),
    "A table of the workspace": ("images", "embeddings", "captions", "rejected", "decisions"),
}
NONE = ("pandas", "polars", "pyarrow", "DuckDB")  # what opens a table without any row as an empty one
ENVIRONMENTS = {"oldest": ["published"], "tables": [kind for kinds in SECTIONS.values() for kind in kinds]}
ENVIRONMENTS["newest"] = ENVIRONMENTS["tables"]


def tables_of_the_page() -> dict[str, list[tuple[str, str, str]]]:
    """Reader, version and call, by the heading that they stand under."""
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    row = re.compile(r"^\| ([^|]+) \| ([\d.]+) \| `([^`]+)` \|$", re.MULTILINE)
    return {section.partition("\n")[0]: row.findall(section) for section in sections}


CALLS = [
    (kind, reader, call)
    for heading, rows in tables_of_the_page().items()
    for kind in SECTIONS[heading]
    for reader, _, call in rows
]  # fmt: skip
CALLS += [("none", reader, call) for kind, reader, call in CALLS if kind == "rejected" and reader.startswith(NONE)]


def name_of(kind: str, reader: str, call: str) -> str:
    return f"{kind}, {reader}: {call}"


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The list of all calls, with the files that they open."""
    folder = tmp_path_factory.mktemp("odd ü publication")
    written = write_odd_publication(folder)
    calls = [
        {"name": name_of(*each), "call": re.sub("FOLDER|TABLE", written[each[0]]["folder"], each[2]), "rows": written[each[0]]["rows"]}
        for each in CALLS
    ]
    (folder / "job.json").write_text(json.dumps({"calls": calls}))
    return folder / "job.json"


def opened_by(python: Path, job: Path) -> dict[str, str | None]:
    """What was wrong with each call; None where all was well."""
    run = subprocess.run([str(python), str(OPENS), str(job)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    return dict(json.loads(line) for line in run.stdout.splitlines() if line.startswith("["))


@pytest.fixture(scope="module")
def outcomes(job: Path) -> dict[str, str | None]:
    return opened_by(Path(sys.executable), job)


@pytest.mark.parametrize(("kind", "reader", "call"), CALLS)
def test_opens_whole(outcomes: dict[str, str | None], kind: str, reader: str, call: str) -> None:
    assert outcomes[name_of(kind, reader, call)] is None


@pytest.mark.readers
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_opens_whole_in_the_versions_that_are_promised(job: Path, environment: str) -> None:
    python = OPENS.parent / environment / ".venv" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} does not exist: run make test-readers")
    outcomes = opened_by(python, job)
    asked = [name for name in outcomes if name.partition(",")[0] in ENVIRONMENTS[environment]]
    assert {name: outcomes[name] for name in asked if outcomes[name] is not None} == {}
    assert len(asked) == len([each for each in CALLS if each[0] in ENVIRONMENTS[environment]])


def test_the_versions_that_are_promised_are_those_that_are_tested() -> None:
    promised = tables_of_the_page()
    assert promised["A published dataset"] == list(READERS)
    for environment, headings in {"oldest": ["A published dataset"], "tables": ["A WebDataset export", "A table of the workspace"]}.items():
        pins = dict(re.findall(r"^([\w-]+)==([\d.]+)$", (OPENS.parent / environment / "requirements.txt").read_text(), re.MULTILINE))
        rows = [row for heading in headings for row in promised[heading]]
        assert rows
        for reader, version, _ in rows:
            library, _, arrow = reader.partition(", with pyarrow ")
            assert is_version(pins[library.split()[-1].lower()], version), reader
            assert not arrow or is_version(pins["pyarrow"], arrow), reader


def is_version(pinned: str, promised: str) -> bool:
    """1.18 promises 1.18.0."""
    return pinned == promised or pinned == f"{promised}.0" or pinned == f"{promised}.0.0"


def test_archives_have_one_set_of_keys_and_types(job: Path) -> None:
    pictures, kinds = set(), set()
    for archive in sorted((job.parent / "archives").glob("*.tar")):
        with tarfile.open(archive) as tar:
            for member in tar:
                key = member.name.partition(".")[2]
                if key == "json":
                    facts = json.loads(tar.extractfile(member).read())
                    kinds.add(tuple((name, type(value).__name__) for name, value in facts.items()))
                elif key != "txt":
                    pictures.add(key)
    assert len(pictures) == 1
    assert pictures <= {"jpg", "png"}
    assert len(kinds) == 1


def test_nothing_lies_beside_the_parts_of_a_table(job: Path) -> None:
    """Some readers pass hidden files by, some those with an underscore, some none."""
    tables = job.parent / "workspace"
    names = {file.relative_to(tables) for file in tables.rglob("*") if file.suffix != ".parquet" and any(file.parent.glob("*.parquet"))}
    assert names == set()
