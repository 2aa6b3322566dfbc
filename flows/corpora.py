"""The curated corpora that trainings are asked for."""

from collections.abc import Iterable, Mapping, Sequence

from coemogen_core.curation.decisions import CURRENT, DecisionsRecord, resolve_version, use_version
from coemogen_core.curation.training_pictures import training_pictures
from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.storage.workspace import Workspace
from flows.train_params import TrainAndEvalParams


def read_corpora(workspace: Workspace, params: TrainAndEvalParams) -> list[DecisionsRecord]:
    """The versions of all corpora that are trained on, from now on in use; what is trained on of the others is their current one."""
    versions = (params.version, *(CURRENT for _ in params.joined_with))
    return [
        use_version(workspace, dataset, resolve_version(workspace, dataset, version))
        for dataset, version in zip(params.datasets, versions, strict=True)
    ]


def own_corpora(workspace: Workspace, params: TrainAndEvalParams) -> dict[str, list[DecisionsRecord]]:
    """By name of the method, the current versions of the corpora that it learns from in place of the run's.

    Raises:
        FileNotFoundError: one was never built; the message names the method.
    """
    found = {}
    for spec in () if params.matrix is None else params.matrix.methods:
        if spec.corpora:
            try:
                found[spec.name] = [use_version(workspace, each, resolve_version(workspace, each, CURRENT)) for each in spec.corpora]
            except FileNotFoundError as error:
                raise FileNotFoundError(f"method {spec.name} of the matrix: {error}") from error
    return found


def each_record(records: Iterable[DecisionsRecord], own: Mapping[str, Sequence[DecisionsRecord]]) -> list[DecisionsRecord]:
    """All corpora, each once, those of the run first."""
    every = [*records, *(record for some in own.values() for record in some)]
    return list({(record.dataset, record.version): record for record in every}.values())


def trained_emotions(
    workspace: Workspace, trainings: Sequence[Sequence[DecisionsRecord]], splits: Sequence[str] | None
) -> tuple[Emotion, ...]:
    """Emotions that every training sees: each is given by the corpora that it learns from together.

    Raises:
        ValueError: a corpus has no picture to train on (the message says which step left none), or no emotion is common to all.
    """
    seen = [{emotion for record in records for emotion in training_pictures(workspace, record, splits)} for records in trainings]
    if common := tuple(emotion for emotion in EMOTIONS if all(emotion in each for each in seen)):
        return common
    names = "; ".join("+".join(record.dataset for record in records) for records in trainings)
    raise ValueError(f"no emotion is in every corpus of the matrix ({names}): compare corpora that share one")


def reference_record(params: TrainAndEvalParams, records: Sequence[DecisionsRecord]) -> DecisionsRecord:
    """The corpus that the pictures are measured against."""
    wanted = params.reference_dataset or params.dataset
    return next(record for record in records if record.dataset == wanted)
