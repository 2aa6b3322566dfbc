"""A small scored, captioned and aligned source, whose tables are written directly: no model runs."""

import polars as pl

from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.curation.decisions import CurationRecipe
from coemogen_core.curation.selection import Selection
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Alignment, EmotionScores
from tests.coemogen_core.curation.small_tables import CAPTION_RECIPE, caption_row, image_row, write_captions, write_images

SOURCE, CLASSIFIER, ENCODER = "art", "probe-000000000000", "clip-000000000000"
PARTS = ["part-00000-aaaaaaaa", "part-00001-bbbbbbbb"]
PICTURES = [  # part, true colour, number, label, confidence
    *[(PARTS[number % 2], "awe", number, "awe", 0.8) for number in range(10)],
    *[(PARTS[number % 2], "fear", number, "fear", 0.9) for number in range(5)],
    *[(PARTS[0], "anger", number, "anger", 0.75) for number in range(3)],
    (PARTS[1], "disgust", 0, "disgust", 0.95),
    (PARTS[1], "sadness", 0, None, None),
    (PARTS[1], "amusement", 0, "amusement", 0.99),  # its caption fails
]
RECIPE = CurationRecipe(
    dataset="emoart",
    selection=Selection.by_confidence(CLASSIFIER),
    captions=CaptionPolicy.pinned(CAPTION_RECIPE),
    encoder_id=ENCODER,
    drop_fraction=0.2,
)


def similarity_of(number: int) -> float:
    return 0.1 + 0.01 * ((number * 7) % 10)


def build_art(workspace: Workspace) -> dict[str, tuple]:
    """Write all tables; returns `image_id -> picture`."""
    pictures: dict[str, tuple] = {}
    for part in PARTS:
        mine = [picture for picture in PICTURES if picture[0] == part]
        rows = [image_row(p[1], p[2], style=("Baroque", "Cubism")[p[2] % 2], licence=("CC0", None)[p[2] % 2], artist="A | B") for p in mine]
        pictures |= {row["image_id"]: picture for row, picture in zip(rows, mine, strict=True)}
        write_images(workspace, SOURCE, part, rows)
        scored = [(row["image_id"], [0.125] * 8, *picture[3:]) for row, picture in zip(rows, mine, strict=True) if picture[3]]
        frame = pl.DataFrame(scored, schema=EmotionScores.create_empty().schema, orient="row")
        workspace.table("emotion_scores", SOURCE, CLASSIFIER).write_part(part, frame, EmotionScores)
        captioned = [(row["image_id"], p) for row, p in zip(rows, mine, strict=True) if p[1] != "sadness"]
        captions = [
            caption_row(image_id, None if p[1] == "amusement" else f"a picture of {p[1]} {p[2]}", prior=p[3]) for image_id, p in captioned
        ]
        add_captions(workspace, part, 0, captions[:4], [similarity_of(p[2]) for _, p in captioned[:4]])
        add_captions(workspace, part, 1, captions[4:], [similarity_of(p[2]) for _, p in captioned[4:]])
    return pictures


def add_captions(workspace: Workspace, part: str, sequence: int, rows: list[dict], similarities: list[float]) -> None:
    chunk = write_captions(workspace, SOURCE, part, sequence, rows)
    scored = [
        (row["image_id"], row["recipe_id"], row["attempt"], value, 9, 0)
        for row, value in zip(rows, similarities, strict=True)
        if row["caption"]
    ]
    frame = pl.DataFrame(scored, schema=Alignment.create_empty().schema, orient="row")
    workspace.table("alignment", SOURCE, ENCODER).write_part(chunk, frame, Alignment)
