import inspect

import pytest
from prefect import flow

from coemogen_core.captioning.alignment import align_captions
from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.classifier.classifier_store import score_part
from coemogen_core.classifier.cross_validation import cross_validate
from coemogen_core.classifier.emotion_probe import ProbeRecipe
from coemogen_core.classifier.probe_training import train_classifier
from coemogen_core.classifier.published_head import import_published_head
from coemogen_core.classifier.rating_agreement import compare_with_ratings
from coemogen_core.classifier.style_audit import audit_styles
from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import CurationRecipe
from coemogen_core.curation.selection import Selection
from coemogen_core.emotions import EMOTIONS
from coemogen_core.encoders.clip_encoder import EncoderRecipe
from coemogen_core.encoders.embedding import embed_part
from coemogen_core.publication.publication import publish
from coemogen_core.storage.workspace import Workspace
from tasks.curate import (
    align_captions_task,
    audit_styles_task,
    compare_with_ratings_task,
    cross_validate_task,
    decide_task,
    import_published_head_task,
    publish_task,
    score_part_task,
    train_classifier_task,
)
from tasks.ingest import embed_part_task
from tests.coemogen_core.curation.small_tables import CAPTION_RECIPE, caption_row, image_row, labelled_photos, write_captions, write_images

PAIRS = [
    (embed_part_task, embed_part),
    (align_captions_task, align_captions),
    (train_classifier_task, train_classifier),
    (import_published_head_task, import_published_head),
    (cross_validate_task, cross_validate),
    (audit_styles_task, audit_styles),
    (compare_with_ratings_task, compare_with_ratings),
    (score_part_task, score_part),
    (decide_task, decide),
    (publish_task, publish),
]


@pytest.mark.parametrize(("task", "core"), PAIRS)
def test_tasks_take_what_the_core_takes(task, core):
    taken = [name for name in inspect.signature(core).parameters if name != "slot"]  # the task's own affair
    assert list(inspect.signature(task.fn).parameters)[1:] == taken[1:]


@flow
def curate_art(uri: str, encoder: EncoderRecipe, photos: str, art: str) -> tuple[str, int, bool]:
    """Photos teach, paintings are scored, captioned (by the test), decided and published."""
    embedded = [embed_part_task(uri, "photos", photos, encoder), embed_part_task(uri, "art", art, encoder)]
    recipe = ProbeRecipe(strengths=(0.001, 0.1), min_held_out_rows=8)
    classifier = train_classifier_task(uri, "photos", [photos], encoder.encoder_id, recipe).card.classifier_id
    score_part_task(uri, "art", art, encoder.encoder_id, classifier)
    selection = Selection.by_confidence(classifier, min_confidence=0.2)
    wanted = selection.wanted(Workspace(uri), "art", art)
    write_captions(Workspace(uri), "art", art, 0, [caption_row(i, f"a scene of {e}", prior=e) for i, e in wanted.iter_rows()])
    aligned = align_captions_task(uri, "art", art, CaptionPolicy.pinned(CAPTION_RECIPE), encoder)
    curation = CurationRecipe(
        dataset="emoart",
        selection=selection,
        captions=CaptionPolicy.pinned(CAPTION_RECIPE),
        encoder_id=encoder.encoder_id,
        drop_fraction=0.2,
    )
    decided = decide_task(uri, "art", [art], curation)
    published = publish_task(uri, "emoart", decided.version, "art")
    return (
        decided.version,
        published.manifest.rows,
        all(outcome.reused for outcome in (*embedded, aligned, *decided.parts, *published.parts)),
    )


def test_the_whole_curation_runs_as_a_flow_and_then_reuses(tmp_path, tiny_clip, prefect_server, taken):
    uri = str(tmp_path / "workspace")
    write_images(Workspace(uri), "photos", "part-0", labelled_photos(10))
    write_images(Workspace(uri), "art", "part-1", [image_row(emotion, 50 + n) for emotion in EMOTIONS for n in range(5)])
    encoder = EncoderRecipe(model=str(tiny_clip), device="cpu")
    version, rows, reused = curate_art(uri, encoder, "part-0", "part-1")
    assert not reused
    assert taken == [("gpu", 1)] * 3  # two sources embedded, captions aligned
    assert rows == 6 * 4  # six collected emotions of five paintings, one in five dropped
    assert curate_art(uri, encoder, "part-0", "part-1") == (version, rows, True)
    assert len(taken) == 3  # what stands already waits for nothing
