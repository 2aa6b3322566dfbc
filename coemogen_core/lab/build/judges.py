"""Training of the two judges on photos and paintings, drawn with and without feeling."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from coemogen_core.emotions import EMOTIONS
from coemogen_core.lab.build.training import ScenePool, augmented, optimise
from coemogen_core.lab.judges import ContentJudge, EmotionJudge, Judge
from coemogen_core.lab.scenes.backdrops import BACKDROPS
from coemogen_core.lab.scenes.world import CONTENTS

OBJECTS, SCENES = tuple(CONTENTS), tuple(BACKDROPS)
CALIBRATION_SCENES = 4096


def train_emotion_judge(pool: ScenePool, steps: int, batch: int, seed: int) -> EmotionJudge:
    """Train on the emotional scenes of a pool."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    judge = EmotionJudge()
    rows = np.array([index for index, scene in enumerate(pool.scenes) if scene.emotion])
    labels = torch.tensor([EMOTIONS.index(pool.scenes[row].emotion) for row in rows])

    def loss_at(_step: int) -> Tensor:
        chosen = rng.integers(len(rows), size=batch)
        return F.cross_entropy(judge(augmented(pool.pixels[rows[chosen]], rng)), labels[chosen], label_smoothing=0.05)

    judge = optimise("emotion judge", judge, judge.parameters(), loss_at, steps, 3e-3)
    return recalibrated(judge, pool.pixels[rows[:CALIBRATION_SCENES]], batch, rng)


def train_content_judge(pool: ScenePool, steps: int, batch: int, seed: int) -> ContentJudge:
    """Train on all scenes of a pool."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    judge = ContentJudge(OBJECTS, SCENES)
    objects = torch.tensor([OBJECTS.index(scene.content) for scene in pool.scenes])
    scenes = torch.tensor([SCENES.index(scene.place) for scene in pool.scenes])

    def loss_at(_step: int) -> Tensor:
        chosen = rng.integers(len(pool), size=batch)
        object_logits, scene_logits = judge(augmented(pool.pixels[chosen], rng))
        smooth = 0.05
        return F.cross_entropy(object_logits, objects[chosen], label_smoothing=smooth) + F.cross_entropy(
            scene_logits, scenes[chosen], label_smoothing=smooth
        )

    judge = optimise("content judge", judge, judge.parameters(), loss_at, steps, 3e-3)
    return recalibrated(judge, pool.pixels[:CALIBRATION_SCENES], batch, rng)


def recalibrated(judge: Judge, pixels: np.ndarray, batch: int, rng: np.random.Generator) -> Judge:
    """Take the statistics of batch normalisation anew, for the averaged weights: the running ones belong to weights that are gone."""
    for module in judge.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # a plain mean over all batches
    judge.train()
    with torch.no_grad():
        for start in range(0, len(pixels), batch):
            judge(augmented(pixels[start : start + batch], rng))
    return judge.eval()
