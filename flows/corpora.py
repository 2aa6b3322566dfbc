"""The curated corpora that a training is asked for."""

from collections.abc import Sequence

from coemogen_core.curation.decisions import CURRENT, DecisionsRecord, resolve_version, use_version
from coemogen_core.storage.workspace import Workspace
from flows.train_params import TrainAndEvalParams


def read_corpora(workspace: Workspace, params: TrainAndEvalParams) -> list[DecisionsRecord]:
    """The versions of all corpora that are trained on, from now on in use; what is trained on of the others is their current one."""
    versions = (params.version, *(CURRENT for _ in params.joined_with))
    return [
        use_version(workspace, dataset, resolve_version(workspace, dataset, version))
        for dataset, version in zip(params.datasets, versions, strict=True)
    ]


def reference_record(params: TrainAndEvalParams, records: Sequence[DecisionsRecord]) -> DecisionsRecord:
    """The corpus that the pictures are measured against."""
    wanted = params.reference_dataset or params.dataset
    return next(record for record in records if record.dataset == wanted)
