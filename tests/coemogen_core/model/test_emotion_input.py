import pytest
import torch

from coemogen_core.emotions import EMOTIONS
from coemogen_core.model.conditioner import Conditioner, ConditionerConfig

KINDS = ("one-hot", "class-vector", "emotion-word")


def conditioner(text_encoder, kind: str, seed: int = 0, **settings) -> Conditioner:
    return Conditioner(ConditionerConfig(emotion_input=kind, **settings), text_encoder, visual_width=128, seed=seed)


def test_state_dict_names_of_the_default_stay(text_encoder):
    names = {name for name in conditioner(text_encoder, "one-hot").state_dict() if name.startswith("mapper.")}
    assert names == {"mapper.layers.0.weight", "mapper.layers.0.bias", "mapper.layers.2.weight", "mapper.layers.2.bias"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_input_distinguishes_emotions_trains_and_comes_back(text_encoder, kind):
    first = conditioner(text_encoder, kind, num_emotion_tokens=5)
    words = first.pseudo_words(torch.eye(8), torch.randn(1, 128).expand(8, -1))
    assert words.shape == (8, 5, 128)
    assert torch.pdist(words.detach().flatten(1)).min() > 1e-3
    words.square().sum().backward()
    assert all(parameter.grad is not None for parameter in first.parameters())
    again = conditioner(text_encoder, kind, seed=9, num_emotion_tokens=5)
    again.load_state_dict(first.state_dict())
    v = torch.randn(8, 128)
    assert torch.equal(again.pseudo_words(torch.eye(8), v), first.pseudo_words(torch.eye(8), v))


def test_class_vectors_are_a_table_that_fusions_mix(text_encoder):
    mapper = conditioner(text_encoder, "class-vector").mapper
    assert [name for name, _ in mapper.named_parameters()] == ["vectors"]
    assert torch.equal(mapper(torch.eye(8)[[6]])[0], mapper.vectors[6])
    half = mapper(torch.tensor([[0.5, 0, 0, 0, 0.5, 0, 0, 0]]))[0]
    assert torch.allclose(half, (mapper.vectors[0] + mapper.vectors[4]) / 2)
    assert torch.equal(mapper.vectors, conditioner(text_encoder, "class-vector").mapper.vectors)


def test_emotion_words_are_the_text_encoders_own_and_frozen(text_encoder):
    """Oracle: what the encoder makes of the word itself, when its pieces are as many as the places and v is silent."""
    for emotion in EMOTIONS:
        pieces = text_encoder.word_pieces(emotion)
        words = conditioner(text_encoder, "emotion-word", num_emotion_tokens=len(pieces))
        with torch.no_grad():
            words.visual_perception.to_value.weight.zero_()
            encoded = words(torch.eye(8)[[EMOTIONS.index(emotion)]], torch.randn(1, 128))
            assert torch.allclose(encoded.sequence, text_encoder.encode_prompts([emotion]).sequence, atol=1e-4)
        assert not list(words.mapper.parameters())
        assert not words.mapper.state_dict()


def test_pieces_are_repeated_or_averaged_into_the_places(text_encoder):
    index = max(range(8), key=lambda i: len(text_encoder.word_pieces(EMOTIONS[i])))
    pieces = text_encoder.word_pieces(EMOTIONS[index]) / text_encoder.word_scale
    one_hot = torch.eye(8)[[index]]
    doubled = conditioner(text_encoder, "emotion-word", num_emotion_tokens=2 * len(pieces)).mapper(one_hot)[0]
    assert torch.allclose(doubled, pieces.repeat_interleave(2, 0), atol=1e-6)
    single = conditioner(text_encoder, "emotion-word", num_emotion_tokens=1).mapper(one_hot)[0]
    assert torch.allclose(single, pieces.mean(0, keepdim=True), atol=1e-6)
