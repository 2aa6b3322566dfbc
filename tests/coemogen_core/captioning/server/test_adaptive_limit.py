from hypothesis import given
from hypothesis import strategies as st

from coemogen_core.captioning.server.endpoint import FIRST_LIMIT, AdaptiveLimit


def test_it_doubles_every_round_trip_until_the_first_overload():
    limit = AdaptiveLimit(1000)
    for _ in range(3):
        for _ in range(limit.value):
            limit.succeeded()
    assert limit.value == 8 * FIRST_LIMIT


def test_after_an_overload_it_grows_by_one_every_round_trip():
    limit = AdaptiveLimit(1000)
    limit.overloaded(asked_at=1.0, now=2.0)
    cut = limit.value
    assert cut == int(0.7 * FIRST_LIMIT)
    for _ in range(cut + 1):
        limit.succeeded()
    assert limit.value == cut + 1


def test_requests_that_were_in_flight_together_cut_it_once():
    limit = AdaptiveLimit(100)
    limit.overloaded(asked_at=1.0, now=2.0)
    cut = limit.value
    for asked_at in (1.0, 1.5, 1.99):
        limit.overloaded(asked_at, now=2.1)
    assert limit.value == cut
    limit.overloaded(asked_at=2.0, now=3.0)
    assert limit.value < cut


@given(st.integers(1, 50), st.lists(st.booleans(), max_size=200))
def test_it_stays_between_one_and_the_most(most, events):
    limit = AdaptiveLimit(most)
    for moment, success in enumerate(events):
        if success:
            limit.succeeded()
        else:
            limit.overloaded(asked_at=float(moment), now=float(moment))
        assert 1 <= limit.value <= most
