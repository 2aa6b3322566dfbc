"""A LLaVA with random weights, small enough to be built in a test."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from coemogen_core.captioning.prompt import load_prompt

CHAT_TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}<bos>{% endif %}"
)
WORDS = ["a", "dog", "sea", "wood", "face", "laughs", "cries", "under", "bright", "dark", "sky", "with", "red", "green", "fruit"]


def build_tiny_llava(folder: Path, *, width: int = 32, layers: int = 2, patch: int = 16, seed: int = 0) -> Path:
    """Save model and processor in `folder`; it answers with words of `WORDS` until its token budget is used up."""
    torch.manual_seed(seed)
    text = load_prompt("prior-short.v1").render("awe")
    pre_tokenizer = pre_tokenizers.Whitespace()
    prompt_words = [word for word, _ in pre_tokenizer.pre_tokenize_str(text)]
    vocabulary = ["<pad>", "<bos>", "<eos>", "<unk>", "<image>", *dict.fromkeys(WORDS + prompt_words)]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(vocabulary)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizer
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        additional_special_tokens=["<image>"],
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}),
        fast,
        patch_size=patch,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers, num_attention_heads=2, image_size=64, patch_size=patch
        ),
        text_config=LlamaConfig(
            vocab_size=len(vocabulary),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=512,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        ),
        image_token_index=4,
        vision_feature_layer=-1,
    )
    model = LlavaForConditionalGeneration(config)
    with torch.no_grad():
        model.lm_head.weight[:5].zero_()  # no special token is ever the likeliest
        model.lm_head.weight.mul_(20)  # clear winners: batching must not flip a near tie
    model.generation_config.update(pad_token_id=0, bos_token_id=1, eos_token_id=2)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
