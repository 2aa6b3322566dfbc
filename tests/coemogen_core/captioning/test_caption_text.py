import pytest
from hypothesis import given
from hypothesis import strategies as st

from coemogen_core.captioning.judge import count_sentences, lint_caption
from coemogen_core.captioning.plain_line import clean_caption

WORDS = st.sampled_from(["one", "dog", "runs", "over", "bright", "green", "grass", "under", "warm", "light", "and", "people", "laugh"])
CLAUSES = st.lists(WORDS, min_size=2, max_size=12).map(lambda words: " ".join(words).capitalize())


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  A dog\n runs.  ", "A dog runs."),
        ('"A dog runs."', "A dog runs."),
        ("“A dog runs.”", "A dog runs."),
        ("'\"A dog\"'", "A dog"),
        ('"Stop" says a sign beside "Go"', '"Stop" says a sign beside "Go"'),
        ("A dog's ball", "A dog's ball"),
        ('""', ""),
        (" \t\u200b ", ""),
    ],
)
def test_cleaning(raw, clean):
    assert clean_caption(raw) == clean


@given(st.text(max_size=200))
def test_cleaning_twice_changes_nothing_more(raw):
    once = clean_caption(raw)
    assert clean_caption(once) == once
    assert "\n" not in once
    assert "  " not in once
    assert once == once.strip()


@given(st.lists(CLAUSES, min_size=1, max_size=6), st.sampled_from([".", "!", "?", "..."]))
def test_sentences_are_counted(clauses, end):
    assert count_sentences(" ".join(clause + end for clause in clauses)) == len(clauses)


@given(st.lists(CLAUSES, min_size=1, max_size=6))
def test_a_last_sentence_counts_without_its_full_stop(clauses):
    assert count_sentences(". ".join(clauses)) == len(clauses)


@given(CLAUSES, st.sampled_from(["Mr.", "Dr.", "St.", "J.", "e.g.", "3.5", "U.S.", "6 a.m."]), CLAUSES)
def test_abbreviations_initials_and_numbers_end_no_sentence(before, abbreviation, after):
    assert count_sentences(f"{before} {abbreviation} {after}.") == 1


@given(CLAUSES)
def test_a_plain_clause_is_a_caption(clause):
    assert lint_caption(clean_caption(f'"{clause}."')) is None


@given(st.text(alphabet=" \n.,!?\"'“”-*", max_size=30))
def test_text_without_a_letter_is_empty(raw):
    assert lint_caption(clean_caption(raw)) == "empty"


@pytest.mark.parametrize(
    ("caption", "reason"),
    [
        ("", "empty"),
        ("A dog runs. A cat sleeps.", "more than one sentence"),
        ("a dog runs. a cat sleeps.", "more than one sentence"),
        ("The score is 2. A man cries.", "more than one sentence"),
        ("There is no. A man cries.", "more than one sentence"),
        ('A man shouts "Stop!" The dog runs.', "more than one sentence"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I’m sorry, I cannot describe people.", "refusal"),
        ("As an AI language model I have no eyes.", "refusal"),
        ("I cannot assist with this request.", "refusal"),
        ("Sorry, no.", "refusal"),
        ("The image shows a dog.", "boilerplate"),
        ("This picture depicts a dog", "boilerplate"),
        ("In this photo, a dog runs", "boilerplate"),
        ("Here is a caption of a dog", "boilerplate"),
        ("Sure! A dog", "boilerplate"),
    ],
)
def test_lints(caption, reason):
    found = lint_caption(caption)
    assert found is not None
    assert found.startswith(reason)


@pytest.mark.parametrize(
    "caption",
    [
        "A sorry sight: an abandoned dog in the rain.",
        "A sign that says I cannot swim hangs over the dark sea.",
        "The image of a saint glows in warm candle light.",
        "The scene of a bright fair with laughing children.",
        "Children laugh under a bright sky…",
        "A painting shows a storm over a dark sea",
        'A man shouts "Stop!" and runs.',
        "Surely the brightest meadow, full of playing dogs.",
    ],
)
def test_captions_that_only_resemble_a_lint_pass(caption):
    assert lint_caption(caption) is None


def test_a_long_prompt_allows_more_sentences():
    caption = "A dog runs. It is happy. The sky is bright."
    assert lint_caption(caption, max_sentences=3) is None
    assert lint_caption(caption, max_sentences=2) == "more than 2 sentences"
