"""Reading a published dataset for export: its manifest, its parts, and what a picture's file is called elsewhere."""

import io

from PIL import Image

from coemogen_core.curation.publication import MANIFEST, Manifest
from coemogen_core.data.decode import FORMATS
from coemogen_core.data.workspace import Workspace

ENDINGS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif"}
ROWS_AT_ONCE = 64


def read_manifest(workspace: Workspace, dataset: str, version: str) -> Manifest:
    """What was published. Raises FileNotFoundError when this version was not, or not completely."""
    names = ("curated", dataset, version)
    if not workspace.exists(*names, MANIFEST):
        raise FileNotFoundError(f"{workspace.path(*names)} has no {MANIFEST}: publish this version first")
    return Manifest.model_validate(workspace.read_json(*names, MANIFEST))


def published_parts(manifest: Manifest) -> list[str]:
    """Names of the parts, in order."""
    return [file.file.removesuffix(".parquet") for file in manifest.files if file.rows is not None]


def ending(picture: bytes) -> str:
    """Ending of a file that holds this picture, by its content: the name that it came with may lie.

    Raises:
        ValueError: not one of the formats that ingestion accepts; it would not stand in a published dataset.
    """
    try:
        with Image.open(io.BytesIO(picture), formats=FORMATS) as opened:
            return ENDINGS[str(opened.format)]
    except OSError as error:
        raise ValueError(f"a published picture cannot be opened ({error}): check the part against manifest.json") from error
