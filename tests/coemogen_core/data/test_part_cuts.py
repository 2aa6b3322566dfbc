import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coemogen_core.data import part_cuts
from coemogen_core.data.part_cuts import cut_into_parts
from coemogen_core.data.source_item import FileStamp, RejectedFile, SourceItem


def listing(names: list[str]) -> list[SourceItem]:
    return [SourceItem(name, FileStamp(size=1000)) for name in sorted(names)]


def parts_of(names: list[str], part_size: int) -> set[tuple[str, ...]]:
    return {tuple(entry.path for entry in part) for part in cut_into_parts(listing(names), part_size)}


def some_names(count: int, seed: int = 0) -> list[str]:
    return [f"{random.Random(f'{seed}/{number}').randrange(10**9):09d}.jpg" for number in range(count)]


@given(st.lists(st.one_of(st.none(), st.integers(0, 2**30)), max_size=60), st.integers(1, 9))
def test_cutting_loses_nothing(sizes, part_size):
    listed = [
        RejectedFile(str(index), "x", "y") if size is None else SourceItem(str(index), FileStamp(size=size))
        for index, size in enumerate(sizes)
    ]
    parts = list(cut_into_parts(listed, part_size))
    assert [entry for part in parts for entry in part] == listed
    assert all(0 < len(part) <= part_size for part in parts)
    for part in parts:
        total = sum(entry.stamp.size for entry in part if isinstance(entry, SourceItem))
        assert (
            total <= part_cuts.MAX_PART_BYTES or len([entry for entry in part if isinstance(entry, SourceItem) and entry.stamp.size]) == 1
        )


def test_parts_are_never_less_than_half_full_but_the_last():
    parts = list(cut_into_parts(listing(some_names(5000)), 250))
    assert all(125 <= len(part) <= 250 for part in parts[:-1])
    assert 180 < 5000 / len(parts) < 200


@pytest.mark.parametrize("change", ["one more", "one less"])
def test_a_change_touches_one_part_or_two(change):
    """Measured over 200 places: what a single insertion or removal costs on average, and at worst."""
    names = some_names(5000)
    before = parts_of(names, 250)
    touched = []
    for number in range(200):
        others = [*names, f"{random.Random(number).randrange(10**9):09d}x.jpg"] if change == "one more" else names.copy()
        if change == "one less":
            others.remove(random.Random(number).choice(names))
        touched.append(len(parts_of(others, 250) - before))
    assert sum(touched) / len(touched) < 1.3
    assert sum(count <= 2 for count in touched) >= 180
    assert max(touched) <= 8


def test_cuts_do_not_depend_on_what_comes_before():
    """A source that grew from another beginning has the same parts from some entry on."""
    names = sorted(some_names(3000))
    whole, tail = parts_of(names, 100), parts_of(names[37:], 100)
    assert len(tail - whole) <= 4
