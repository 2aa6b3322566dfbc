"""All cached feature parts of a dataset as one memory-mapped, randomly accessible set."""

import bisect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from coemogen_core.recipe import recipe_id
from coemogen_core.storage.local_files import local_copy
from coemogen_core.storage.location import open_file
from coemogen_core.storage.row_digest import RowDigest
from coemogen_core.storage.tensor_files import read_header
from coemogen_core.storage.workspace import Workspace

JOINED = "joined.json"


@dataclass(frozen=True)
class FeatureBatch:
    """Features of some rows, float32."""

    latent_mean: Tensor  # [b, 4, h, w], scaled as the U-Net takes latents
    latent_std: Tensor  # [b, 4, h, w], scaled
    visual: Tensor  # [b, d]
    caption: Tensor  # [b, p]
    label: Tensor  # int64 [b]


class FeatureSet:
    """Feature parts as one sequence of rows, by image id, so that the parts that they lie in change no training.

    Only the pages that are read take memory; labels, corpora and the order of the rows are held (24 bytes a row).
    """

    def __init__(self, parts: list[dict[str, Tensor]], facts: list[dict[str, Any]], corpora: list[int] | None = None) -> None:
        """Parts, what their files say of them, and the number of the corpus that each is of; one corpus by default."""
        self._parts = parts
        self._facts = facts
        self._ends: list[int] = []
        for part in parts:
            self._ends.append((self._ends[-1] if self._ends else 0) + len(part["label"]))
        self._order = _by_image_id(parts)
        self.labels = torch.cat([part["label"].long() for part in parts])[self._order]
        numbers = [0] * len(parts) if corpora is None else corpora
        filled = [torch.full((len(part["label"]),), number) for part, number in zip(parts, numbers, strict=True)]
        self.corpora = torch.cat(filled)[self._order]

    @classmethod
    def open(cls, workspace: Workspace, dataset: str, feature_id: str) -> "FeatureSet":
        """Map all cached parts; those of a remote workspace are fetched into fsspec's local cache first.

        Args:
            workspace: where they lie.
            dataset: e.g. emoset.
            feature_id: `FeatureRecipe.feature_id(version)`.

        Raises:
            FileNotFoundError: there are none.
            ValueError: the parts hold no rows, or do not belong together.
        """
        tensors, facts, corpora = [], [], []
        for number, one in enumerate(joined_sets(workspace, dataset, feature_id)):
            for name in cached_parts(workspace, *one):
                with safe_open(local_part(workspace, *one, name), framework="pt") as file:
                    tensors.append({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118 (a safe_open is no dict)
                    facts.append(json.loads(file.metadata()["coemogen"]))
                    corpora.append(number)
        if len({tuple(part["latent_mean"].shape[1:]) for part in tensors}) > 1:
            raise ValueError(f"features/{dataset}/{feature_id} mixes shapes of latents: remove the folder and cache the features again")
        features = cls(tensors, facts, corpora)
        if len(features) == 0:
            raise ValueError(f"features/{dataset}/{feature_id} holds no rows: no kept picture of {dataset} is of the chosen splits")
        return features

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_variants(self) -> int:
        """1, or 2 with mirror images."""
        return self._parts[0]["latent_mean"].shape[1]

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """(channels, height, width) of a latent."""
        return tuple(self._parts[0]["latent_mean"].shape[2:])

    @property
    def visual_width(self) -> int:
        """Width of the CLIP image embedding."""
        return self._parts[0]["visual"].shape[-1]

    def visual_embeddings(self) -> Tensor:
        """CLIP image embeddings of all pictures as they are (not mirrored): float32 [n, d]."""
        return torch.cat([part["visual"][:, 0].float() for part in self._parts])[self._order]

    def batch(self, rows: list[int], variants: list[int]) -> FeatureBatch:
        """Features of rows, each in the named variant (0 as it is, 1 mirrored)."""
        places = [self._place(row) for row in rows]
        columns = {
            name: torch.stack([self._parts[p][name][i, v] for (p, i), v in zip(places, variants, strict=True)]).float()
            for name in ("latent_mean", "latent_std", "visual")
        }
        scaling = torch.tensor([self._facts[p]["scaling_factor"] for p, _ in places])[:, None, None, None]
        shift = torch.tensor([self._facts[p]["shift_factor"] for p, _ in places])[:, None, None, None]
        return FeatureBatch(
            latent_mean=(columns["latent_mean"] - shift) * scaling,
            latent_std=columns["latent_std"] * scaling,
            visual=columns["visual"],
            caption=torch.stack([self._parts[p]["caption"][i] for p, i in places]).float(),
            label=self.labels[rows],
        )

    def _place(self, row: int) -> tuple[int, int]:
        row = int(self._order[row])
        part = bisect.bisect_right(self._ends, row)
        return part, row - (self._ends[part - 1] if part else 0)


def _by_image_id(parts: list[dict[str, Tensor]]) -> Tensor:
    """Where the rows stand, smallest image id first, int64 [n]."""
    digests = torch.cat([part["image_id"] for part in parts]).numpy()
    return torch.from_numpy(np.argsort(np.ascontiguousarray(digests).view("S32").ravel(), kind="stable"))


def rows_of_set(workspace: Workspace, dataset: str, feature_id: str) -> tuple[str, int]:
    """Hash of the rows of a feature set and of what made them, in whatever parts they lie, and their number. Reads headers alone.

    Raises:
        FileNotFoundError: there are no features.
    """
    sets = joined_sets(workspace, dataset, feature_id)
    found = [_rows_of_one(workspace, *one) for one in sets]
    count = sum(number for _, number in found)
    return (found[0][0] if len(sets) == 1 else recipe_id("rows", {"joined": [rows for rows, _ in found]})), count


def _rows_of_one(workspace: Workspace, dataset: str, feature_id: str) -> tuple[str, int]:
    digest, count, made_by = RowDigest(), 0, set[str]()
    for name in cached_parts(workspace, dataset, feature_id):
        with open_file(workspace.path("features", dataset, feature_id, f"{name}.safetensors")) as file:
            header = read_header(file)
        facts = json.loads(header["__metadata__"]["coemogen"])
        digest.merge(facts["rows"])
        made_by.add(facts["picture_id"])
        count += header["label"]["shape"][0]
    return recipe_id("rows", {"rows": digest.hexdigest(), "made_by": sorted(made_by)}), count


def join_sets(workspace: Workspace, sets: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Several feature sets, given by dataset and id, under one name, to be trained on together; a single one keeps its own.

    Returns:
        Dataset and id under which `FeatureSet.open` finds them.
    """
    if len(sets) == 1:
        return sets[0]
    dataset = "+".join(dataset for dataset, _ in sets)
    feature_id = recipe_id("joined", {"sets": sets})
    workspace.write_json({"sets": sets}, "features", dataset, feature_id, JOINED)
    return dataset, feature_id


def joined_sets(workspace: Workspace, dataset: str, feature_id: str) -> list[tuple[str, str]]:
    """Dataset and id of the feature sets that a name of `join_sets` stands for; any other name stands for itself."""
    if "+" not in dataset:
        return [(dataset, feature_id)]
    return [(one, its_id) for one, its_id in workspace.read_json("features", dataset, feature_id, JOINED)["sets"]]


def version_of(feature_id: str) -> str:
    """The version of the dataset in the name of its features."""
    return feature_id.split(".")[1]


def list_parts(workspace: Workspace, dataset: str, feature_id: str) -> list[str]:
    """Names of the cached parts, sorted; empty when there are none."""
    names = workspace.list_files("features", dataset, feature_id)
    return sorted(name.removesuffix(".safetensors") for name in names if name.endswith(".safetensors"))


def cached_parts(workspace: Workspace, dataset: str, feature_id: str) -> list[str]:
    """Names of the cached parts, sorted.

    Raises:
        FileNotFoundError: there are none.
    """
    if names := list_parts(workspace, dataset, feature_id):
        return names
    raise FileNotFoundError(f"no features in {workspace.path('features', dataset, feature_id)}: cache the features of {dataset} first")


def local_part(workspace: Workspace, dataset: str, feature_id: str, part: str) -> str:
    """A cached part as a file on this machine's disk. Raises FileNotFoundError when it does not exist."""
    return local_copy(workspace.path("features", dataset, feature_id, f"{part}.safetensors"), "cache the features of this part first")
