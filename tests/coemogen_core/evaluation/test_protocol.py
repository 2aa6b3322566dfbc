"""Protocol "emogen" repeats five faults of the public evaluation code: here is what each does to a number, beside the corrected one."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from coemogen_core.emotions import EMOTIONS
from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.evaluation import fid, lpips, semantics
from coemogen_core.evaluation.distributions import NOT_WITH_EMOGEN
from coemogen_core.evaluation.emogen_pairs import PAIRS_PER_EMOTION, Place, draw_pairs, measure_pairs
from coemogen_core.evaluation.encoder_extractors import ClipEmbedder, TwiceRescaledClipEmbedder
from coemogen_core.evaluation.evaluate import evaluate_method
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.features import ImageFeatures, LabelledImage, compute_features
from coemogen_core.evaluation.lab_extractors import extractors_of_judges, lab_extractors
from coemogen_core.evaluation.recipe import EvaluationRecipe, load_extractors
from coemogen_core.evaluation.reference import ReferenceSelection, reference_part, select_reference, stored_reference
from coemogen_core.evaluation.run_files import evaluate_real_images, evaluate_samples
from coemogen_core.evaluation.sample_pictures import stored_samples
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Images, Samples

CORRECTED = EvaluationRecipe(resamples=40)
EMOGEN = EvaluationRecipe(resamples=40, protocol="emogen")


class InMemory:
    """Pictures of every emotion in memory."""

    def __init__(self, images: Sequence[LabelledImage]) -> None:
        self.by_emotion = [[image.data for image in images if image.emotion == emotion] for emotion in EMOTIONS]

    def counts(self) -> list[int]:
        return [len(found) for found in self.by_emotion]

    def load(self, places: Sequence[Place]) -> list[bytes]:
        return [self.by_emotion[emotion][number] for emotion, number in places]


def png(rgb: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def features_of(images: list[LabelledImage], extractors: ExtractorSet, recipe: EvaluationRecipe) -> ImageFeatures:
    return compute_features(images, extractors, recipe.model_copy(update={"batch_size": 16}))


def under_emogen(extractors: ExtractorSet) -> ExtractorSet:
    """The fake networks as they are under "emogen"."""
    judges = extractors.emotion_probes[0].network, extractors.content.network  # type: ignore[attr-defined]
    return extractors_of_judges(*judges, extractors.clip, "emogen")


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    """Smooth random pictures of 128 pixels, as photographs are more than noise is."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (24, 6, 6, 3)).astype(np.uint8)
    return [np.asarray(Image.fromarray(rgb).resize((128, 128), Image.Resampling.BICUBIC)) for rgb in coarse]


def test_fault_one_pairs_leak_across_emotions_and_inflate_diversity(extractors: ExtractorSet) -> None:
    """All pictures of an emotion are the same one: no diversity within, but "emogen" reports some."""
    colours = np.random.default_rng(3).integers(0, 256, (8, 16, 16, 3))
    images = [LabelledImage(f"{e}-{k}", emotion, png(colours[e])) for e, emotion in enumerate(EMOTIONS) for k in range(6)]
    found = evaluate_method(features_of(images, extractors, CORRECTED), None, extractors, CORRECTED)
    assert found.lpips.value == pytest.approx(0, abs=1e-9)
    assert found.sem_d.value == pytest.approx(0, abs=1e-9)
    faulty = under_emogen(extractors)
    leaky = evaluate_method(features_of(images, faulty, EMOGEN), None, faulty, EMOGEN, InMemory(images))
    assert leaky.per_emotion["amusement"].lpips == pytest.approx(0, abs=1e-9)
    assert leaky.per_emotion["sadness"].lpips > 0.01
    assert leaky.lpips.value > 0.01
    assert leaky.sem_d.value > 1e-6


def test_fault_two_ten_random_pairs_an_emotion_instead_of_all() -> None:
    draws = draw_pairs([100] * 8, seed=0)
    assert draws == draw_pairs([100] * 8, seed=0)
    assert draws != draw_pairs([100] * 8, seed=1)
    for emotion, pairs in enumerate(draws):
        assert all(first != second and max(first[0], second[0]) <= emotion for first, second in pairs)
    within = [np.mean([first[0] == second[0] for first, second in pairs]) for pairs in draws]
    assert within[0] == 1.0
    assert within[7] < 0.5
    assert draw_pairs([0, 1, 0, 1, 0, 0, 0, 0], seed=0)[1] == []
    assert {place for pair in draw_pairs([0, 1, 0, 1, 0, 0, 0, 0], seed=0)[3] for place in pair} == {(1, 0), (3, 0)}


def test_ten_pairs_say_less_than_all_of_them(extractors: ExtractorSet, labelled_images) -> None:  # type: ignore[no-untyped-def]
    """Another seed moves "emogen"'s Sem-D; the corrected one takes all pairs and does not know a seed."""
    images = labelled_images(8)
    faulty = under_emogen(extractors)
    ten = {float(measure_pairs(InMemory(images), faulty, seed).sem_d[:PAIRS_PER_EMOTION].mean()) for seed in range(4)}
    every = {
        evaluate_method(features_of(images, extractors, recipe), None, extractors, recipe).per_emotion["amusement"].sem_d
        for recipe in (CORRECTED.model_copy(update={"seed": seed}) for seed in range(4))
    }
    assert np.ptp(list(ten)) > 1e-3 * np.mean(list(ten))
    assert np.ptp(list(every)) < 1e-6 * np.mean(list(every))
    again = measure_pairs(InMemory(images), faulty, 2)
    assert np.array_equal(again.lpips, measure_pairs(InMemory(images), faulty, 2).lpips)
    assert np.bincount(again.emotions).tolist() == [PAIRS_PER_EMOTION] * 8


def test_fault_three_lpips_without_normalisation_is_smaller(photos: list[np.ndarray]) -> None:
    """Half the contrast around another grey: on the lab's networks every distance of these pictures shrinks."""

    def distances(extractors: ExtractorSet) -> np.ndarray:
        vectors = lpips.perceptual_vectors(extractors.perceptual.feature_maps(photos), extractors.perceptual.layer_weights)
        return lpips.circle_distances(iter(vectors), len(photos), 8).distance

    corrected, emogen = distances(lab_extractors()), distances(lab_extractors(protocol="emogen"))
    assert emogen.mean() < 0.95 * corrected.mean()


def test_fault_four_rescaling_twice_deflates_sem_d(tiny_clip: Path, photos: list[np.ndarray]) -> None:
    """The network sees black pictures; against the same raw embeddings of the right pixels nearly no difference is left."""
    encoder = load_encoder(EncoderRecipe(model=str(tiny_clip), device="cpu", unit_length=False))
    right = ClipEmbedder(encoder, "clip").embeddings(photos)  # as raw as the encoder
    dark = TwiceRescaledClipEmbedder(encoder, "clip").embeddings(photos)
    assert semantics.mean_pair_difference(dark) < 0.01 * semantics.mean_pair_difference(right)
    mean, spread = (values.reshape(3, 1, 1) for values in encoder.normalisation)
    by_hand = np.stack([(encoder.preprocess(Image.fromarray(rgb)) * spread + mean) for rgb in photos])
    assert by_hand.min() >= 0
    assert 0.5 < by_hand.max() <= 1.001
    assert np.allclose(dark, encoder.encode_pixels(((by_hand / 255 - mean) / spread).astype(np.float32)), atol=1e-5)


def image_row(data: bytes, number: int, emotion: str, split: str) -> dict[str, object]:
    nothing = dict.fromkeys(("artist", "style", "genre", "licence", "attributes"))
    place = {"image_id": f"{number:064x}", "image": {"bytes": data, "path": "x.png"}, "width": 16, "height": 16}
    return place | nothing | {"label": emotion, "split": split}


@pytest.fixture
def workspace(workspace: Workspace, labelled_images) -> Workspace:  # type: ignore[no-untyped-def]
    """Training photos, test photos that look otherwise, and a generator that repeats the training photos."""
    for part, (split, first) in enumerate((("train", 0), ("test", 500))):
        rows = [image_row(image.data, 1000 * part + k, image.emotion, split) for k, image in enumerate(labelled_images(6, first))]
        workspace.table("images", "photos").write_part(f"part-{part:05d}", pl.DataFrame(rows), Images)
    for emotion in EMOTIONS:
        rows = [
            {"emotion": emotion, "index": k, "seed": k, "image": {"bytes": image.data, "path": "x.png"}}
            for k, image in enumerate(image for image in labelled_images(6, 0) if image.emotion == emotion)
        ]
        workspace.table("runs", "r1", "samples", "copycat").write_part(emotion, pl.DataFrame(rows), Samples)
    return workspace


def test_fault_five_training_images_in_the_reference_flatter_a_generator_that_repeats_them(
    workspace: Workspace, extractors: ExtractorSet
) -> None:
    held_out, everything = (select_reference(workspace, "photos", 48, recipe.protocol) for recipe in (CORRECTED, EMOGEN))
    assert (held_out.split, held_out.images) == ("test", 48)
    assert (everything.split, everything.images) == (None, 96)

    def features(selection: ReferenceSelection) -> np.ndarray:
        found = stored_reference(workspace, selection)
        images = found.load([(emotion, k) for emotion, count in enumerate(found.counts()) for k in range(count)])
        return extractors.fid.features([np.asarray(Image.open(io.BytesIO(data))) for data in images])

    samples = stored_samples(workspace, "r1", "copycat")
    assert samples.counts() == [6] * 8
    copied = samples.load([(emotion, k) for emotion in range(8) for k in range(6)])
    generated = fid.gaussian_statistics(extractors.fid.features([np.asarray(Image.open(io.BytesIO(data))) for data in copied]))
    flattered, honest = (fid.frechet_distance(generated, fid.gaussian_statistics(features(s))) for s in (everything, held_out))
    assert flattered < 0.7 * honest


def test_pictures_of_a_workspace_are_found_by_emotion_and_number(workspace: Workspace, labelled_images) -> None:  # type: ignore[no-untyped-def]
    found = stored_reference(workspace, select_reference(workspace, "photos", 48, "emogen"))
    assert found.counts() == [12] * 8
    awe = [image.data for image in (*labelled_images(6, 0), *labelled_images(6, 500)) if image.emotion == "awe"]
    assert found.load([(1, 11), (1, 0), (1, 7)]) == [awe[11], awe[0], awe[7]]
    assert stored_samples(workspace, "r1", "copycat").load([(1, 2), (1, 1)]) == [awe[2], awe[1]]


def test_a_run_is_measured_under_emogen_from_samples_to_numbers(workspace: Workspace, extractors: ExtractorSet) -> None:
    faulty = under_emogen(extractors)
    selection = select_reference(workspace, "photos", 48, "emogen")
    for part in selection.parts:
        reference_part(workspace, selection, part, EMOGEN, faulty)
    found = evaluate_samples(workspace, "r1", "copycat", selection, EMOGEN, faulty)
    real = evaluate_real_images(workspace, selection, EMOGEN, faulty)
    assert (found.metrics.images, real.images, real.split) == (48, 96, None)
    assert found.metrics.cmmd.reason == NOT_WITH_EMOGEN
    for measured in (found.metrics, real):
        assert measured.lpips.low is not None
        assert measured.sem_d.low < measured.sem_d.value < measured.sem_d.high
    again = evaluate_samples(workspace, "r1", "copycat", selection, EMOGEN, faulty)
    assert again.reused
    assert again.metrics == found.metrics


def test_unreadable_pictures_are_replaced_by_further_draws(extractors: ExtractorSet, labelled_images) -> None:  # type: ignore[no-untyped-def]
    images = [replace(image, data=b"none") if image.name.endswith("-0") else image for image in labelled_images(6)]
    assert np.bincount(measure_pairs(InMemory(images), under_emogen(extractors), 0).emotions).tolist() == [PAIRS_PER_EMOTION] * 8


def test_identities_say_what_is_faulty_and_the_default_ids_stay_what_they_were() -> None:
    corrected, emogen = load_extractors(CORRECTED), load_extractors(EMOGEN)
    assert "bilinear" in emogen.fid.identity
    assert "pixels in [0, 1]" in emogen.perceptual.identity
    assert "rescaled twice" in emogen.clip.identity
    assert corrected.identities()["sem_c"] == emogen.identities()["sem_c"]
    assert CORRECTED.features_id(corrected) != EMOGEN.features_id(emogen)
    assert "unit length" in corrected.clip.identity
    nothing_else = SimpleNamespace(identities=lambda: {"fid": "a"})
    assert EvaluationRecipe().features_id(nothing_else) == "features-ebd6be7c4902"  # type: ignore[arg-type]  cached features are found by it


def test_pairs_belong_to_emogen_only(extractors: ExtractorSet, labelled_images) -> None:  # type: ignore[no-untyped-def]
    images = labelled_images(2)
    features = features_of(images, extractors, CORRECTED)
    with pytest.raises(ValueError, match="draws pairs from the pictures"):
        evaluate_method(features, None, extractors, EMOGEN)
    without = evaluate_method(features, None, extractors, CORRECTED)
    assert evaluate_method(features, None, extractors, CORRECTED, InMemory(images)) == without
