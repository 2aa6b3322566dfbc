"""Training of the lab's Stable Diffusion: the world's contents in neutral renderings, no emotion word, no emotional picture."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from coemogen_core.lab.architectures import TEXT_POSITIONS, new_scheduler, new_unet, new_vae
from coemogen_core.lab.build.training import LoopState, ScenePool, optimise
from coemogen_core.lab.scenes.captions import caption_of
from coemogen_core.training.objective import min_snr_weight

KL_WEIGHT = 1e-5
GRADIENT_WEIGHT = 0.5


def train_vae(pool: ScenePool, steps: int, batch: int, seed: int) -> AutoencoderKL:
    """Train on L1 + L2 + edges + a little KL, then set `scaling_factor` so that latents have unit variance.

    The network is convolutional, so quarters of pictures serve as well as whole ones at a quarter of the cost; the last tenth of the
    steps sees whole pictures, because group normalisation takes its statistics over all that it sees.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    vae = new_vae()

    def loss_at(step: int) -> Tensor:
        whole = step >= 0.9 * steps
        x = to_model_range(pool.pixels[rng.integers(len(pool), size=batch // 4 if whole else batch)])
        if not whole:
            top, left = rng.integers(0, 33, 2)
            x = x[:, :, top : top + 32, left : left + 32].contiguous()
        posterior = vae.encode(x).latent_dist
        y = vae.decode(posterior.sample()).sample
        edges = sum(F.l1_loss(torch.diff(y, dim=axis), torch.diff(x, dim=axis)) for axis in (2, 3))
        return F.l1_loss(y, x) + 2 * F.mse_loss(y, x) + GRADIENT_WEIGHT * edges + KL_WEIGHT * posterior.kl().mean()

    vae = optimise("vae", vae, vae.parameters(), loss_at, steps, 2e-3, bfloat16=True)
    vae.register_to_config(scaling_factor=round(1 / float(latents_of(vae, pool.pixels[:512]).std()), 4))
    return vae


def to_model_range(pixels: np.ndarray) -> Tensor:
    """Pixels uint8 [n, 64, 64, 3] as float [n, 3, 64, 64] in [-1, 1]."""
    return torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def latents_of(vae: AutoencoderKL, pixels: np.ndarray) -> Tensor:
    """Posterior means [n, 4, 16, 16], unscaled."""
    return torch.cat([vae.encode(to_model_range(pixels[start : start + 64])).latent_dist.mode() for start in range(0, len(pixels), 64)])


EMPTY_PROMPT_SHARE = 0.1  # of the samples, for classifier-free guidance
MIN_SNR_GAMMA = 5.0  # Hang et al. 2023: steps with little noise count less, which converges sooner


def train_unet(
    pool: ScenePool,
    vae: AutoencoderKL,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    steps: int,
    batch: int,
    seed: int,
    checkpoint: Path,
) -> UNet2DConditionModel:
    """Epsilon-prediction on cached latents; every distinct caption is encoded once. Goes on from the checkpoint where there is one."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    latents = latents_of(vae, pool.pixels) * vae.config.scaling_factor
    texts, text_of = _encode_captions(pool, text_encoder, tokenizer)
    scheduler, unet = new_scheduler(), new_unet()
    weights = min_snr_weight(scheduler, torch.arange(scheduler.config.num_train_timesteps), MIN_SNR_GAMMA)

    def loss_at(_step: int) -> Tensor:
        rows = rng.integers(len(pool), size=batch)
        columns = rng.integers(text_of.shape[1], size=batch)
        chosen = np.where(rng.random(batch) < EMPTY_PROMPT_SHARE, 0, text_of[rows, columns])
        clean, noise = latents[rows], torch.randn(batch, *latents.shape[1:])
        times = torch.randint(0, scheduler.config.num_train_timesteps, (batch,))
        noisy = scheduler.add_noise(clean, noise, times)
        error = (unet(noisy, times, texts[chosen]).sample - noise).square().mean((1, 2, 3))
        return (error * weights[times]).mean()

    return optimise("unet", unet, unet.parameters(), loss_at, steps, 1e-3, decay=0.9995, checkpoint=LoopState(checkpoint, rng))


@torch.no_grad()
def _encode_captions(pool: ScenePool, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer) -> tuple[Tensor, np.ndarray]:
    """Encoded distinct captions [m, 77, width], the empty one first, and the rows of each scene's three captions [n, 3]."""
    captions = [[caption_of(scene, style) for style in range(3)] for scene in pool.scenes]
    distinct = ["", *sorted({caption for row in captions for caption in row})]
    row_of = {caption: row for row, caption in enumerate(distinct)}
    encoded = []
    for start in range(0, len(distinct), 128):
        tokens = tokenizer(
            distinct[start : start + 128], padding="max_length", max_length=TEXT_POSITIONS, truncation=True, return_tensors="pt"
        )
        encoded.append(text_encoder(tokens.input_ids)[0])
    return torch.cat(encoded), np.array([[row_of[caption] for caption in row] for row in captions])
