"""What a workspace still refers to: the parts of present plans, and all that versions name which are current, published or in use."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from coemogen_core.classifier.classifier_store import ClassifierCard, has_classifier, read_classifier_card
from coemogen_core.curation.decisions import DecisionsRecord, read_record, resolve_version
from coemogen_core.data.part_plan import read_cuts, read_finished
from coemogen_core.publication.publication import MANIFEST
from coemogen_core.storage.listing import files_in
from coemogen_core.storage.workspace import Workspace
from coemogen_core.upkeep.names import version_of_record


@dataclass(frozen=True)
class References:
    """Names that are in use. A version is kept when it is current or published."""

    planned: Mapping[str, frozenset[str]]
    """By source, the parts of its plans; a source that was never planned is missing: all of it is in use."""
    named: Mapping[tuple[str, str], frozenset[str]]
    """By kind (`part`, `encoder`, `classifier`, `groups` of near-duplicates) and source, what versions name that are kept or in use."""
    weighed: Mapping[str, frozenset[str]]
    """By kind, the sources of kept versions that all say what they name; on other sources all is in use."""
    versions: Mapping[str, frozenset[str]]
    """By dataset, versions that are kept or in use; a dataset without a kept one is missing: all are in use."""

    def has_part(self, source: str, part: str) -> bool:
        """Whether a part is in a plan of its source, or a version names it."""
        return part in self.planned.get(source, {part}) or part in self.named.get(("part", source), ())

    def has(self, kind: str, source: str, name: str) -> bool:
        """Whether a version names an encoder, a classifier or groups."""
        return source not in self.weighed[kind] or name in self.named.get((kind, source), ())


def find_references(workspace: Workspace, used_since: float) -> References:
    """Read the plans of all sources and the records of all versions that are kept or in use; some requests a source and version.

    Args:
        used_since: seconds since 1970; versions whose record was written later are in use (`curation.decisions.use_version`).
    """
    kept = {dataset: kept_versions(workspace, dataset) for dataset in workspace.list_folders("decisions")}
    versions = {dataset: names | _used_versions(workspace, dataset, used_since) for dataset, names in kept.items()}
    records = list(_records(workspace, versions))
    named = defaultdict[tuple[str, str], set[str]](set)
    for record in records:
        for kind, source, name in _named(workspace, record):
            named[kind, source].add(name)
    weighed = frozenset(record.source for record in records if record.version in kept.get(record.dataset, ()))
    silent = {record.source for record in records if record.recipe.near_duplicates is not None and record.groups is None}
    return References(
        planned={source: _planned(workspace, source) for source in workspace.list_folders("images") if read_cuts(workspace, source)},
        named={key: frozenset(names) for key, names in named.items()},
        weighed={"encoder": weighed, "classifier": weighed, "groups": weighed - silent},
        versions={dataset: names for dataset, names in versions.items() if kept[dataset]},
    )


def kept_versions(workspace: Workspace, dataset: str) -> frozenset[str]:
    """Versions of a dataset that are current or published."""
    published = {name for name in workspace.list_folders("curated", dataset) if workspace.exists("curated", dataset, name, MANIFEST)}
    try:
        current = {resolve_version(workspace, dataset)}
    except FileNotFoundError:
        current = set()
    decided = {version_of_record(dataset, name) for name in workspace.list_files("decisions", dataset)}
    return frozenset((published | current) & decided)


def _used_versions(workspace: Workspace, dataset: str, since: float) -> frozenset[str]:
    recent = (version_of_record(dataset, file.name) for file in files_in(workspace, "decisions", dataset) if file.written >= since)
    return frozenset(version for version in recent if version is not None)


def _records(workspace: Workspace, versions: Mapping[str, Iterable[str]]) -> Iterator[DecisionsRecord]:
    for dataset, names in versions.items():
        for version in sorted(names):
            with suppress(FileNotFoundError):  # removed meanwhile
                yield read_record(workspace, dataset, version)


def _planned(workspace: Workspace, source: str) -> frozenset[str]:
    cuts = [*read_cuts(workspace, source).values(), read_finished(workspace, source)]
    return frozenset(part for cut in cuts if cut is not None for part in cut.names)


def _named(workspace: Workspace, record: DecisionsRecord) -> Iterator[tuple[str, str, str]]:
    """Kind, source and name of all that a version was made with, and of what its classifier was trained on."""
    yield from (("part", record.source, part) for part in record.parts)
    yield "encoder", record.source, record.encoder_id
    if record.groups is not None:
        yield "groups", record.source, record.groups
    classifier_id = record.recipe.selection.classifier_id
    if classifier_id is None:
        return
    yield "classifier", record.source, classifier_id
    if has_classifier(workspace, classifier_id):
        card = read_classifier_card(workspace, classifier_id)
        yield "encoder", record.source, card.encoder_id
        if isinstance(card, ClassifierCard):
            yield "encoder", card.source, card.encoder_id
            yield from (("part", card.source, part) for part in card.parts)
