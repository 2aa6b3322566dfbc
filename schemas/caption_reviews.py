"""What a row of `caption_reviews/<source>` looks like: a person's verdict on one caption."""

import dataframely as dy

from schemas.emotion_names import EMOTION_NAMES
from schemas.tables import SHA256_PATTERN

AUDIT_ID_PATTERN = "^audit-[0-9a-f]{12}$"
VERDICTS = ("accept", "reject")


class CaptionReviews(dy.Schema):
    """`caption_reviews/<source>`: one verdict on one attempt to caption one picture, given in one audit."""

    image_id = dy.String(primary_key=True, regex=SHA256_PATTERN)
    recipe_id = dy.String(primary_key=True)  # of the caption
    attempt = dy.Int32(primary_key=True, min=1)
    audit_id = dy.String(primary_key=True, regex=AUDIT_ID_PATTERN)
    emotion = dy.String(nullable=False, check=lambda column: column.is_in(EMOTION_NAMES))  # that the caption answers to
    verdict = dy.String(nullable=False, check=lambda column: column.is_in(VERDICTS))
    note = dy.String(nullable=True)  # the person's words on why it was rejected
    reviewer = dy.String(nullable=True)
    exported_at = dy.String(nullable=False)  # UTC, "2026-01-31T12:00:00.000Z": sorts by time as text
