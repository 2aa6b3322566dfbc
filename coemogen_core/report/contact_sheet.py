"""One picture of many: the first samples of every emotion, methods side by side."""

import io
from collections.abc import Mapping

from PIL import Image

from coemogen_core.data.thumbnail import draw_sheet
from coemogen_core.emotions import EMOTIONS
from coemogen_core.methods.sample_plan import SampleSet
from coemogen_core.storage.workspace import Workspace


def contact_sheet(
    workspace: Workspace, sample_runs: Mapping[str, str], labels: Mapping[str, str], columns: int = 4, side: int = 96
) -> bytes:
    """PNG of the first samples of every emotion.

    Args:
        workspace: holds the samples.
        sample_runs: by method, the run that holds its samples; methods stand side by side in this order.
        labels: what the methods are called; one that is not there goes by its own name.
        columns: pictures per emotion and method.
        side: size of one picture in pixels.

    Raises:
        FileNotFoundError: samples of an emotion are missing.
    """
    blocks = {labels.get(method, method): _first_samples(workspace, run_id, method, columns) for method, run_id in sample_runs.items()}
    return draw_sheet(blocks, EMOTIONS, columns, side)


def _first_samples(workspace: Workspace, run_id: str, method: str, count: int) -> dict[str, list[Image.Image]]:
    samples = SampleSet(workspace, run_id, method)
    rows = {emotion: samples.head(emotion, count, ["image"]) for emotion in EMOTIONS}
    if missing := [emotion for emotion in EMOTIONS if rows[emotion].is_empty()]:
        raise FileNotFoundError(f"{samples.table.uri} has no samples of {', '.join(missing)}: generate them first")
    return {emotion: [Image.open(io.BytesIO(picture["bytes"])) for picture in found["image"]] for emotion, found in rows.items()}
