import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coemogen_core.emotions import EMOTIONS, POLARITIES, polarity_of
from coemogen_core.model.gates import PAIRS, emotion_weights, fuse, gate_for, gates_for, restrict, scale


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_an_emotion_opens_its_own_pair_and_its_polarity(emotion):
    opened = {pair for pair, weight in zip(PAIRS, gate_for(emotion).tolist(), strict=True) if weight}
    assert opened == {emotion, polarity_of(emotion)}
    assert gate_for(emotion).sum() == 2


def test_pairs_are_the_emotions_then_the_polarities():
    assert PAIRS == EMOTIONS + POLARITIES


def test_gates_of_labels_agree_with_single_gates():
    assert torch.equal(gates_for([6, 1]), torch.stack([gate_for("fear"), gate_for("awe")]))


@given(st.dictionaries(st.sampled_from(EMOTIONS), st.floats(0.01, 100), min_size=1))
def test_fusion_is_normalised_and_polarities_follow(weights):
    gate = fuse(weights)
    assert gate[:8].sum() == pytest.approx(1, abs=1e-5)
    for index, polarity in enumerate(POLARITIES):
        own = sum(gate[i].item() for i, emotion in enumerate(EMOTIONS) if polarity_of(emotion) == polarity)
        assert gate[8 + index].item() == pytest.approx(own, abs=1e-5)
    assert torch.allclose(gate, fuse({emotion: 3 * weight for emotion, weight in weights.items()}), atol=1e-5)


def test_fusing_across_polarities_opens_both():
    gate = dict(zip(PAIRS, fuse({"awe": 3, "fear": 1}).tolist(), strict=True))
    assert gate == {**dict.fromkeys(PAIRS, 0.0), "awe": 0.75, "fear": 0.25, "positive": 0.75, "negative": 0.25}


def test_ablations_split_a_gate_into_its_two_halves():
    gate = gate_for("anger")
    polarity_only = restrict(gate, emotions=False, polarities=True)
    emotion_only = restrict(gate, emotions=True, polarities=False)
    assert torch.equal(polarity_only + emotion_only, gate)
    assert polarity_only[:8].sum() == 0
    assert emotion_only[8:].sum() == 0
    assert torch.equal(restrict(gate, emotions=True, polarities=True), gate)


def test_scale_turns_all_pairs_alike():
    assert torch.equal(scale(gate_for("awe"), 0.5), gate_for("awe") / 2)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("joy", "unknown emotion"),
        ({"awe": -1.0}, "at least 0"),
        ({"awe": float("nan")}, "finite"),
        ({"awe": 0.0}, "all emotion weights are zero"),
    ],
)
def test_bad_queries_are_refused_with_a_reason(query, message):
    with pytest.raises(ValueError, match=message):
        emotion_weights(query)


def test_an_emotion_given_twice_is_refused():
    with pytest.raises(ValueError, match="given twice"):
        emotion_weights({"awe": 1.0, "Awe": 1.0})
