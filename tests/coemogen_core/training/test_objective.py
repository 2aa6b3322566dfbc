"""The loss weights against their definition, worked out by hand from the noise schedule."""

import pytest
import torch
from diffusers import DDPMScheduler

from coemogen_core.training.batches import BatchSource
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.objective import build_objective, min_snr_weight
from coemogen_core.training.recipes import TrainingRecipe


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_min_snr_weight_follows_the_paper(kind):
    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=kind)
    steps = torch.tensor([0, 250, 999])
    for step, weight in zip(steps, min_snr_weight(scheduler, steps, 5.0), strict=True):
        signal = scheduler.alphas_cumprod[step].item()
        ratio = signal / (1 - signal)
        assert weight.item() == pytest.approx(min(ratio, 5.0) / (ratio + 1 if kind == "v_prediction" else ratio), rel=1e-4)


def test_min_snr_leaves_noisy_steps_alone_and_lowers_clean_ones(corpus, cached, models):
    features = FeatureSet.open(corpus, "emoset", cached)
    plain, weighted = (TrainingRecipe(steps=1, batch_size=8, device="cpu", min_snr_gamma=gamma) for gamma in (None, 5.0))
    batch = BatchSource(features, plain, 1000).at(0)
    with torch.no_grad():
        before = build_objective(models, features.visual_width, plain)(batch).diffusion
        after = build_objective(models, features.visual_width, weighted)(batch).diffusion
    weights = min_snr_weight(DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"), batch.timesteps, 5.0)
    assert weights.min() < 1
    torch.testing.assert_close(after, before * weights)
