"""The weights at which L_SEM's four forms pull equally hard: what benchmarks/ablations.toml compares them at.

    .venv/bin/python benchmarks/semantic_losses.py --workspace demo/workspace --json FILE

Works on the features that a finished `make demo` has left. The gradient of each form on the conditioning e_c is measured sample by sample
before the first step, where e_c is the same for all forms, over three initialisations that no table shows; behind e_c all forms go through
the same network. The weight of a form is the length of the cosine's gradient over its own. One torch thread.
"""

import argparse
import tomllib
from pathlib import Path
from typing import get_args

import torch
from results_table import Row, report, row

from coemogen_core.model.conditioner import SemanticLoss, semantic_loss
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.batches import TrainingBatch
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.objective import build_objective
from flows.corpora import read_corpora
from flows.params import load_params
from flows.train_params import TrainAndEvalParams

SEEDS = (1001, 1002, 1003)
FORMS: tuple[SemanticLoss, ...] = get_args(SemanticLoss)
TOLERANCE = 0.02  # of a weight
SAID = Path(__file__).with_name("ablations.toml")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", default="demo/workspace", help="workspace of a finished demo")
    parser.add_argument("--samples", type=int, default=512, help="training pictures that the gradient is averaged over")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    params = load_params("lab", TrainAndEvalParams, {"workspace": arguments.workspace})
    lengths = {form: sum(found[form] for found in measured(params, arguments.samples)) / len(SEEDS) for form in FORMS}
    report(rows(lengths), arguments.json)


def measured(params: TrainAndEvalParams, samples: int) -> list[dict[SemanticLoss, float]]:
    """By initialisation and form, the mean length of a sample's gradient on e_c."""
    workspace = Workspace(params.workspace)
    record = read_corpora(workspace, params)[0]
    features = FeatureSet.open(workspace, params.dataset, params.features.feature_id(record.version))
    chosen = torch.randperm(len(features), generator=torch.Generator().manual_seed(SEEDS[0]))[:samples].tolist()
    seen = features.batch(chosen, [0] * len(chosen))
    nothing = torch.zeros(0)
    batch = TrainingBatch(seen.latent_mean, nothing, nothing, seen.visual, seen.caption, seen.label, nothing)
    found = []
    for seed in SEEDS:
        objective = build_objective(params.models, features.visual_width, params.training.model_copy(update={"seed": seed}))
        conditioning = objective.condition(batch).pooled.detach().float()
        found.append({form: gradient_length(conditioning, seen.caption, form) for form in FORMS})
    return found


def gradient_length(conditioning: torch.Tensor, captions: torch.Tensor, form: SemanticLoss) -> float:
    """Mean over the samples of the length of the gradient of their loss on e_c [n, d]."""
    asked = conditioning.requires_grad_()
    (gradient,) = torch.autograd.grad(semantic_loss(asked, captions, form).sum(), asked)
    return float(gradient.norm(dim=-1).mean())


def rows(lengths: dict[SemanticLoss, float]) -> list[Row]:
    """Lengths beside the cosine's, and the weight that the matrix gives beside the one that matches."""
    settings = [method.get("settings", {}) for method in tomllib.loads(SAID.read_text())["methods"]]
    said = {some["semantic_loss"]: some for some in settings if "semantic_loss" in some}
    table = [row(f"gradient of {form} on e_c, a sample", "length", lengths[form], lengths["cosine"], None, None) for form in FORMS]
    for form in FORMS[1:]:
        matching, given = lengths["cosine"] / lengths[form], float(said[form].get("semantic_weight", 1.0))
        holds = abs(given / matching - 1) < TOLERANCE
        table.append(row(f"weight of {form} in ablations.toml", "beside the matching", given, matching, TOLERANCE, holds))
    return table


if __name__ == "__main__":
    main()
