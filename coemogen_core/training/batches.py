"""Training batches: cached features plus all the randomness of a step, a pure function of (seed, step)."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.optimisation import OptimisationRecipe


class ClassBalancedSampler:
    """Rows in an endless order in which every class comes equally often, and within a class every corpus that has it.

    The order is a chain of rounds; a round draws each class that occurs once, in random order. A class that several corpora have goes
    through them in turn. Within class and corpus, rows are dealt like a shuffled pack: none comes again before all others came. So at any
    length the counts of two classes differ by at most one, those of two corpora in a class and of two rows of both as well. The order at a
    position depends on the seed alone: resuming means asking for the next position.
    """

    def __init__(self, labels: Tensor, seed: int, only: int | None = None, corpora: Tensor | None = None) -> None:
        """Deal the rows of these labels [n], or those of one label alone; `corpora` [n] says which corpus each is of.

        Raises:
            ValueError: there are none.
        """
        values = labels.numpy()
        origins = np.zeros_like(values) if corpora is None else corpora.numpy()
        wanted = np.unique(values) if only is None else [only]
        found = [[np.flatnonzero((values == label) & (origins == origin)) for origin in np.unique(origins)] for label in wanted]
        some = [[rows for rows in packs if len(rows)] for packs in found]
        self._rows = [packs for packs in some if packs]  # class -> corpus -> rows
        if not self._rows:
            raise ValueError("no rows to sample from: the corpus kept no pictures" + ("" if only is None else " of this emotion"))
        self._seed = seed
        self._packs: dict[tuple[int, int], tuple[int, np.ndarray]] = {}  # class, corpus -> the pack dealt at present and its number

    def rows(self, start: int, count: int) -> list[int]:
        """Row indices at positions `start` to `start + count - 1`."""
        return [self._row(position) for position in range(start, start + count)]

    def _row(self, position: int) -> int:
        turn, seat = divmod(position, len(self._rows))
        which = int(np.random.default_rng([self._seed, 0, turn]).permutation(len(self._rows))[seat])
        packs = self._rows[which]
        turn, corpus = turn // len(packs), (turn + which) % len(packs)  # classes are not all at the same corpus
        rows = packs[corpus]
        number, card = divmod(turn, len(rows))
        return int(rows[self._pack(which, corpus, number)[card]])

    def _pack(self, which: int, corpus: int, number: int) -> np.ndarray:
        held = self._packs.get((which, corpus))
        if held is None or held[0] != number:
            origin = [corpus] if corpus else []  # of a single corpus the order is that of its seed alone
            shuffled = np.random.default_rng([self._seed, 1, which, number, *origin]).permutation(len(self._rows[which][corpus]))
            held = self._packs[which, corpus] = (number, shuffled)
        return held[1]


@dataclass(frozen=True)
class TrainingBatch:
    """What one step sees."""

    latents: Tensor  # [b, 4, h, w] drawn from the posterior, scaled
    noise: Tensor  # [b, 4, h, w]
    timesteps: Tensor  # int64 [b]
    visual: Tensor  # [b, d]
    caption: Tensor  # [b, p]
    label: Tensor  # int64 [b]
    unconditional: Tensor  # bool [b]: these see the empty prompt

    def to(self, device: torch.device) -> "TrainingBatch":
        """The same on another device."""
        return TrainingBatch(**{field.name: getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)})

    def split(self, pieces: int) -> list["TrainingBatch"]:
        """The same samples in so many batches of one size.

        Raises:
            ValueError: they do not divide by it.
        """
        if len(self.label) % pieces:
            raise ValueError(f"{len(self.label)} samples of a step do not divide by accumulate {pieces}: choose a divisor")
        columns = {field.name: getattr(self, field.name).chunk(pieces) for field in fields(self)}
        return [TrainingBatch(**{name: values[index] for name, values in columns.items()}) for index in range(pieces)]


class BatchSource:
    """Makes the batch of any step, for any process.

    Every step has its own generator, on the CPU, that draws for the batch of all processes together: resuming needs no random state, a
    batch is the same on every device, and two processes see together what one process with the whole batch sees.
    """

    def __init__(self, features: FeatureSet, recipe: OptimisationRecipe, num_timesteps: int, only: int | None = None) -> None:
        """Batches of all pictures, emotions in equal parts; or of those with one label alone."""
        self._features = features
        self._recipe = recipe
        self._num_timesteps = num_timesteps
        self._sampler = ClassBalancedSampler(features.labels, recipe.seed, only, features.corpora)

    def at(self, step: int, process: int = 0, num_processes: int = 1) -> TrainingBatch:
        """The batch of a step (counted from 0), or a process's share of it.

        Raises:
            ValueError: the batch does not divide by the number of processes.
        """
        recipe = self._recipe
        if recipe.batch_size % num_processes:
            raise ValueError(f"batch_size {recipe.batch_size} does not divide by {num_processes} processes: choose a multiple")
        share = recipe.batch_size // num_processes
        mine = slice(process * share, (process + 1) * share)
        draws = self._draw(step)
        rows = self._sampler.rows(step * recipe.batch_size, recipe.batch_size)[mine]
        features = self._features.batch(rows, draws["variant"][mine].tolist())
        noise = draws["noise"][mine] + recipe.offset_noise * draws["offset"][mine]
        return TrainingBatch(
            latents=features.latent_mean + features.latent_std * draws["posterior"][mine],
            noise=noise,
            timesteps=draws["timestep"][mine],
            visual=features.visual,
            caption=features.caption,
            label=features.label,
            unconditional=draws["dropout"][mine] < recipe.condition_dropout,
        )

    def _draw(self, step: int) -> dict[str, Tensor]:
        recipe, shape = self._recipe, self._features.latent_shape
        entropy = int(np.random.SeedSequence([recipe.seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))
        generator = torch.Generator().manual_seed(entropy)
        variants = self._features.num_variants if recipe.mirror else 1
        size = recipe.batch_size
        return {
            "posterior": torch.randn(size, *shape, generator=generator),
            "noise": torch.randn(size, *shape, generator=generator),
            "offset": torch.randn(size, shape[0], 1, 1, generator=generator),
            "timestep": torch.randint(self._num_timesteps, (size,), generator=generator),
            "variant": torch.randint(variants, (size,), generator=generator),
            "dropout": torch.rand(size, generator=generator),
        }
