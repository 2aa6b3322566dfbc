"""The sections of the report that show single samples: failures, the map, the nearest training pictures."""

import re
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from coemogen_core.device import Slot
from coemogen_core.emotions import EMOART_EMOTIONS, EMOTIONS
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.sample_pictures import evaluated_samples
from coemogen_core.report.build import ReportRecipe, build_report_data
from coemogen_core.report.data import MapPanel, ReportData
from coemogen_core.report.nearest_pictures import TrainingSet
from coemogen_core.report.render import render_report
from coemogen_core.report.training import TrainedFeatures
from coemogen_core.storage.workspace import Workspace
from schemas.metrics import Metrics
from tests.coemogen_core.report.report_workspace import COPIED, MIRRORED, RECIPE, RUNS, evaluated_run, reference_of
from tests.recorded_slot import RecordedSlot

SHOWN = ReportRecipe(columns=3)


@pytest.fixture
def metrics(workspace: Workspace, extractors: ExtractorSet, png: Callable[..., bytes]) -> Metrics:
    return evaluated_run(workspace, extractors, png)


@pytest.fixture
def build(workspace: Workspace, metrics: Metrics, extractors: ExtractorSet, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ReportData]:
    """Report data of the run, with the networks that the test names."""
    place = "coemogen_core.report.build"
    monkeypatch.setattr("coemogen_core.report.nearest_pictures.read_record", lambda *_: type("Record", (), {"source": "photos"}))

    def built(networks: ExtractorSet = extractors, slot: Slot = nullcontext) -> ReportData:
        monkeypatch.setattr(f"{place}.load_extractors", lambda _: networks)
        return build_report_data(workspace, metrics, RUNS, SHOWN, selection=reference_of(workspace), evaluation=RECIPE, slot=slot)

    return built


def test_rows_of_features_know_their_pictures(workspace: Workspace, metrics: Metrics, extractors: ExtractorSet) -> None:
    assert metrics.methods["sd"].images == 48
    found = evaluated_samples(workspace, "run", "coemogen", RECIPE, extractors)
    assert sorted(found.places) == [(emotion, k) for emotion in range(8) for k in range(6)]
    from coemogen_core.evaluation.extractors import decode_rgb

    again = extractors.clip.embeddings([decode_rgb(data) for data in found.encoded(range(48))])
    assert np.allclose(again, found.features.embeddings, atol=1e-6)
    first = found.rows_of_first(2)
    assert [found.places[row] for row in first] == [(emotion, k) for emotion in range(8) for k in range(2)]


def test_unreadable_samples_shift_no_row(workspace: Workspace, extractors: ExtractorSet, png: Callable[..., bytes]) -> None:
    import polars as pl

    from schemas.tables import Samples

    data = [png(1, 0), b"broken", png(1, 2), png(1, 3)]
    rows = [{"emotion": "awe", "index": k, "seed": k, "image": {"bytes": each, "path": "x"}} for k, each in enumerate(data)]
    workspace.table("runs", "other", "samples", "sd").write_part("awe", pl.DataFrame(rows), Samples)
    found = evaluated_samples(workspace, "other", "sd", RECIPE, extractors)
    assert sorted(found.places) == [(1, 0), (1, 2), (1, 3)]
    again = extractors.clip.embeddings([np.asarray(_decoded(each)) for each in found.encoded(range(3))])
    assert np.allclose(again, found.features.embeddings, atol=1e-6)


def _decoded(data: bytes) -> object:
    from coemogen_core.data.decode import decode_image

    return decode_image(data)


def test_failures_are_those_of_the_confusion_matrix(build: Callable[..., ReportData], metrics: Metrics) -> None:
    parts = build().failures
    assert list(parts) == ["coemogen", "a-third-method", "sd"]
    assert (parts["coemogen"].missed, parts["coemogen"].worst) == (0, [])
    sd = parts["sd"]
    confusion = np.array(next(iter(metrics.methods["sd"].probes.values())).confusion)
    assert sd.missed == confusion.sum() - np.trace(confusion) == 48
    assert [failure.wanted for failure in sd.worst] == list(EMOTIONS)
    assert [failure.seen for failure in sd.worst] == [EMOTIONS[(k + 3) % 8] for k in range(8)]
    assert len(sd.drawn) == 8
    assert all(failure.picture.alt.startswith(failure.wanted) for failure in (*sd.worst, *sd.drawn))


def test_a_copied_training_photo_is_found_and_flagged_and_chance_flags_few_others(build: Callable[..., ReportData]) -> None:
    part = build().memorisation
    assert part is not None
    assert (part.images, part.compared, part.percentile) == (96, 96, 0.95)
    assert list(part.rows) == list(EMOTIONS)
    pairs = [pair for found in part.rows.values() for some in found.values() for pair in some]
    assert len(pairs) == 8 * 3 * 3
    assert {method: found.samples for method, found in part.methods.items()} == dict.fromkeys(RUNS, 24)
    emotion, number = COPIED
    copy = part.rows[EMOTIONS[emotion]]["coemogen"][number]
    assert copy.near_copy
    assert (copy.similarity, copy.share, copy.pixel_distance) == (pytest.approx(1, abs=1e-3), 1.0, 0.0)
    assert copy.nearest.data_uri == copy.sample.data_uri
    assert part.methods["coemogen"].copies == sum(pair.near_copy for found in part.rows.values() for pair in found["coemogen"])
    mirrored = part.rows[EMOTIONS[MIRRORED[0]]]["coemogen"][MIRRORED[1]]
    assert (copy.mirrored, mirrored.mirrored) == (False, True)
    assert mirrored.near_copy
    assert (mirrored.similarity, mirrored.share, mirrored.pixel_distance) == (pytest.approx(1, abs=1e-3), 1.0, 0.0)
    nearest = part.methods["coemogen"].nearest[:2]
    assert copy in nearest
    assert mirrored in nearest
    others = [pair for pair in pairs if pair is not copy and pair is not mirrored]
    assert all(pair.pixel_distance > 0.1 and pair.nearest.data_uri != pair.sample.data_uri for pair in others)
    assert sum(pair.near_copy for pair in others) <= (1 - part.percentile) * len(others), "they are drawn like the photos"


def began_with(workspace: Workspace, mirror: bool = True) -> None:
    """The model of the samples was trained on nothing that is here, after a model that saw the photos."""
    shown = {"features": "features-x.v1.none", "recipe": {"from_run": "train-0", "mirror": True}}
    workspace.write_json({"training": {"dataset": "other", **shown}}, "runs", "train-a", "model", "config.json")
    before = {"dataset": "emoset", "features": "features-x.v1.all", "recipe": {"from_run": None, "mirror": mirror}}
    workspace.write_json({"training": before}, "runs", "train-0", "model", "config.json")


def test_copies_are_looked_for_in_the_training_before_too(build: Callable[..., ReportData], workspace: Workspace) -> None:
    began_with(workspace)
    part = build().memorisation
    assert part is not None
    assert part.images == 96
    assert part.rows[EMOTIONS[COPIED[0]]]["coemogen"][COPIED[1]].near_copy
    assert part.rows[EMOTIONS[MIRRORED[0]]]["coemogen"][MIRRORED[1]].mirrored


def test_mirror_images_that_the_training_did_not_see_are_no_copies(build: Callable[..., ReportData], workspace: Workspace) -> None:
    began_with(workspace, mirror=False)
    part = build().memorisation
    assert part is not None
    assert not any(pair.mirrored for found in part.rows.values() for pairs in found.values() for pair in pairs)


def test_pictures_of_two_trainings_count_once(build: Callable[..., ReportData], workspace: Workspace) -> None:
    name = "features-x.v1.all"
    for part in workspace.list_files("features", "emoset", name):
        workspace.write_file(workspace.read_file("features", "emoset", name, part), "features", "again", "features-y.v1.all", part)
    workspace.write_json({"method": "sd", "model": "train-b"}, "runs", "run", "samples", "sd.recipe.json")
    for first, second in ((True, False), (False, True)):  # whichever saw the mirror images
        for run, dataset, features, mirror in (("train-a", "emoset", name, first), ("train-b", "again", "features-y.v1.all", second)):
            trained = {"dataset": dataset, "features": features, "recipe": {"mirror": mirror}}
            workspace.write_json({"training": trained}, "runs", run, "model", "config.json")
        part = build().memorisation
        assert part is not None
        assert part.images == 96
        assert part.rows[EMOTIONS[MIRRORED[0]]]["coemogen"][MIRRORED[1]].mirrored


def test_a_picture_that_one_of_two_sources_no_longer_holds_is_still_found_in_the_other(
    workspace: Workspace, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "features-x.v1.all"
    for part in workspace.list_files("features", "emoset", name):
        workspace.write_file(workspace.read_file("features", "emoset", name, part), "features", "gone", "features-y.v1.all", part)
    place = "coemogen_core.report.nearest_pictures"
    sources = {"gone": "gone", "emoset": "photos"}
    monkeypatch.setattr(f"{place}.read_record", lambda _, dataset, version: type("Record", (), {"source": sources[dataset]}))
    sets = [TrainedFeatures("gone", "features-y.v1.all", mirror=True), TrainedFeatures("emoset", name, mirror=True)]
    for order in (sets, sets[::-1]):
        assert sum(len(part.image_ids) for part in TrainingSet(workspace, order).parts()) == 96


def test_the_map_explains_the_marks_that_it_has(build: Callable[..., ReportData]) -> None:
    data = build()
    assert data.map is not None
    kept = [panel.model_copy(update=_only(panel, EMOART_EMOTIONS)) for panel in data.map.panels]
    fewer = data.model_copy(update={"map": data.map.model_copy(update={"panels": kept})})
    legends = [re.search(r'<ul class="legend">(.*?)</ul>', render_report(one).split('id="map"')[1], re.DOTALL) for one in (data, fewer)]
    shown = [re.findall(r"</span> (\w+)</li>", legend[1]) for legend in legends if legend]
    assert shown == [list(EMOTIONS), list(EMOART_EMOTIONS)]
    assert "color: var(--emotion-7)" in render_report(fewer)  # sadness has its colour still


def _only(panel: MapPanel, emotions: Collection[str]) -> dict[str, Any]:
    rows = [row for row, emotion in enumerate(panel.emotions) if emotion in emotions]
    return {"positions": [panel.positions[row] for row in rows], "emotions": [panel.emotions[row] for row in rows]}


def test_embeddings_of_another_clip_are_not_compared(build: Callable[..., ReportData], extractors: ExtractorSet) -> None:
    class OtherClip:
        identity = extractors.clip.identity

        def embeddings(self, batch: list[np.ndarray]) -> np.ndarray:
            return extractors.clip.embeddings(batch)[:, ::-1] - 0.25

    class NarrowClip(OtherClip):
        def embeddings(self, batch: list[np.ndarray]) -> np.ndarray:
            return extractors.clip.embeddings(batch)[:, :5]

    for clip in (OtherClip(), NarrowClip()):
        assert build(replace(extractors, clip=clip)).memorisation is None


def test_the_map_has_a_panel_for_every_set(build: Callable[..., ReportData]) -> None:
    found = build().map
    assert found is not None
    assert [(panel.name, panel.images) for panel in found.panels] == [(None, 96), ("coemogen", 48), ("a-third-method", 48), ("sd", 48)]
    for panel in found.panels:
        assert len(panel.positions) == len(panel.emotions) == panel.images
        assert set(panel.emotions) == set(EMOTIONS)
    assert 0 < found.variance <= 1


def test_the_page_shows_it_all_and_twice_the_same(build: Callable[..., ReportData], workspace: Workspace, metrics: Metrics) -> None:
    data = build()
    page = render_report(data)
    assert page == render_report(build())
    for expected in (
        'id="failures"',
        'id="map"',
        'id="memorisation"',
        "of the 24 samples in the gallery",
        "near copy",
        "var(--emotion-7)",
        "Check for collapse: no collapse",
        "48 of 48 pictures are taken for another emotion",
        "var(--method-2)",
    ):
        assert expected in page, expected
    plain = render_report(build_report_data(workspace, metrics, RUNS, SHOWN))
    assert not any(f'id="{section}"' in plain for section in ("failures", "map", "memorisation"))


def test_samples_of_no_trained_model_have_no_training_pictures(build: Callable[..., ReportData], workspace: Workspace) -> None:
    workspace.write_json({"method": "coemogen"}, "runs", "run", "samples", "coemogen.recipe.json")
    data = build()
    assert data.memorisation is None
    assert data.map is not None


def test_many_methods_show_fewer_pairs_and_count_all(build: Callable[..., ReportData], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coemogen_core.report.nearest_pictures.PAIRS_SHOWN", 48)
    part = build().memorisation
    assert part is not None
    assert {len(pairs) for found in part.rows.values() for pairs in found.values()} == {2}
    assert {found.samples for found in part.methods.values()} == {24}


def test_the_networks_of_the_report_are_asked_within_its_slot(
    build: Callable[..., ReportData], extractors: ExtractorSet, slot: RecordedSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(extractors.clip)
    monkeypatch.setattr(kind, "embeddings", slot.watch(kind.embeddings))  # type: ignore[attr-defined]
    assert build(slot=slot).memorisation is not None
    assert (slot.seen, slot.entered) == ([True], 1)
