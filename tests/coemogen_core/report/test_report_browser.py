"""The report in a real browser, as a file: on a desk, on a phone, on paper."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.experiments.files import write_experiments
from coemogen_core.report import build as report_build
from coemogen_core.report import nearest_pictures
from coemogen_core.report.build import ReportRecipe, build_report_data
from coemogen_core.report.render import render_report
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.experiments.small_matrix import experiments, run
from tests.coemogen_core.report.report_workspace import RECIPE, RUNS, evaluated_run, reference_of

LONG = "a method with a rather long name, by somebody else (2026)"
WIDER_THAN_THE_PAGE = """() => [...document.querySelectorAll("main *, header *, footer *")]
    .filter(each => each.getBoundingClientRect().right > window.innerWidth + 0.5 && !each.closest(".scroll, svg"))
    .map(each => each.outerHTML.slice(0, 120))"""
CUT_TABLES = """() => [...document.querySelectorAll("table")]
    .filter(each => each.getBoundingClientRect().right > window.innerWidth + 0.5)
    .map(each => (each.caption || each).textContent.trim().slice(0, 120))"""
A4_WIDTH = round((210 - 2 * 12) / 25.4 * 96)
"""CSS pixels between the margins of print.css."""


@pytest.fixture
def page_uri(
    workspace: Workspace, extractors: ExtractorSet, png: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A report with every section that single samples and a matrix make, of three methods."""
    metrics = evaluated_run(workspace, extractors, png)
    monkeypatch.setattr(report_build, "load_extractors", lambda _: extractors)
    for module in (report_build, nearest_pictures):
        monkeypatch.setattr(module, "read_record", lambda *_: type("Record", (), {"source": "photos"}))
    runs = [run(method, seed, 0.5 + seed / 10, recognised="0110") for method in RUNS for seed in range(3)]
    write_experiments(workspace, "run", experiments(*runs))
    configuration = {"a": {"very_long_name_of_a_setting": "https-like/" * 30}}
    metrics = metrics.model_copy(update={"configuration": configuration})
    recipe = ReportRecipe(labels={"a-third-method": LONG})
    data = build_report_data(workspace, metrics, RUNS, recipe, selection=reference_of(workspace), evaluation=RECIPE)
    file = tmp_path / "report.html"
    file.write_text(render_report(data), encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def open_page(open_page: Callable[..., Page]) -> Callable[..., Page]:
    """With every picture loaded, also those far below."""

    def opened(**options: object) -> Page:
        page = open_page(**options)
        page.evaluate("document.querySelectorAll('img').forEach(each => each.loading = 'eager')")
        return page

    return opened


def test_it_fits_a_desk_and_a_phone_and_every_picture_is_there_and_described(open_page: Callable[..., Page]) -> None:
    for width, scheme in ((1280, "light"), (390, "dark"), (390, "light")):
        page = open_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(WIDER_THAN_THE_PAGE) == []
        page.wait_for_function("[...document.images].every(each => each.complete && each.naturalWidth > 0)")
        assert page.locator("img").evaluate_all("all => all.filter(each => !each.alt.trim()).length") == 0
        assert page.locator("svg").evaluate_all("all => all.every(each => each.getAttribute('aria-label'))")
        texts = page.locator("main p, main td, main figcaption, main th")
        sizes = texts.evaluate_all("all => all.map(each => +getComputedStyle(each).fontSize.slice(0, -2))")
        assert min(sizes) >= 12
        targets = page.locator("nav a").evaluate_all("all => all.map(each => !!document.getElementById(each.hash.slice(1)))")
        assert targets
        assert all(targets)


def test_no_metric_is_out_of_sight_on_a_desk(open_page: Callable[..., Page]) -> None:
    page = open_page(viewport={"width": 1200, "height": 844})
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    tables = page.locator(".dense")
    assert tables.count() > 1
    assert (
        tables.evaluate_all("all => all.map(each => each.parentElement.scrollWidth - each.parentElement.clientWidth)")
        == [0] * tables.count()
    )


def test_colours_follow_the_scheme_and_text_stays_readable(open_page: Callable[..., Page]) -> None:
    """Contrast of text and its background, by the formula of WCAG 2, at least 4.5."""
    for scheme in ("light", "dark"):
        page = open_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
        for selector in ("main p", ".note", "main h2", "td small", "figcaption", ".alarm"):
            colours = "each => [getComputedStyle(each).color, getComputedStyle(document.body).backgroundColor]"
            found = page.locator(selector).first.evaluate(colours)
            assert contrast(*found) >= 4.5, (scheme, selector, found)


def contrast(first: str, second: str) -> float:
    lights = []
    for colour in (first, second):
        channels = [int(part) / 255 for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_it_prints_without_cut_tables_and_with_what_is_folded_away(open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page(viewport={"width": A4_WIDTH, "height": 1000})
    page.emulate_media(media="print", color_scheme="light")
    assert page.evaluate(CUT_TABLES) == [], page.evaluate(CUT_TABLES)
    assert page.evaluate("document.documentElement.scrollWidth") <= A4_WIDTH
    assert not page.locator("nav").is_visible()
    assert page.locator("#emotions details table").first.evaluate("each => each.checkVisibility({ contentVisibilityAuto: true })")
    data = page.pdf(format="A4", print_background=True, prefer_css_page_size=True)
    assert data.startswith(b"%PDF")
    assert 5 <= data.count(b"/Type /Page\n") <= 40
