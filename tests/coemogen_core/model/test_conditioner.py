import math

import torch
from torch import nn

from coemogen_core.model.conditioner import Conditioner, ConditionerConfig, VisualPerceptionEncoder


def test_shapes_and_what_is_trained(text_encoder):
    conditioner = Conditioner(ConditionerConfig(num_emotion_tokens=5), text_encoder, visual_width=128)
    encoded = conditioner(torch.eye(8)[:3], torch.randn(3, 128))
    assert encoded.sequence.shape == (3, 77, 128)
    assert encoded.pooled.shape == (3, 128)
    assert not any("text" in name for name in conditioner.state_dict())
    encoded.pooled.sum().backward()
    assert all(parameter.grad is not None for parameter in conditioner.parameters())


def test_pseudo_words_start_at_the_scale_of_real_words(text_encoder):
    conditioner = Conditioner(ConditionerConfig(), text_encoder, visual_width=128)
    words = conditioner.pseudo_words(torch.eye(8), torch.randn(8, 128))
    assert 0.3 < words.std().item() / text_encoder.word_scale < 3


def test_both_inputs_matter_and_the_length_of_v_does_not(text_encoder):
    conditioner = Conditioner(ConditionerConfig(), text_encoder, visual_width=128)
    v = torch.randn(2, 128)
    first = conditioner.pseudo_words(torch.eye(8)[[0, 0]], v)
    assert not torch.allclose(first[0], first[1], atol=1e-3)
    assert not torch.allclose(first[0], conditioner.pseudo_words(torch.eye(8)[[1]], v[:1])[0], atol=1e-3)
    assert torch.allclose(first, conditioner.pseudo_words(torch.eye(8)[[0, 0]], 12 * v), atol=1e-5)


def test_initial_weights_come_from_the_seed(text_encoder):
    def weights(seed):
        return Conditioner(ConditionerConfig(), text_encoder, 128, seed=seed).mapper.layers[0].weight

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


def test_attention_follows_the_formula_of_the_paper():
    """Oracle: nn.functional.scaled_dot_product_attention over the same projections."""
    encoder = VisualPerceptionEncoder(width=16, visual_width=12, attention_width=8, num_visual_tokens=3, residual=False)
    e, v = torch.randn(2, 5, 16), torch.randn(2, 12)
    tokens = encoder.to_tokens(v / v.norm(dim=-1, keepdim=True) * math.sqrt(12)).view(2, 3, 12)
    expected = nn.functional.scaled_dot_product_attention(encoder.to_query(e), encoder.to_key(tokens), encoder.to_value(tokens))
    assert torch.allclose(encoder(e, v), expected, atol=1e-6)


def test_one_visual_token_is_the_literal_reading_where_attention_ignores_the_query():
    encoder = VisualPerceptionEncoder(width=16, visual_width=12, num_visual_tokens=1, residual=False)
    v = torch.randn(1, 12)
    assert torch.allclose(encoder(torch.randn(1, 5, 16), v), encoder(torch.randn(1, 5, 16), v), atol=1e-6)
