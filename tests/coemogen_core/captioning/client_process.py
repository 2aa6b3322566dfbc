"""Captioning one part in a process of its own, that a test can kill."""

import os
import subprocess
import sys
from pathlib import Path

from coemogen_core.captioning.recipe import CaptionRecipe, LocalSettings, ServerSettings
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.captioning.corpus import PART, SOURCE

SCRIPT = """
import sys
import polars as pl
from coemogen_core.captioning import caption_part as module
from coemogen_core.captioning.recipe import BackendSettings, CaptionRecipe
from coemogen_core.storage.workspace import Workspace
from pydantic import TypeAdapter

uri, source, part, wanted, recipe, settings, rows_per_file = sys.argv[1:]
module.ROWS_PER_FILE = int(rows_per_file)
module.caption_part(
    Workspace(uri), source, part, pl.read_parquet(wanted), CaptionRecipe.model_validate_json(recipe),
    TypeAdapter(BackendSettings).validate_json(settings),
)
"""


def start_captioning(
    workspace: Workspace, wanted: Path, recipe: CaptionRecipe, settings: LocalSettings | ServerSettings, rows_per_file: int = 100
) -> "subprocess.Popen[bytes]":
    """Caption the pictures that a Parquet file names (`image_id, emotion`); files small enough for a few pictures to fill several."""
    arguments = [workspace.uri, SOURCE, PART, str(wanted), recipe.model_dump_json(), settings.model_dump_json(), str(rows_per_file)]
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], env=os.environ | {"OMP_NUM_THREADS": "1"})
