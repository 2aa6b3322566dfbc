import pytest
import torch
from transformers import CLIPModel, CLIPTextModelWithProjection, CLIPTokenizer

from coemogen_core.model.base_models import BaseModels, load_text_encoder
from coemogen_core.model.text_encoder import FrozenTextEncoder

PROMPTS = ["a photo of a happy dog", "a dark forest"]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_embeddings_of_real_words_give_what_the_words_give(text_encoder, tiny_clip, prompt):
    """Oracle: CLIP's own forward over token ids."""
    tokenizer, clip = CLIPTokenizer.from_pretrained(tiny_clip), CLIPModel.from_pretrained(tiny_clip).eval()
    ids = tokenizer([prompt], padding="max_length", max_length=77, return_tensors="pt").input_ids
    words = int((ids[0] == tokenizer.eos_token_id).nonzero()[0]) - 1
    with torch.no_grad():
        embeddings = clip.text_model.embeddings.token_embedding(ids[:, 1 : 1 + words])
        ours = text_encoder(embeddings)
        theirs = clip.text_model(input_ids=ids)
        assert torch.allclose(ours.sequence, theirs.last_hidden_state, atol=1e-5)
        assert torch.allclose(ours.pooled, clip.get_text_features(input_ids=ids).pooler_output, atol=1e-5)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_causal_mask_holds_for_every_attention(tiny_clip, attention):
    model = CLIPTextModelWithProjection.from_pretrained(tiny_clip, attn_implementation=attention)
    encoder = FrozenTextEncoder(model.text_model, CLIPTokenizer.from_pretrained(tiny_clip), model.text_projection)
    words = torch.randn(1, 5, encoder.width, generator=torch.Generator().manual_seed(0)) * 0.05
    changed = words.clone()
    changed[:, 3] = -changed[:, 3]
    with torch.no_grad():
        before, after = encoder(words).sequence, encoder(changed).sequence
    assert torch.equal(before[:, :4], after[:, :4])  # BOS and three words see nothing of the fourth
    assert not torch.allclose(before[:, 4:], after[:, 4:], atol=1e-4)


def test_prompts_agree_with_clip_and_are_cut_to_length(text_encoder, tiny_clip):
    tokenizer, clip = CLIPTokenizer.from_pretrained(tiny_clip), CLIPModel.from_pretrained(tiny_clip).eval()
    tokens = tokenizer(PROMPTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = clip.get_text_features(**tokens).pooler_output
    assert torch.allclose(text_encoder.encode_prompts(PROMPTS).pooled, expected, atol=1e-5)
    assert text_encoder.encode_prompts(["dog " * 200]).sequence.shape == (1, 77, text_encoder.width)


def test_gradients_reach_the_words_and_leave_the_encoder_alone(text_encoder):
    words = (torch.randn(2, 8, text_encoder.width) * 0.02).requires_grad_()
    output = text_encoder(words)
    (output.sequence.sum() + output.pooled.sum()).backward()
    assert words.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in text_encoder.parameters())
    assert not text_encoder.text_model.get_input_embeddings()._forward_hooks


def test_too_many_words_are_refused(text_encoder):
    assert text_encoder.template(75).shape == (1, 77)
    with pytest.raises(ValueError, match="77 positions"):
        text_encoder.template(76)


def test_a_clip_of_another_width_is_refused(tiny_diffusion, tmp_path, tiny_clip):
    from transformers import CLIPTextConfig

    CLIPTextModelWithProjection(
        CLIPTextConfig(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=20)
    ).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="give the CLIP"):
        load_text_encoder(BaseModels(diffusion=str(tiny_diffusion), clip=str(tmp_path)))
