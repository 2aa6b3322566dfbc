"""The lab's model architectures with fresh random weights, at one thousandth of the real ones' size.

The classes are the real ones (CLIPModel, AutoencoderKL, UNet2DConditionModel with Stable Diffusion 1.5's block types, LLaVA), so
whatever runs on the lab runs on the originals by changing a path.
"""

import json
from collections.abc import Iterable

from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

IMAGE_SIZE = 64
PATCH_SIZE = 8
TEXT_POSITIONS = 77
WIDTH = 128  # of CLIP's two towers and of its joint space
HEAD_SIZE = 64
SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<image>")  # of the captioner
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | upper }}: "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] in ('image', 'image_url') %}<image>\n{% else %}{{ part['text'] }} {% endif %}"
    "{% endfor %}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def new_clip_tokenizer(corpus: Iterable[str], merges: int) -> CLIPTokenizer:
    """CLIP's byte-level BPE with end-of-word marks, its merges learnt from a corpus of lower-case sentences.

    Start and end token have the two largest ids, as in OpenAI's vocabulary: a small `eos_token_id` would switch transformers to a
    legacy pooling rule.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    empty = CLIPTokenizer()
    backend = empty.backend_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=2 * len(alphabet) + merges, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False, special_tokens=[]
    )
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer, learner.pre_tokenizer = backend.normalizer, backend.pre_tokenizer
    learner.train_from_iterator(corpus, trainer)
    pairs = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    words = [*alphabet, *(f"{char}</w>" for char in alphabet), *("".join(pair) for pair in pairs)]
    vocabulary = {word: index for index, word in enumerate(dict.fromkeys([*words, "<|startoftext|>", "<|endoftext|>"]))}
    return CLIPTokenizer(vocab=vocabulary, merges=pairs, model_max_length=TEXT_POSITIONS)


def new_image_processor() -> CLIPImageProcessorPil:
    """CLIP's preprocessing at the lab's size; the PIL backend needs no torchvision."""
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    return CLIPImageProcessorPil(size={"shortest_edge": IMAGE_SIZE}, crop_size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3)


def new_clip(tokenizer: CLIPTokenizer) -> CLIPModel:
    """A CLIP of about 1.4 million parameters."""
    shared = {"hidden_size": WIDTH, "intermediate_size": 3 * WIDTH, "num_attention_heads": WIDTH // HEAD_SIZE, "projection_dim": WIDTH}
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=3,
        max_position_embeddings=TEXT_POSITIONS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **shared,
    )
    vision = CLIPVisionConfig(image_size=IMAGE_SIZE, patch_size=PATCH_SIZE, num_hidden_layers=4, **shared)
    return CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=WIDTH))


def new_vae() -> AutoencoderKL:
    """An autoencoder to 4 x 16 x 16 latents."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 64),
        layers_per_block=1,
        norm_num_groups=8,
        latent_channels=4,
        sample_size=IMAGE_SIZE,
        mid_block_add_attention=False,
    )


def new_unet() -> UNet2DConditionModel:
    """A U-Net with Stable Diffusion 1.5's block types, one level fewer: 7 transformer blocks, 56 attention linears, 3.4 M parameters."""
    return UNet2DConditionModel(
        sample_size=IMAGE_SIZE // 4,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(48, 96, 96),
        layers_per_block=1,
        norm_num_groups=16,
        attention_head_dim=4,
        cross_attention_dim=WIDTH,
    )


def new_scheduler() -> DPMSolverMultistepScheduler:
    """Stable Diffusion 1.5's noise schedule (scaled linear, epsilon, leading spacing) with a solver that needs few steps.

    The schedule ends with some signal left. That costs a model of 16 x 16 latents nothing as long as the condition says how bright the
    picture is; without it, epsilon prediction multiplies its errors of the first steps by the noise-to-signal ratio.
    """
    return DPMSolverMultistepScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="epsilon",
        timestep_spacing="leading",
        steps_offset=1,
    )


def diffusion_pipeline(
    vae: AutoencoderKL, unet: UNet2DConditionModel, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer
) -> StableDiffusionPipeline:
    """The parts as one pipeline, with the lab's scheduler and without a safety checker."""
    return StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def new_captioner_processor(corpus: Iterable[str], merges: int) -> LlavaProcessor:
    """LLaVA's processor: a byte-level BPE tokenizer learnt from a corpus, CLIP preprocessing, a chat template."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = list(SPECIAL_TOKENS)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=len(special) + len(alphabet) + merges, initial_alphabet=alphabet, special_tokens=special, show_progress=False
        ),
    )
    pad, bos, eos, _ = SPECIAL_TOKENS
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token=eos, pad_token=pad, padding_side="left", model_max_length=512
    )
    return LlavaProcessor(
        image_processor=new_image_processor(),
        tokenizer=fast,
        patch_size=PATCH_SIZE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def new_captioner(clip: CLIPModel, processor: LlavaProcessor) -> LlavaForConditionalGeneration:
    """A LLaVA whose vision tower is that of the given CLIP and whose language model is a small Llama.

    The head size is 64, the smallest that vLLM's CPU kernels take.
    """
    tokenizer = processor.tokenizer
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=4,
        num_attention_heads=WIDTH // HEAD_SIZE,
        num_key_value_heads=WIDTH // HEAD_SIZE,
        head_dim=HEAD_SIZE,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    vision = clip.config.vision_config.to_dict()
    last_layer = f"encoder.layers.{vision['num_hidden_layers'] - 1}."  # its patches were never looked at: LLaVA reads the layer before
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config={**vision, "num_hidden_layers": vision["num_hidden_layers"] - 1},
            text_config=text,
            image_token_id=processor.image_token_id,
            vision_feature_layer=-1,
            vision_feature_select_strategy="default",
            tie_word_embeddings=True,
        )
    )
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    tower = {name.removeprefix("vision_model."): value for name, value in clip.state_dict().items() if name.startswith("vision_model.")}
    model.model.vision_tower.load_state_dict({name: value for name, value in tower.items() if not name.startswith(last_layer)})
    return model
