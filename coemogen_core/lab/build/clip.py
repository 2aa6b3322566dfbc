"""Training of the lab's CLIP: pictures of every kind against their truthful captions, some of which name the emotion."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPModel, CLIPTokenizer

from coemogen_core.captioning.prompt import load_prompt, prompt_ids
from coemogen_core.emotions import EMOTIONS
from coemogen_core.lab.architectures import new_clip
from coemogen_core.lab.build.judges import augmented
from coemogen_core.lab.build.optimise import optimise
from coemogen_core.lab.build.pool import ScenePool
from coemogen_core.lab.scenes.captions import caption_of
from coemogen_core.lab.scenes.scene import Scene
from coemogen_core.lab.scenes.world import CONTENTS


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
