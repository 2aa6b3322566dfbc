"""Training of the lab's two models of pictures and text: CLIP on truthful captions, some of which name the emotion, and on its frozen patch
features the captioner, LLaVA's recipe in small.
"""

import json
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPModel, CLIPTokenizer, LlavaForConditionalGeneration, LlavaProcessor

from coemogen_core.captioning.prompt import form_instruction, load_prompt, prompt_ids
from coemogen_core.emotions import EMOTIONS
from coemogen_core.lab.architectures import new_captioner, new_clip
from coemogen_core.lab.build.training import ScenePool, augmented, optimise
from coemogen_core.lab.scenes.captions import caption_of, structured_answer_of
from coemogen_core.lab.scenes.scene import Scene
from coemogen_core.lab.scenes.world import CONTENTS

IGNORED = -100  # label of a token without loss
PLAIN_SHARE = 0.15  # of the captioner's requests that come without an emotion
STRUCTURED_SHARE = 0.4  # of those that ask for JSON


def caption_corpus() -> Iterator[str]:
    """Captions of every content in every place, count and feeling, and the prompts of the baselines."""
    for content in CONTENTS.values():
        for place in content.places:
            for count in (1, 2, 3) if content.plural else (1,):
                for emotion in (None, *content.feelings):
                    for style in range(3):
                        yield caption_of(
                            Scene(content.noun, place, emotion, "emotional" if emotion else "neutral", count, emotion is not None, 0), style
                        )
    for emotion in EMOTIONS:
        yield from [f"an image of {emotion}, a photo that evokes {emotion}"] * 20


def request_corpus() -> Iterator[str]:
    """What the captioner reads and writes: captions, and every prompt with every emotion."""
    yield from caption_corpus()
    for prompt_id in prompt_ids():
        prompt = load_prompt(prompt_id)
        for emotion in EMOTIONS:
            yield f"USER: <image>\n{prompt.render(emotion)} ASSISTANT:"


def train_clip(pool: ScenePool, tokenizer: CLIPTokenizer, steps: int, batch: int, seed: int) -> CLIPModel:
    """Symmetric contrastive training.

    One caption in ten is "an image of <emotion>" plus the subject: like the original, this CLIP has read emotion words now and then.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = new_clip(tokenizer)

    def loss_at(_step: int) -> Tensor:
        chosen = rng.integers(len(pool), size=batch)
        texts = [_text_of(pool, int(row), rng) for row in chosen]
        tokens = tokenizer(texts, padding=True, return_tensors="pt")
        out = model(pixel_values=2 * augmented(pool.pixels[chosen], rng) - 1, **tokens)
        same = torch.tensor([[a == b for b in texts] for a in texts], dtype=torch.float32)
        target = same / same.sum(1, keepdim=True)  # two scenes may have one caption: both are right
        return (F.cross_entropy(out.logits_per_image, target) + F.cross_entropy(out.logits_per_text, target)) / 2

    return optimise("clip", model, model.parameters(), loss_at, steps, 1.5e-3, bfloat16=True)


def _text_of(pool: ScenePool, row: int, rng: np.random.Generator) -> str:
    scene = pool.scenes[row]
    caption = caption_of(scene, int(rng.integers(3)))
    if scene.rendering == "emotional" and rng.random() < 0.1:
        return f"an image of {scene.emotion}, {caption}" if rng.random() < 0.5 else f"an image of {scene.emotion}"
    return caption


def train_captioner(
    pool: ScenePool, clip: CLIPModel, processor: LlavaProcessor, steps: int, batch: int, seed: int
) -> LlavaForConditionalGeneration:
    """Teach it to answer the production prompts with truthful captions, as a sentence or in the structured form.

    A neutral or ambiguous picture may come with any emotion as its prior, as a scored painting may: the truth is what it shows.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = new_captioner(clip, processor)
    model.model.vision_tower.requires_grad_(False)
    examples = _Examples(processor)

    def loss_at(_step: int) -> Tensor:
        rows = rng.integers(len(pool), size=batch)
        tokens = examples.batch([pool.scenes[row] for row in rows], rng)
        pixels = 2 * augmented(pool.pixels[rows], rng) - 1
        return model(pixel_values=pixels, **tokens).loss

    trained: list[nn.Parameter] = [*model.model.language_model.parameters(), *model.model.multi_modal_projector.parameters()]
    return optimise("captioner", model, trained, loss_at, steps, 2e-3, bfloat16=True)


class _Examples:
    """Tokenised conversations: request, then caption; only the caption carries a loss."""

    def __init__(self, processor: LlavaProcessor) -> None:
        self._processor = processor
        self._patches = processor.image_token * (processor.image_processor.crop_size["height"] // processor.patch_size) ** 2

    def batch(self, scenes: list[Scene], rng: np.random.Generator) -> dict[str, Tensor]:
        """Right-padded input_ids, attention_mask and labels."""
        tokenizer = self._processor.tokenizer
        rows, labels = [], []
        for scene in scenes:
            structured = rng.random() < STRUCTURED_SHARE
            request = tokenizer(self._request(scene, rng, structured), add_special_tokens=False)["input_ids"]
            text = _answer(scene, int(rng.integers(3)), structured)
            answer = [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
            rows.append(request + answer)
            labels.append([IGNORED] * len(request) + answer)
        width = max(map(len, rows))
        pad = [tokenizer.pad_token_id]
        return {
            "input_ids": torch.tensor([row + pad * (width - len(row)) for row in rows]),
            "attention_mask": torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows]),
            "labels": torch.tensor([row + [IGNORED] * (width - len(row)) for row in labels]),
        }

    def _request(self, scene: Scene, rng: np.random.Generator, structured: bool) -> str:
        prior = scene.emotion or EMOTIONS[int(rng.integers(len(EMOTIONS)))]
        prompt = load_prompt("plain-short.v1") if rng.random() < PLAIN_SHARE else load_prompt("prior-short.v1")
        fixed, emotional = prompt.parts(prior)
        form = form_instruction("structured.v1") if structured else ""
        content = [{"type": "image"}, {"type": "text", "text": " ".join(part for part in (fixed, form, emotional) if part)}]
        text = self._processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)
        return text.replace(self._processor.image_token, self._patches)


def _answer(scene: Scene, style: int, structured: bool) -> str:
    """The truth; the blank before a sentence is what the chat template leaves to the model."""
    if not structured:
        return f" {caption_of(scene, style)}"
    return json.dumps(structured_answer_of(scene, style), separators=(",", ":"))
