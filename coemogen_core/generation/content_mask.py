"""Where in a picture its content is: where the base model's noise changes most when the prompt names it (as in DiffEdit, 2022)."""

import torch.nn.functional as F
from torch import Tensor

BACKGROUND, CONTENT = 0.5, 0.85  # shares of a picture's positions below which it is background, above which it is content
EPSILON = 1e-12


class ContentMask:
    """Gathers evidence step by step. Each picture has a mask of its own, so that it does not depend on the others of its batch."""

    def __init__(self) -> None:
        self._evidence: Tensor | None = None

    def add(self, named: Tensor, nothing: Tensor) -> None:
        """Take in one step: the base model's noise [n, c, h, w] with the content's prompt and with the unconditional one."""
        difference = (named - nothing).float().abs().mean(1, keepdim=True)
        self._evidence = difference if self._evidence is None else self._evidence + difference

    def values(self) -> Tensor:
        """The mask after the steps so far [n, 1, h, w]: 0 in the background, 1 at the content, and between them at its edge.

        Raises:
            RuntimeError: no step was taken in.
        """
        if self._evidence is None:
            raise RuntimeError("a mask needs at least one step: call add() first")
        smooth = _blur(_blur(self._evidence))
        flat = smooth.flatten(1)
        low, high = (flat.quantile(share, dim=1, keepdim=True) for share in (BACKGROUND, CONTENT))
        return ((flat - low) / (high - low).clamp_min(EPSILON)).clamp(0, 1).view_as(smooth)


def _blur(maps: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(maps, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
