"""What a workspace still refers to: the parts of present plans, and all that versions name which are current or published."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from coemogen_core.classifier.classifier_store import has_classifier, read_classifier_card
from coemogen_core.curation.decisions import RECIPE, DecisionsRecord, read_record, resolve_version
from coemogen_core.data.part_plan import read_cuts, read_finished
from coemogen_core.publication.publication import MANIFEST
from coemogen_core.storage.workspace import Workspace


@dataclass(frozen=True)
class References:
    """Names that are in use."""

    planned: Mapping[str, frozenset[str]]
    """By source, the parts of its plans; a source that was never planned is missing: all of it is in use."""
    parts: Mapping[str, frozenset[str]]
    """By source, those, and the parts of versions that are kept."""
    encoders: Mapping[str, frozenset[str]]
    """By source, encoders that a kept version on it names; a source without such a version is missing: all are in use."""
    classifiers: Mapping[str, frozenset[str]]
    """By source, likewise."""
    versions: Mapping[str, frozenset[str]]
    """By dataset, versions that are current or published; a dataset that has neither is missing: all are in use."""


def find_references(workspace: Workspace) -> References:
    """Read the plans of all sources and the records of all kept versions; some requests a source and version."""
    sources = workspace.list_folders("images")
    planned = {source: _planned(workspace, source) for source in sources if read_cuts(workspace, source)}
    kept = {dataset: kept_versions(workspace, dataset) for dataset in workspace.list_folders("decisions")}
    records = [read_record(workspace, dataset, version) for dataset, versions in kept.items() for version in sorted(versions)]
    on = {source: [record for record in records if record.source == source] for source in {record.source for record in records}}
    named = {source: frozenset(part for record in some for part in record.parts) for source, some in on.items()}
    return References(
        planned=planned,
        parts={source: parts | named.get(source, frozenset()) for source, parts in planned.items()},
        encoders={source: frozenset(each for record in some for each in _encoders(workspace, record)) for source, some in on.items()},
        classifiers={source: frozenset(each for record in some for each in _classifiers(record)) for source, some in on.items()},
        versions={dataset: versions for dataset, versions in kept.items() if versions},
    )


def kept_versions(workspace: Workspace, dataset: str) -> frozenset[str]:
    """Versions of a dataset that are current or published."""
    decided = {name.removesuffix(f".{RECIPE}") for name in workspace.list_files("decisions", dataset) if name.endswith(f".{RECIPE}")}
    published = {name for name in workspace.list_folders("curated", dataset) if workspace.exists("curated", dataset, name, MANIFEST)}
    try:
        current = {resolve_version(workspace, dataset)}
    except FileNotFoundError:
        current = set()
    return frozenset((published | current) & decided)


def _planned(workspace: Workspace, source: str) -> frozenset[str]:
    cuts = [*read_cuts(workspace, source).values(), read_finished(workspace, source)]
    return frozenset(part for cut in cuts if cut is not None for part in cut.names)


def _encoders(workspace: Workspace, record: DecisionsRecord) -> Iterator[str]:
    yield record.encoder_id
    for classifier_id in _classifiers(record):
        if has_classifier(workspace, classifier_id):
            yield read_classifier_card(workspace, classifier_id).encoder_id


def _classifiers(record: DecisionsRecord) -> Iterator[str]:
    if record.recipe.selection.classifier_id is not None:
        yield record.recipe.selection.classifier_id
