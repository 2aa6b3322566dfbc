"""When a file of any store was written."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any


def written_at(info: Mapping[str, Any]) -> float:
    """Seconds since 1970, of what fsspec says of a file, by whatever name its store calls that; now, where it does not say."""
    moment = next((info[name] for name in ("mtime", "LastModified", "updated", "last_modified", "created") if info.get(name)), time.time())
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment.timestamp() if isinstance(moment, datetime) else float(moment)
