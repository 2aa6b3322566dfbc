"""Training of the lab's captioner: LLaVA's recipe in small, a language model that reads patch features of the frozen CLIP."""

import json

import numpy as np
import torch
from torch import Tensor, nn
from transformers import CLIPModel, LlavaForConditionalGeneration, LlavaProcessor

from coemogen_core.captioning.prompt import form_instruction, load_prompt
from coemogen_core.emotions import EMOTIONS
from coemogen_core.lab.architectures import new_captioner
from coemogen_core.lab.build.judges import augmented
from coemogen_core.lab.build.optimise import optimise
from coemogen_core.lab.build.pool import ScenePool
from coemogen_core.lab.scenes.captions import caption_of, structured_answer_of
from coemogen_core.lab.scenes.scene import Scene

IGNORED = -100  # label of a token without loss
PLAIN_SHARE = 0.15  # of the requests that come without an emotion
STRUCTURED_SHARE = 0.4  # of the requests that ask for JSON


def train_captioner(
    pool: ScenePool,
    clip: CLIPModel,
    processor: LlavaProcessor,
    steps: int,
    batch: int,
    seed: int,
    learning_rate: float = 2e-3,
    begin: LlavaForConditionalGeneration | None = None,
) -> LlavaForConditionalGeneration:
    """Teach it to answer the production prompts with truthful captions, as a sentence or in the structured form. `begin`: go on from there.

    A neutral or ambiguous picture may come with any emotion as its prior, as a scored painting may: the truth is what it shows.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = new_captioner(clip, processor) if begin is None else begin
    model.model.vision_tower.requires_grad_(False)
    examples = _Examples(processor)

    def loss_at(_step: int) -> Tensor:
        rows = rng.integers(len(pool), size=batch)
        tokens = examples.batch([pool.scenes[row] for row in rows], rng)
        pixels = 2 * augmented(pool.pixels[rows], rng) - 1
        return model(pixel_values=pixels, **tokens).loss

    trained: list[nn.Parameter] = [*model.model.language_model.parameters(), *model.model.multi_modal_projector.parameters()]
    return optimise("captioner", model, trained, loss_at, steps, learning_rate, bfloat16=True)


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
