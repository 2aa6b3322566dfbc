"""The page in a real browser, opened as a file: judged by keyboard, by touch, after a reload; and its export is imported."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Page, expect

from coemogen_core.captioning.audit.page import write_audit
from coemogen_core.captioning.audit.reviews import import_file, read_reviews
from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.captioning.audit.audited_source import NASTY, SOURCE, write_source


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(str(tmp_path_factory.mktemp("workspace")))


@pytest.fixture(scope="module")
def page_uri(audited: Workspace) -> str:
    return Path(write_audit(audited, SOURCE, write_source(audited), per_emotion=2).uri).as_uri()


def press(page: Page, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(key)


def test_verdicts_by_keyboard_survive_a_reload_and_reach_the_workspace(
    open_page: Callable[..., Page], audited: Workspace, tmp_path: Path
) -> None:
    page = open_page()
    expect(page.locator("#position")).to_have_text("Card 1 of 16")
    press(page, "a R ArrowRight x")
    expect(page.locator("#tally")).to_have_text("4 of 16 judged, 50 % accepted")
    press(page, "n")
    page.keyboard.type("a </script> where a dog is; ar?")
    press(page, "Enter")
    expect(page.locator("#position")).to_have_text("Card 6 of 16")

    page.reload()
    expect(page.locator("#position")).to_have_text("Card 6 of 16")
    expect(page.locator("#tally")).to_have_text("5 of 16 judged, 40 % accepted")
    press(page, "ArrowLeft")
    expect(page.locator("#noted")).to_have_text("a </script> where a dog is; ar?")
    press(page, "u u")  # the note, and the rejection of card 4
    expect(page.locator("#position")).to_have_text("Card 4 of 16")
    expect(page.locator("#standing")).to_have_text("not judged")
    press(page, "a n")
    page.keyboard.type("no dog")
    press(page, "Enter j ArrowDown k ArrowUp a")
    expect(page.locator("#tally")).to_have_text("6 of 16 judged, 67 % accepted")

    page.locator("#reviewer").fill("Ada era")  # letters that are keys, too
    page.locator("#reviewer").blur()
    with page.expect_download() as started:
        press(page, "e")
    file = tmp_path / started.value.suggested_filename
    started.value.save_as(file)
    exported = json.loads(file.read_text())
    assert file.name == f"verdicts-{exported['audit_id']}.json"
    assert [row["verdict"] for row in exported["verdicts"]] == ["accept", "reject", "accept", "accept", "reject", "accept"]
    assert [row["emotion"] for row in exported["verdicts"]] == list(EMOTIONS[:6])

    outcome = import_file(audited, str(file), SOURCE)
    assert (outcome.recorded, outcome.refused) == (6, ())
    assert outcome.rates.overall is not None
    assert (outcome.rates.overall.accepted, outcome.rates.overall.judged) == (4, 6)
    reviews = read_reviews(audited, SOURCE)
    assert set(reviews["reviewer"]) == {"Ada era"}
    assert reviews.filter(pl.col("note").is_not_null()).select("emotion", "note").rows() == [("anger", "no dog")]
    assert import_file(audited, str(file)).reused


def test_a_caption_stays_text(open_page: Callable[..., Page]) -> None:
    page = open_page()
    assert page.locator("#caption").text_content() == NASTY
    assert page.locator("#fields dd").all_text_contents() == ["a <b>forest</b>", "dog, </script>", "mist & gloom", '{"a": 1}']
    assert page.title() == "Caption audit: photos"
    assert page.locator("img").count() == 1
    expect(page.locator("#picture")).to_have_js_property("naturalWidth", 48)
    assert "labelled amusement" in (page.locator("#picture").get_attribute("alt") or "")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_fits_and_its_buttons_work(open_page: Callable[..., Page], width: int, scheme: str) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.get_by_role("button", name="Accept").click()
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Reject").click()
    page.get_by_role("button", name="Back").click()
    page.get_by_role("button", name="Note").click()
    page.get_by_role("textbox", name="What is wrong with this caption?").fill("blurred")
    page.get_by_role("dialog").get_by_role("button", name="Reject").click()
    expect(page.get_by_role("status")).to_contain_text("Card 3 rejected with a note. Card 4 of 16, excitement: ")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status")).to_contain_text("Card 3 is as it was before.")
    page.get_by_role("button", name="contentment 1: rejected").click()
    expect(page.locator("[aria-current]")).to_have_count(1)
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", "2 of 16 judged")
    assert page.locator(".group h3").first.text_content() == "amusement1 of 1 accepted, 100 %"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator("button:visible, input:visible").evaluate_all(
        "all => all.every(each => each.textContent || each.labels?.length || each.ariaLabel)"
    )


def test_keys_can_be_looked_up_and_switched_off(open_page: Callable[..., Page]) -> None:
    page = open_page()
    press(page, "?")
    expect(page.get_by_role("dialog")).to_contain_text("reject with a note")
    press(page, "a r")
    page.get_by_label("Keys are on").uncheck()
    press(page, "Escape a r x ArrowRight Control+a")
    expect(page.locator("#tally")).to_have_text("0 of 16 judged")
    page.reload()
    press(page, "a ?")
    page.get_by_label("Keys are on").check()
    press(page, "Escape a")
    expect(page.locator("#tally")).to_have_text("1 of 16 judged, 100 % accepted")


def test_the_last_verdict_asks_for_the_export(open_page: Callable[..., Page]) -> None:
    page = open_page()
    press(page, "e")
    expect(page.locator("#message")).to_have_text("There is nothing to export yet.")
    press(page, "j j" + " a" * 16)
    expect(page.locator("#message")).to_have_text("Card 2 accepted. All 16 are judged: export the verdicts.")
    press(page, "r")
    expect(page.locator("#tally")).to_have_text("16 of 16 judged, 94 % accepted")
    press(page, "u " * 20)
    expect(page.locator("#tally")).to_have_text("0 of 16 judged")


REMEMBERED = """([revision, verdicts]) => {
    const key = localStorage.key(0);
    const text = JSON.stringify({ key, revision, current: 99, verdicts, history: "x" });
    localStorage.setItem(key, text);
    window.dispatchEvent(new StorageEvent("storage", { key, newValue: text }));
}"""
ACCEPTED = {"verdict": "accept", "note": None}


def test_what_another_tab_judged_is_taken_over_and_never_overwritten(open_page: Callable[..., Page]) -> None:
    page = open_page()
    press(page, "j a")
    page.evaluate(REMEMBERED, [100, [[5, ACCEPTED], [6, ACCEPTED]]])
    expect(page.locator("#tally")).to_have_text("2 of 16 judged, 100 % accepted")
    expect(page.locator("#position")).to_have_text("Card 3 of 16")
    press(page, "r")
    expect(page.locator("#tally")).to_have_text("3 of 16 judged, 67 % accepted")
    page.evaluate(REMEMBERED, [50, []])  # an older memory
    press(page, "r")
    expect(page.locator("#tally")).to_have_text("4 of 16 judged, 50 % accepted")


def test_what_is_damaged_in_the_memory_is_left_out(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.evaluate(REMEMBERED, [100, [[0, {"verdict": "perhaps"}], [99, ACCEPTED], 3, [1, ACCEPTED], [2, {**ACCEPTED, "note": 7}]]])
    page.reload()
    expect(page.locator("#tally")).to_have_text("1 of 16 judged, 100 % accepted")
    for nonsense in ("nonsense", "null", "7", "{}"):
        page.evaluate("text => { localStorage.setItem(localStorage.key(0), text); window.name = text; }", nonsense)
        page.reload()
        expect(page.locator("#tally")).to_have_text("0 of 16 judged")
        press(page, "a")
        expect(page.locator("#tally")).to_have_text("1 of 16 judged, 100 % accepted")


def test_a_browser_without_storage_says_so_and_keeps_verdicts_while_the_tab_is_open(open_page: Callable[..., Page]) -> None:
    page = open_page(script="Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('denied'); } });")
    expect(page.locator("#unkept")).to_be_visible()
    press(page, "a")
    page.reload()
    expect(page.locator("#unkept")).to_be_visible()
    expect(page.locator("#tally")).to_have_text("1 of 16 judged, 100 % accepted")
