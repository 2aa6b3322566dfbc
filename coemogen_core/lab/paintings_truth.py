"""The true emotions of the lab's paintings, by image id: what the curation never sees and the evaluation asks."""

from pathlib import Path

import polars as pl

from coemogen_core.data.workspace import Workspace
from coemogen_core.emotions import Emotion
from coemogen_core.lab.corpora import read_truth


def true_emotions(workspace: Workspace, source: str, root: str) -> dict[str, Emotion | None]:
    """True emotion of every ingested painting; None for a neutral one.

    Args:
        workspace: holds `images/<source>`.
        source: the ingested painting set.
        root: folder that `write_paintings` wrote.

    Raises:
        FileNotFoundError: no truth lies beside that folder.
    """
    truth = read_truth(Path(root))
    rows = workspace.table("images", source).read(["image_id", "image"]).select("image_id", pl.col("image").struct.field("path"))
    return {image_id: truth[path].emotion for image_id, path in rows.iter_rows() if path in truth}
