"""The page as text: complete in itself, and a caption stays a caption whatever it contains."""

import json
import re
from html.parser import HTMLParser

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coemogen_core.captioning.audit.page import readable_fields, render_page
from coemogen_core.data.thumbnail import Thumbnail
from coemogen_core.emotions import EMOTIONS
from tests.coemogen_core.captioning.audit.audited_source import NASTY, RECIPE, auditable

PICTURE = Thumbnail("data:image/jpeg;base64,AAAA", 300, 200)


class Reader(HTMLParser):
    """Collects tags with their attributes, and the content of the embedded JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.embedded = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == ("script", {"type": "application/json", "id": "audit"}):
            self.embedded += data


def read(page: str) -> tuple[Reader, dict]:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader, json.loads(reader.embedded)


def page_of(frame: pl.DataFrame, source: str = "photos") -> str:
    return render_page("audit-0123456789ab", source, frame, dict.fromkeys(frame["image_id"], PICTURE))


TAGS = [tag for tag, _ in read(page_of(auditable(["0" * 64], caption="plain")))[0].tags]


@given(
    st.text(st.characters(exclude_categories=["Cs"]))
    | st.just(NASTY)
    | st.sampled_from(["<!--<script>", "]]>", "</SCRIPT >", "{{x}}", "\0"])
)
def test_no_caption_becomes_markup(text: str) -> None:
    frame = auditable(["0" * 64], caption=text, fields=json.dumps({text: text, "list": [text]}))
    reader, data = read(page_of(frame))
    assert [tag for tag, _ in reader.tags] == TAGS
    assert data["cards"][0]["caption"] == text
    assert read(page_of(frame, "<b>'\"</script>"))[1]["source"] == "<b>'\"</script>"


def test_the_page_loads_nothing() -> None:
    page = page_of(auditable(["0" * 64]))
    reader, _ = read(page)
    for tag, attributes in reader.tags:
        assert tag not in {"iframe", "object", "embed", "base", "form"}
        for name in ("src", "href", "action", "srcset"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert tag != "button" or attributes["type"] == "button"
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttpRequest|innerHTML|insertAdjacentHTML|eval\(", page)
    policy = next(attributes["content"] for tag, attributes in reader.tags if attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy


def test_cards_go_round_the_emotions() -> None:
    frame = auditable([f"{number:064x}" for number in range(20)]).sort(pl.col("emotion").cast(pl.Enum(EMOTIONS)), maintain_order=True)
    _, data = read(page_of(frame))
    assert [card["emotion"] for card in data["cards"]] == [*EMOTIONS, *EMOTIONS, *EMOTIONS[:4]]
    assert data["cards"][8]["image_id"] == f"{8:064x}"
    assert {card["recipe_id"] for card in data["cards"]} == {RECIPE}


@pytest.mark.parametrize(("similarity", "shown"), [(0.25, 0.25), (None, None), (float("nan"), None)])
def test_a_similarity_may_be_absent(similarity: float | None, shown: float | None) -> None:
    assert read(page_of(auditable(["0" * 64], similarity=similarity)))[1]["cards"][0]["similarity"] == shown


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (None, []),
        ('{"human_action": " runs ", "objects": ["dog", "", null], "scene": null, "brightness": 0.3, "x": []}',
         [("human action", "runs"), ("objects", "dog"), ("brightness", "0.3")]),
        ('{"nested": {"a": ["é"]}}', [("nested", '{"a": ["é"]}')]),
        ("[1, 2]", [("fields", "1, 2")]),
        ("not JSON", [("fields", "not JSON")]),
        ("[" * 100_000, [("fields", "[" * 100_000)]),
    ],
)  # fmt: skip
def test_structured_fields_read_well(fields: str | None, expected: list[tuple[str, str]]) -> None:
    assert readable_fields(fields) == expected
