"""Labelled pictures as they lie in folders, for an evaluation without a workspace: `<emotion>/*.png` of any system, or an EmoSet root."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from coemogen_core.data.decode import UnreadableImage
from coemogen_core.data.readers.emoset import EmoSetReader
from coemogen_core.data.readers.image_folder import ImageFolderReader
from coemogen_core.data.readers.reader import SourceReader
from coemogen_core.data.source_folder import is_picture
from coemogen_core.data.source_item import RejectedFile, SourceItem, UnusableItem
from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.emogen_pairs import Place
from coemogen_core.evaluation.extractors import ExtractorSet, decode_rgb
from coemogen_core.evaluation.features import ImageFeatures, LabelledImage, block_order, compute_features, concatenate
from coemogen_core.evaluation.recipe import EvaluationRecipe
from schemas.choices import EvaluationProtocol

BLOCK = 1000
SPLIT_FILES = ("train.json", "val.json", "test.json")
EXPECTED = "a folder with a subfolder for every emotion: <emotion>/*.png"


@dataclass(frozen=True)
class LeftOut:
    """A file that takes no part in any number."""

    path: str
    reason: str


@dataclass(frozen=True)
class PictureSet:
    """The labelled pictures of a source, and what was left out of it."""

    name: str
    split: str | None
    reader: SourceReader
    items: tuple[tuple[SourceItem, ...], ...]  # by emotion, [8]
    left_out: list[LeftOut] = field(default_factory=list)

    def counts(self) -> list[int]:
        """Pictures of every emotion, [8]."""
        return [len(items) for items in self.items]

    def load(self, places: Sequence[Place]) -> list[bytes]:
        """The encoded pictures at some places, in their order; no bytes for one that cannot be read."""
        return [self._read(self.items[emotion][number]) for emotion, number in places]

    def features(self, recipe: EvaluationRecipe, extractors: ExtractorSet) -> ImageFeatures:
        """Features of all pictures, at most a thousand encoded ones in memory; `left_out` takes those that cannot be decoded.

        Raises:
            ValueError: not one of them can be.
        """
        blocks = []
        for block in self._blocks():
            blocks.append(compute_features(block, extractors, recipe))
            if blocks[-1].rejected.any():
                self.left_out.extend(_undecodable(block))
        found = concatenate(blocks)
        if not len(found.emotions):
            first = self.left_out[-1]
            raise ValueError(f"none of the {sum(self.counts())} pictures of {self.name} can be read, e.g. {first.path}: {first.reason}")
        return found

    def places(self, recipe: EvaluationRecipe) -> list[Place]:
        """Where the picture of every row of `features` is; call it after that."""
        unreadable = {entry.path for entry in self.left_out}
        found = []
        for emotion, items in enumerate(self.items):
            for start in range(0, len(items), BLOCK):
                block = items[start : start + BLOCK]
                order = block_order(len(block), recipe.seed)
                found += [(emotion, start + int(number)) for number in order if block[number].path not in unreadable]
        return found

    def _blocks(self) -> Iterator[list[LabelledImage]]:
        for emotion, items in zip(EMOTIONS, self.items, strict=True):
            for start in range(0, len(items), BLOCK):
                yield [LabelledImage(item.path, emotion, self._read(item)) for item in items[start : start + BLOCK]]

    def _read(self, item: SourceItem) -> bytes:
        try:
            return next(iter(self.reader.load_items([item])))()[1]
        except UnusableItem:
            return b""


def open_pictures(
    root: str, protocol: EvaluationProtocol = "corrected", minimum: int = 1, emotions: Collection[str] = EMOTIONS
) -> PictureSet:
    """The labelled pictures below a folder.

    Args:
        root: path or URI: `<emotion>/*.png`, or EmoSet's layout (there is a train.json, val.json or test.json).
        protocol: of an EmoSet, "corrected" takes the test split where it has enough pictures of all emotions, "emogen" all splits.
        minimum: pictures that a test split must have.
        emotions: pictures of others are not looked at, except under protocol "emogen".

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        ValueError: there is no labelled picture in it.
    """
    folder = ImageFolderReader(root)
    folder.folder.require(EXPECTED)
    top = [path for path, _ in folder.folder.walk() if not is_picture(path)]
    is_emoset = any(name in top for name in SPLIT_FILES)
    reader: SourceReader = EmoSetReader(root) if is_emoset else folder
    listed = list(reader.list_items())
    labelled = [item for item in listed if isinstance(item, SourceItem) and item.label is not None]
    left_out = [LeftOut(entry.path, entry.reason) for entry in listed if isinstance(entry, RejectedFile)]
    left_out += [LeftOut(entry.path, "in no emotion's folder") for entry in listed if isinstance(entry, SourceItem) and entry.label is None]
    left_out += [] if is_emoset else [LeftOut(path, "not named like a picture") for path in top]
    if not labelled:
        raise ValueError(f"{root} has no pictures in a folder named by an emotion ({', '.join(EMOTIONS)}): expected {EXPECTED}")
    if protocol == "corrected":
        labelled = [item for item in labelled if item.label in emotions]
    if not labelled:
        raise ValueError(f"{root} has no pictures of {', '.join(emotions)}: nothing to compare with")
    test = [item for item in labelled if item.split == "test"]
    complete = {item.label for item in test} == {item.label for item in labelled}
    split, chosen = ("test", test) if len(test) >= minimum and protocol == "corrected" and complete else (None, labelled)
    items = tuple(tuple(item for item in chosen if item.label == emotion) for emotion in EMOTIONS)
    return PictureSet(folder.folder.root, split, reader, items, left_out)


def _undecodable(block: Sequence[LabelledImage]) -> Iterator[LeftOut]:
    for image in block:
        try:
            decode_rgb(image.data)
        except UnreadableImage as error:
            yield LeftOut(image.name, error.reason)
