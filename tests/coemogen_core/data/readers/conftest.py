"""Where a source lies."""

import uuid

import pytest


@pytest.fixture(params=["local", "memory"])
def root(request, tmp_path):
    """A place for a source: a folder, and once more in memory."""
    return str(tmp_path / "source") if request.param == "local" else f"memory://{uuid.uuid4().hex}"
