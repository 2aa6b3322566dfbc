"""What img2dataset writes down about downloads: a status in every sample's JSON, and all of them in `<shard>.parquet`."""

import logging
from collections.abc import Iterator, Mapping

from coemogen_core.data.readers.parquet_file import SourceParquet
from coemogen_core.data.source_folder import SourceFolder
from coemogen_core.data.source_item import RejectedFile, UnusableItem, printable

SUCCESS = "success"

logger = logging.getLogger(__name__)


def require_success(said: Mapping[str, object], path: str) -> None:
    """Raises UnusableItem, with the status as its reason, where a sample's JSON has a status other than success."""
    status = said.get("status")
    if isinstance(status, str) and status != SUCCESS:
        raise UnusableItem(_reason(status), f"{path}: img2dataset says {said.get('error_message')!r}; download it again or leave it out")


def failed_downloads(folder: SourceFolder, archive: str) -> Iterator[RejectedFile]:
    """The entries of `<shard>.parquet` beside an archive that are in no archive, with their status as reason; none without such a table.

    Raises:
        OSError: a remote store failed; trying again may help.
    """
    path = archive.removesuffix(".tar") + ".parquet"
    try:
        table = SourceParquet(folder, path, folder.stamp(path))
    except UnusableItem as error:
        if error.reason != "missing file":
            logger.warning("%s is left out: %s", path, error)
        return
    if not {"key", "status"} <= set(table.schema.names):
        return
    columns = [name for name in ("key", "status", "error_message", "url") if name in table.schema.names]
    seen = set()
    try:
        for _, row in table.rows(columns, 0, table.rows_in_all):
            if row["status"] != SUCCESS and row["key"] not in seen:
                seen.add(row["key"])
                yield RejectedFile(printable(f"{archive}/{row['key']}"), _reason(str(row["status"])), _detail(row))
    except UnusableItem as error:
        logger.warning("%s: the rest is left out: %s", path, error)


def _reason(status: str) -> str:
    return printable(status)[:60] or "no status"


def _detail(row: Mapping[str, object]) -> str:
    said = f"{row.get('url')!r}: {row.get('error_message')!r}"
    return printable(f"img2dataset could not download {said[:1000]}; download it again or leave it out")
