"""Options that several commands share, and what `--set` says."""

from typing import Annotated, Any

from cyclopts import Parameter

Root = Annotated[str, Parameter(help="Folder or URI of the pictures.")]
WorkspaceUri = Annotated[str, Parameter(help="Folder or URI that takes all tables.")]
ProfileName = Annotated[str, Parameter(help="Parameters to start from: lab, real (real photos on a laptop), or sd15 (the paper's models).")]
Settings = Annotated[
    list[str], Parameter(name="--set", help="Replace a parameter: key=value, nested keys with dots, e.g. training.steps=300.", negative="")
]


def nested(settings: list[str]) -> dict[str, Any]:
    """`["a.b=1", "c=x"]` as `{"a": {"b": 1}, "c": "x"}`; values are read as TOML where they can be, else as text.

    Raises:
        ValueError: an item has no `=`.
    """
    import tomllib

    from flows.profiles import merge

    values: dict[str, Any] = {}
    for setting in settings:
        key, found, text = setting.partition("=")
        if not found or not key.strip():
            raise ValueError(f"--set {setting!r} is not of the form key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        for part in reversed(key.strip().split(".")):
            value = {part: value}
        values = merge(values, value)
    return values
