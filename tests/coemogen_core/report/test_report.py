"""The report: built from a workspace, rendered, and read as a browser would."""

import hashlib
import json
from collections.abc import Callable
from html.parser import HTMLParser
from types import SimpleNamespace

import polars as pl
import pytest

from coemogen_core.emotions import EMOART_EMOTIONS, EMOTIONS
from coemogen_core.evaluation.emoart import emoart_metrics
from coemogen_core.experiments.files import write_experiments
from coemogen_core.experiments.published import CLIP
from coemogen_core.report.build import CorpusVersion, ReportRecipe, build_report_data
from coemogen_core.report.charts import Series, dot_chart
from coemogen_core.report.data import ReportData
from coemogen_core.report.pictures import display_width, inline_picture, is_pixel_art
from coemogen_core.report.render import render_report, summary
from coemogen_core.report.tables import reference_notes
from coemogen_core.report.training import POINTS
from coemogen_core.storage.workspace import Workspace
from schemas.metrics import Interval, Metrics
from schemas.tables import Decisions, Images, Samples
from tests.coemogen_core.curation.small_tables import decisions_frame
from tests.coemogen_core.experiments.small_matrix import experiments, run

VOID = {"meta", "link", "img", "br", "path", "use", "rect"}
NASTY = "<script>alert('caption')</script> & a \"dog\""
Png = Callable[..., bytes]


class Reader(HTMLParser):
    """Collects tags, attributes, ids and text, and checks that elements close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def write_samples(workspace: Workspace, png: Png) -> None:
    for method, first in (("coemogen", 0), ("sd", 50)):
        for index, emotion in enumerate(EMOTIONS):
            rows = [
                {"emotion": emotion, "index": k, "seed": k, "image": {"bytes": png(index, first + k), "path": f"{k}.png"}} for k in range(9)
            ]
            workspace.table("runs", "run", "samples", method).write_part(emotion, pl.DataFrame(rows), Samples)


def write_log(workspace: Workspace, intervals: int = 400) -> None:
    """The log of a training that fear comes late to."""
    lines = []
    for index in range(intervals):
        loss = {"ldm": 1 / (1 + index), "sem": 0.5 / (1 + index)}
        emotions = {emotion: loss | {"samples": 4} for emotion in EMOTIONS if emotion != "fear" or index >= 200}
        lines.append({"step": 25 * (index + 1), **loss, "learning_rate": 1e-3, "seconds_per_step": 0.1, "emotions": emotions})
    workspace.write_file("".join(json.dumps(line) + "\n" for line in lines).encode(), "runs", "train-a", "log.jsonl")
    workspace.write_json({"method": "coemogen", "model": "train-a"}, "runs", "run", "samples", "coemogen.recipe.json")


PHOTOS, ART = (CorpusVersion(dataset=dataset, version="v1") for dataset in ("emoset", "emoart"))


def write_corpus(workspace: Workspace, png: Png, corpus: CorpusVersion, size: tuple[int, int]) -> None:
    pictures = [png(k % 8, 900 + k, size) for k in range(24)]
    ids = [hashlib.sha256(data).hexdigest() for data in pictures]
    images = [
        {"image_id": name, "image": {"bytes": data, "path": "x.png"}, "width": size[0], "height": size[1], "label": EMOTIONS[k % 8]}
        | {"split": None, "artist": "a_painter", "style": "Cubism", "genre": None, "licence": None, "attributes": None}
        for k, (name, data) in enumerate(zip(ids, pictures, strict=True))
    ]
    decided = [
        {"image_id": name, "kept": k % 3 > 0, "reason": "kept" if k % 3 else ("low alignment", "no caption")[k % 2]}
        | {"label": EMOTIONS[k % 8], "confidence": 0.9, "caption": NASTY, "similarity": 0.3}
        for k, name in enumerate(ids)
    ]
    workspace.table("images", corpus.dataset).write_part("part-00000", pl.DataFrame(images), Images)
    workspace.table("decisions", corpus.dataset, corpus.version).write_part("part-00000", decisions_frame(decided), Decisions)


def record_of(source: str, emotions: tuple[str, ...] = EMOTIONS) -> SimpleNamespace:
    return SimpleNamespace(source=source, recipe=SimpleNamespace(selection=SimpleNamespace(emotions=emotions)))


@pytest.fixture
def filled(tmp_path_factory: pytest.TempPathFactory, png: Png) -> Workspace:
    workspace = Workspace(str(tmp_path_factory.mktemp("workspace")))
    write_samples(workspace, png)
    write_log(workspace)
    write_corpus(workspace, png, PHOTOS, (64, 64))
    write_corpus(workspace, png, ART, (300, 200))
    return workspace


@pytest.fixture
def data(filled: Workspace, metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> ReportData:
    monkeypatch.setattr("coemogen_core.report.build.read_record", lambda _, dataset, version: record_of(dataset))
    decisions = filled.table("decisions", "emoart", "v1").read()
    metrics = metrics.model_copy(update={"emoart": emoart_metrics(decisions, dict(decisions.select("image_id", "label").iter_rows()))})
    return build_report_data(filled, metrics, {"sd": "run", "coemogen": "run"}, ReportRecipe(), [PHOTOS], ART)


def test_the_data_hold_the_same_seeds_in_the_same_place(data: ReportData) -> None:
    assert list(data.gallery) == list(EMOTIONS)
    assert list(data.gallery["awe"]) == ["coemogen", "sd"]
    for pictures in data.gallery.values():
        ours, base = ([picture.alt.rsplit(" ", 1)[-1] for picture in pictures[name]] for name in ("coemogen", "sd"))
        assert ours == base == [str(seed) for seed in range(8)]
    (photos,) = data.corpora
    assert (photos.candidates, photos.kept, len(photos.examples)) == (24, 16, 16)
    assert [step.remaining for step in photos.steps] == [20, 16]
    assert {example.emotion for example in photos.examples if example.kept} == set(EMOTIONS)


def test_only_wanted_emotions_are_listed_among_the_kept(data: ReportData, filled: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = data.corpora[0].per_emotion
    assert {"excitement", "disgust"} <= kept.keys()
    monkeypatch.setattr("coemogen_core.report.build.read_record", lambda _, dataset, version: record_of(dataset, EMOART_EMOTIONS))
    for corpora, art in (([PHOTOS], None), ([], PHOTOS)):
        again = build_report_data(filled, data.metrics, {}, ReportRecipe(), corpora, art)
        shown = again.art or again.corpora[0]
        assert shown.per_emotion == {emotion: kept[emotion] for emotion in EMOART_EMOTIONS}


def test_every_corpus_that_was_trained_on_is_shown(data: ReportData, filled: Workspace) -> None:
    joint = build_report_data(filled, data.metrics, {}, ReportRecipe(), [PHOTOS, ART])
    page = render_report(joint)
    assert [corpus.name for corpus in joint.corpora] == ["emoset", "emoart"]
    assert page.count("From 24 pictures to 16") == 2
    assert "<h3>emoset</h3>" in page
    assert "<h3>emoset</h3>" not in render_report(data)


def test_the_training_is_shown_overall_and_by_emotion(data: ReportData) -> None:
    training = data.training
    assert training is not None
    assert training.run_id == "train-a"
    assert (training.steps[0], training.steps[-1], len(training.steps)) == (25, 10_000, POINTS)
    assert training.diffusion.overall[0] == 1.0
    assert training.diffusion.overall == sorted(training.diffusion.overall, reverse=True)
    assert training.semantic.overall[-1] == pytest.approx(training.diffusion.overall[-1] / 2)
    assert training.semantic.per_emotion.keys() == set(EMOTIONS)
    fear = training.semantic.per_emotion["fear"]
    assert [value is None for value in fear] == [step <= 5000 for step in training.steps]
    page = render_report(data)
    assert "10,000 steps" in page
    assert page.count("over the training") >= 2
    for index in range(8):
        assert f"stroke: var(--method-{index})" in page


def test_the_report_is_complete_and_self_contained(data: ReportData) -> None:
    page = render_report(data)
    reader = read(page)
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"gallery", "metrics", "emotions", "confusion", "captions", "emoart", "training", "run"} <= set(ids)
    for tag, attributes in reader.tags:
        assert tag not in {"script", "iframe", "object", "embed"}
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)
            if (attributes.get(name) or "").startswith("#"):
                assert attributes[name][1:] in ids
        assert tag != "img" or attributes["alt"]
    assert "http" not in page
    assert "url(" not in page.replace("url(#", "")
    assert "@import" not in page
    assert len(page) < 6e6
    assert sum(tag == "img" for tag, _ in reader.tags) == 8 * 8 * 2 + 2 * 16
    text = " ".join(reader.text)
    for expected in ("2,346 MiB", "1 min 15 s", "train.steps", "2.13.0", "CoEmoGen", "Stable Diffusion", "low alignment", "FID ↓", NASTY):
        assert expected in text, expected
    assert render_report(data) == page


def test_the_headline_names_two_methods_and_counts_more(data: ReportData) -> None:
    def headline(**shares: float) -> str:
        any_method = data.metrics.methods["coemogen"]
        methods = {
            name: any_method.model_copy(update={"emo_a": any_method.emo_a.model_copy(update={"value": x})}) for name, x in shares.items()
        }
        return summary(
            data.model_copy(
                update={"metrics": data.metrics.model_copy(update={"methods": methods}), "labels": data.labels | {"own": "Own"}}
            )
        )

    start = "An independent judge recognises the intended emotion in 75.0 %"
    assert headline(coemogen=0.75) == f"{start}."
    assert headline(coemogen=0.75, sd=0.25) == f"{start} of the images by CoEmoGen and 25.0 % of the images by Stable Diffusion."
    assert headline(own=0.5, coemogen=0.75, sd=0.25) == f"{start} of the images by CoEmoGen, and in 25.0 % to 50.0 % of those by 2 others."


def test_only_a_probe_outside_clips_space_is_called_independent(data: ReportData) -> None:
    """A linear head on CLIP agrees with a method that CLIP drives for reasons of its own."""

    def headline(**through_clip: bool | None) -> str:
        method = data.metrics.methods["coemogen"]
        first = next(iter(method.probes.values()))
        probes = {name: first.model_copy(update={"accuracy": 0.5, "through_clip": seen}) for name, seen in through_clip.items()}
        found = {"coemogen": method.model_copy(update={"probes": probes})}
        return summary(data.model_copy(update={"metrics": data.metrics.model_copy(update={"methods": found})}))

    assert headline(judge=False).startswith("An independent judge recognises")
    assert "independent" not in headline(unknown=None).lower()
    alone, confirmed = headline(head=True), headline(head=True, judge=False)
    assert alone.startswith("A probe that sees through CLIP, as the method does, recognises")
    assert alone.endswith("No probe outside CLIP's space was asked: nothing independent says the same.")
    assert confirmed.startswith("A probe that sees through CLIP")
    assert confirmed.endswith("An independent one, which does not, recognises it in 50.0 % by CoEmoGen.")


def test_the_page_says_which_real_images_are_compared_with(data: ReportData) -> None:
    page = " ".join(" ".join(read(render_report(data)).text).split())
    assert all(note in page for note in reference_notes(data.metrics))


def test_a_run_without_corpora_reference_or_samples_still_has_a_report(metrics: Metrics, tmp_path: object) -> None:
    bare = metrics.model_copy(update={"reference": None, "stages": {}, "configuration": {}, "versions": {}})
    data = build_report_data(Workspace(str(tmp_path)), bare, {}, ReportRecipe(title="A & B"))
    text = " ".join(read(render_report(data)).text)
    assert "This run has no samples." in text
    assert "A & B" in text
    empty = bare.model_copy(update={"methods": {}})
    assert "Too few images" in render_report(build_report_data(Workspace(str(tmp_path)), empty, {}, ReportRecipe()))


def test_a_matrix_is_shown_in_its_order_and_by_its_labels_whatever_its_methods_are_called(metrics: Metrics, tmp_path: object) -> None:
    workspace = Workspace(str(tmp_path))
    assert 'id="experiments"' not in render_report(build_report_data(workspace, metrics, {}, ReportRecipe()))
    names = {"full": "full method", "without-l-sem": "without L_SEM"}
    values = {"full": 0.5, "without-l-sem": 0.25}
    runs = [run(name, seed, value + seed / 10, fid=21.5) for name, value in values.items() for seed in range(3)]
    matrix = experiments(*runs, compared_with=("full",)).model_copy(update={"labels": names, "budgets": dict.fromkeys(names, 4800)})
    write_experiments(workspace, "run", matrix)
    methods = dict(zip(sorted(names, reverse=True), metrics.methods.values(), strict=True))
    page = render_report(
        build_report_data(workspace, metrics.model_copy(update={"methods": methods, "order": tuple(names)}), {}, ReportRecipe())
    )
    reader = read(page)
    assert ("a", {"href": "#experiments"}) in reader.tags
    text = " ".join(" ".join(reader.text).split())
    for expected in (
        "of the images by full method",
        "Emo-A, full method",
        "60.00 % ± 10.00 %",
        "35.00 % ± 10.00 %",
        "21.50 ± 0.00",
        "Training samples per seed: full method 4,800, without L_SEM 4,800.",
        "FID without L_SEM full method +0.00 paired t over seeds 3 the same difference with every seed –",
    ):
        assert expected in text, expected
    assert "The paper's order" not in text
    assert "The paper’s numbers are not shown" in text


def test_the_papers_rows_stand_below_a_matrix_that_the_papers_probe_measured(metrics: Metrics, tmp_path: object) -> None:
    workspace = Workspace(str(tmp_path))
    head = f"emogen-head@80f72314e31e on {CLIP.encoder_id}"
    runs = [run(name, 0, 0.5, extractor=head) for name in ("coemogen", "emogen-like")]
    write_experiments(workspace, "run", experiments(*runs, compared_with=()))
    text = " ".join(" ".join(read(render_report(build_report_data(workspace, metrics, {}, ReportRecipe()))).text).split())
    assert "EmoGen (paper) – – 76.25 % – –" in text
    assert "The rows named (paper) are CoEmoGen's" in text
    assert "The paper’s numbers are not shown" not in text


def test_small_pictures_stay_as_they_are_and_large_ones_shrink(png: Png) -> None:
    small, large = inline_picture(png(0, 0), "small"), inline_picture(png(0, 0, (800, 400)), "large")
    assert small.data_uri.startswith("data:image/png")
    assert (is_pixel_art(small), display_width(small, 64), display_width(small, 190)) == (True, 64, 128)
    assert (large.width, large.height, is_pixel_art(large), display_width(large, 128)) == (256, 128, False, 128)


def test_charts_keep_text_as_text_and_their_ids_apart() -> None:
    series = [Series({"awe": 0.8, "fear": None}, {"awe": Interval(low=0.7, high=0.9)})]
    first, second = (dot_chart(["awe", "fear"], series, {"awe": 0.9}, name=name, percent=True) for name in ("one", "two"))
    assert ">awe</text>" in first
    assert "var(--method-0)" in first
    assert "var(--real)" in first
    ids = {attributes["id"] for svg in (first, second) for _, attributes in read(svg).tags if "id" in attributes}
    assert all(name.startswith(("one-", "two-")) for name in ids)
