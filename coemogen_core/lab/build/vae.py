"""Training of the autoencoder on photos and paintings of every kind."""

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F

from coemogen_core.lab.architectures import new_vae
from coemogen_core.lab.build.optimise import optimise
from coemogen_core.lab.build.pool import ScenePool

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
