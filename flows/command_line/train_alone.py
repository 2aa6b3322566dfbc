"""What `coemogen train` does: the training stage of train-and-eval alone, in as many processes as `accelerate launch` starts. No Prefect.

Wraps `coemogen_core.training.run.train` with the parameters, and so with the run id, of `train-and-eval`, which then finds the model ready.
"""

import os

from coemogen_core.methods.coemogen import CoEmoGen
from coemogen_core.methods.method import TrainingData
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.feature_set import join_sets, list_parts
from coemogen_core.training.features import cache_features_part
from flows.command_line.front import console
from flows.corpora import read_corpora, trained_emotions
from flows.train_params import TrainAndEvalParams


def train_alone(params: TrainAndEvalParams) -> None:
    """Cache the features that are missing, and train; goes on where an interrupted training stopped.

    Raises:
        FileNotFoundError: the corpus is not curated yet, or features are missing and several processes wait for them.
        ValueError: a corpus has no picture to train on; the message says which step left none.
    """
    workspace = Workspace(params.workspace)
    records = read_corpora(workspace, params)
    trained_emotions(workspace, [records], params.train_splits)  # before hours of features: a corpus may have nothing to train on
    method = CoEmoGen("coemogen", params.training)
    method.check(workspace, params.models)
    sets = [(record.dataset, params.features.feature_id(record.version)) for record in records]
    parts = [(record, part) for record in records for part in record.parts]
    missing = [
        (record, part)
        for record, one in zip(records, sets, strict=True)
        for part in sorted(set(record.parts) - set(list_parts(workspace, *one)))
    ]
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if missing and processes > 1:
        raise FileNotFoundError(
            f"{len(missing)} of {len(parts)} parts have no features yet, and {processes} processes would all compute them: "
            "start `coemogen train` once without accelerate launch, and again with it when the first step is reported"
        )
    for number, (record, part) in enumerate(missing, start=1):
        console.print(f"features {number} of {len(missing)}: {part}")
        cache_features_part(workspace, record.dataset, record.version, record.source, part, params.features)
    data = TrainingData(workspace, *join_sets(workspace, sets), params.models)
    outcome = method.train(data, lambda progress: console.print(progress.line))
    if os.environ.get("RANK", "0") == "0":
        console.print("the model was there already" if outcome.reused else f"trained in {outcome.seconds:.0f} s")
        console.print(workspace.path("runs", outcome.run_id), soft_wrap=True)
