"""A server, a pool, a worker and the deployments of prefect.yaml; one set a file of tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coemogen_core.lab.corpora import write_paintings, write_photos
from tests.orchestration.services import Services

PHOTOS, PAINTINGS = 128, 64


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("services")
    write_photos(folder / "world" / "photos", PHOTOS, 3)
    write_paintings(folder / "world" / "paintings", PAINTINGS, 4)
    started = Services(Path(folder), folder / "world")
    try:
        started.serve()
        yield started
    finally:
        started.stop()
