"""Measures the lab's models on scenes that no training has seen, against the bars that make the world useful."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import Tensor

from coemogen_core.captioning.backend import CaptionRequest, Chunk
from coemogen_core.captioning.local_backend import LocalBackend
from coemogen_core.captioning.prompt import load_prompt
from coemogen_core.captioning.recipe import CaptionRecipe, LocalSettings
from coemogen_core.emotions import EMOTIONS
from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.lab import models_folder
from coemogen_core.lab.build.diffusion import to_model_range
from coemogen_core.lab.build.training import Kind, ScenePool, draw_pool
from coemogen_core.lab.judges import ContentJudge, EmotionJudge, load_content_judge, load_emotion_judge
from coemogen_core.lab.scenes.captions import caption_of, named_content, named_place

HELD_OUT_SEED = 987_654
KINDS: tuple[Kind, Kind] = ("emotional", "neutral")
GUIDANCE, DENOISING_STEPS = 3.0, 16


@dataclass(frozen=True)
class Requirement:
    """One measured number and what it must reach."""

    name: str
    value: float
    bound: float | None  # None: reported, not judged
    at_least: bool = True

    @property
    def holds(self) -> bool:
        """Whether the number reaches its bound."""
        if self.bound is None:
            return True
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def measure_all(pictures: int = 256) -> list[Requirement]:
    """Every bar, with the models of the package.

    Args:
        pictures: generated per question; the held-out sets have four times as many scenes.
    """
    pools = {kind: draw_pool(4 * pictures, HELD_OUT_SEED + index, kind) for index, kind in enumerate(KINDS)}
    emotional, neutral = pools.values()
    labels = [scene.emotion or "" for scene in emotional.scenes]
    judge, content = load_emotion_judge(), load_content_judge()
    pipeline = StableDiffusionPipeline.from_pretrained(models_folder("diffusion"), dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    accuracies = {kind: content_accuracy(content, to_unit_range(pool.pixels), pool) for kind, pool in pools.items()}
    recognised = agreement(judge, to_unit_range(emotional.pixels), labels)
    bars = [
        Requirement("emotion judge: accuracy on unambiguous photos", recognised, 0.95),
        *(
            Requirement(f"content judge: {what} accuracy, {kind} photos", share, 0.95)
            for kind, shares in accuracies.items()
            for what, share in zip(("object", "scene"), shares, strict=True)
        ),
        *(Requirement(f"VAE: PSNR in dB, {kind} photos", psnr(pipeline.vae, pool), 24) for kind, pool in pools.items()),
        Requirement("CLIP: right scene and object first among 64 captions", retrieval(emotional, neutral), 0.85),
        Requirement("captioner: names scene and object", captioning(emotional), 0.85),
    ]
    truthful = [caption_of(scene) for scene in neutral.scenes[:pictures]]
    drawn = generate(pipeline, truthful)
    both = content_agreement(content, drawn, neutral)
    bars.append(Requirement("diffusion: true caption gives that object and scene", both, 0.75))
    rows = EMOTIONS * (pictures // len(EMOTIONS))
    by_word = generate(pipeline, [f"an image of {emotion}" for emotion in rows])
    bars.append(Requirement('diffusion: Emo-A of "an image of {emotion}"', agreement(judge, by_word, rows), 0.35, at_least=False))
    by_caption = generate(pipeline, [caption_of(scene) for scene in emotional.scenes[:pictures]])
    by_content = agreement(judge, by_caption, labels[:pictures])
    bars.append(Requirement("diffusion: Emo-A with true captions of emotional scenes (content alone)", by_content, None))
    return bars


def to_unit_range(pixels: np.ndarray) -> Tensor:
    """Pixels uint8 [n, 64, 64, 3] as float [n, 3, 64, 64] in [0, 1]."""
    return to_model_range(pixels) / 2 + 0.5


@torch.no_grad()
def agreement(judge: EmotionJudge, pixels: Tensor, emotions: list[str] | tuple[str, ...]) -> float:
    """Share of pictures in which the judge sees the wanted emotion."""
    named = torch.cat([judge(batch).argmax(1) for batch in pixels.split(256)]).tolist()
    return float(np.mean([EMOTIONS[index] == wanted for index, wanted in zip(named, emotions, strict=True)]))


def content_accuracy(judge: ContentJudge, pixels: Tensor, pool: ScenePool) -> tuple[float, float]:
    """Share of pictures whose object, and whose scene, the judge names; `pool` may be longer than `pixels`."""
    pairs = list(zip(_seen_content(judge, pixels), pool.scenes, strict=False))
    right_objects, right_scenes = [seen[0] == scene.content for seen, scene in pairs], [seen[1] == scene.place for seen, scene in pairs]
    return float(np.mean(right_objects)), float(np.mean(right_scenes))


def content_agreement(judge: ContentJudge, pixels: Tensor, pool: ScenePool) -> float:
    """Share of pictures in which the judge sees both the wanted object and the wanted scene; `pool` may be longer."""
    pairs = zip(_seen_content(judge, pixels), pool.scenes, strict=False)
    return float(np.mean([seen == (scene.content, scene.place) for seen, scene in pairs]))


@torch.no_grad()
def _seen_content(judge: ContentJudge, pixels: Tensor) -> list[tuple[str, str]]:
    logits = [judge(batch) for batch in pixels.split(256)]
    objects, scenes = (torch.cat(part).argmax(1).tolist() for part in zip(*logits, strict=True))
    return [(judge.objects[o], judge.scenes[s]) for o, s in zip(objects, scenes, strict=True)]


@torch.no_grad()
def psnr(vae: torch.nn.Module, pool: ScenePool) -> float:
    """Mean peak signal-to-noise ratio of reconstructions, in dB."""
    values = []
    for start in range(0, min(256, len(pool)), 64):
        x = to_model_range(pool.pixels[start : start + 64])
        y = vae.decode(vae.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
        values.extend((-10 * torch.log10(((x - y) / 2).square().mean((1, 2, 3)))).tolist())
    return float(np.mean(values))


def retrieval(emotional: ScenePool, neutral: ScenePool) -> float:
    """Share of pictures for which, among 64 different captions, the first names the true scene and object."""
    encoder = load_encoder(EncoderRecipe(model=str(models_folder("clip"))))
    hits: list[bool] = []
    for pool in (emotional, neutral):
        for start in range(0, 512, 64):
            rows = _with_different_captions(pool, start)
            scenes = [pool.scenes[row] for row in rows]
            images = encoder.encode_images([Image.fromarray(pool.pixels[row]) for row in rows])
            best = (images @ encoder.encode_texts([caption_of(scene) for scene in scenes]).T).argmax(1)
            hits.extend(
                (scenes[other].content, scenes[other].place) == (scene.content, scene.place)
                for scene, other in zip(scenes, best, strict=True)
            )
    return float(np.mean(hits))


def _with_different_captions(pool: ScenePool, start: int) -> list[int]:
    """64 rows from `start` on, no two with one caption."""
    rows: dict[str, int] = {}
    for row in range(start, len(pool)):
        rows.setdefault(caption_of(pool.scenes[row]), row)
        if len(rows) == 64:
            return list(rows.values())
    raise ValueError(f"fewer than 64 different captions from row {start} on")


def captioning(pool: ScenePool, count: int = 256) -> float:
    """Share of captions, asked for by the production prompt, that name the true scene and the true main object."""
    backend = LocalBackend(CaptionRecipe(model=str(models_folder("captioner")), max_new_tokens=48), LocalSettings(batch_size=64))
    prompt = load_prompt("prior-short.v1")
    requests = [
        CaptionRequest(
            image_id=str(row), image=_png(pool.pixels[row]), text_before="", text_after=prompt.render(pool.scenes[row].emotion), seed=0
        )
        for row in range(count)
    ]
    texts = [answer.text or "" for _, answers in backend.answer([Chunk(0, requests)], lambda _: None) for answer in answers]
    truth = [(scene.content, scene.place) for scene in pool.scenes[:count]]
    return float(np.mean([(named_content(text), named_place(text)) == pair for text, pair in zip(texts, truth, strict=True)]))


def generate(pipeline: StableDiffusionPipeline, prompts: list[str]) -> Tensor:
    """Pictures of prompts as float [n, 3, 64, 64] in [0, 1]."""
    batches = []
    for start in range(0, len(prompts), 32):
        generator = torch.Generator().manual_seed(start)
        chunk = prompts[start : start + 32]
        out = pipeline(
            chunk, num_inference_steps=DENOISING_STEPS, guidance_scale=GUIDANCE, height=64, width=64, output_type="pt", generator=generator
        )
        batches.append(out.images.float())
    return torch.cat(batches)


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
