"""What `coemogen train` does: the training stage of train-and-eval alone, in as many processes as `accelerate launch` starts. No Prefect.

Wraps `coemogen_core.training.run.train` with the parameters, and so with the run id, of `train-and-eval`, which then finds the model ready.
"""

import os

from coemogen_core.curation.decisions import resolve_version, use_version
from coemogen_core.methods.coemogen import CoEmoGen
from coemogen_core.methods.method import TrainingData
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.feature_set import list_parts
from coemogen_core.training.features import cache_features_part
from flows.command_line.front import console
from flows.train_params import TrainAndEvalParams


def train_alone(params: TrainAndEvalParams) -> None:
    """Cache the features that are missing, and train; goes on where an interrupted training stopped.

    Raises:
        FileNotFoundError: the corpus is not curated yet, or features are missing and several processes wait for them.
    """
    workspace = Workspace(params.workspace)
    version = resolve_version(workspace, params.dataset, params.version)
    record = use_version(workspace, params.dataset, version)
    feature_id = params.features.feature_id(version)
    missing = sorted(set(record.parts) - set(list_parts(workspace, params.dataset, feature_id)))
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if missing and processes > 1:
        raise FileNotFoundError(
            f"{len(missing)} of {len(record.parts)} parts have no features yet, and {processes} processes would all compute them: "
            "start `coemogen train` once without accelerate launch, and again with it when the first step is reported"
        )
    for number, part in enumerate(missing, start=1):
        console.print(f"features {number} of {len(missing)}: {part}")
        cache_features_part(workspace, params.dataset, version, record.source, part, params.features)
    data = TrainingData(workspace, params.dataset, feature_id, params.models)
    outcome = CoEmoGen("coemogen", params.training).train(data, lambda progress: console.print(progress.line))
    if os.environ.get("RANK", "0") == "0":
        console.print("the model was there already" if outcome.reused else f"trained in {outcome.seconds:.0f} s")
        console.print(workspace.path("runs", outcome.run_id), soft_wrap=True)
