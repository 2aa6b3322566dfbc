"""The semantic loss: pull the conditioning towards the caption's text embedding (paper, L_SEM and its ablation)."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

SemanticLoss = Literal["cosine", "mae", "mse", "kl"]


def semantic_loss(conditioning: Tensor, caption: Tensor, kind: SemanticLoss = "cosine") -> Tensor:
    """L_SEM of each sample.

    Args:
        conditioning: pooled, projected e_c [batch, d].
        caption: pooled, projected embedding of the caption [batch, d].
        kind: `cosine` is 1 - cos (paper, in [0, 2]); `mae`, `mse` and `kl` (divergence of the conditioning's softmax from the
            caption's) are the ablation's alternatives.

    Returns:
        [batch], at least 0.

    Raises:
        ValueError: an unknown kind.
    """
    if kind == "cosine":
        return 1 - F.cosine_similarity(conditioning, caption, dim=-1)
    if kind == "mae":
        return (conditioning - caption).abs().mean(-1)
    if kind == "mse":
        return (conditioning - caption).square().mean(-1)
    if kind == "kl":
        return F.kl_div(conditioning.log_softmax(-1), caption.log_softmax(-1), reduction="none", log_target=True).sum(-1)
    raise ValueError(f"unknown semantic loss {kind!r}; expected cosine, mae, mse or kl")
