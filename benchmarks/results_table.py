"""The table of every benchmark: its rows as they go into JSON, and as people read them."""

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def row(name: str, unit: str, ours: float, reference: float | None, bar: float | None, holds: bool | None) -> Row:
    """A row of the table. Without a reference, the bar is one on `ours`; without a bar, it only informs."""
    ratio = None if reference is None else ours / reference
    return {"name": name, "unit": unit, "ours": ours, "reference": reference, "ratio": ratio, "bar": bar, "holds": holds}


def report(rows: list[Row], json_file: Path | None) -> None:
    """Print the rows as Markdown, and write them as JSON where that is wanted."""
    print("\n| what | unit | ours | reference | ratio | bar | holds |\n|---|---|---:|---:|---:|---:|---|")
    for each in rows:
        numbers = ["" if each[name] is None else f"{each[name]:.4g}" for name in ("ours", "reference", "ratio", "bar")]
        verdict = {True: "yes", False: "no", None: ""}[each["holds"]]
        print(f"| {' | '.join((each['name'], each['unit'], *numbers, verdict))} |")
    if json_file:
        json_file.write_text(json.dumps(rows, indent=2) + "\n")
