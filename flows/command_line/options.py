"""Options that several commands share, and how their texts are read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, Token

from flows.profiles import Profile

if TYPE_CHECKING:
    from flows.params import Params


def whole_number(_hint: Any, tokens: Sequence[Token]) -> int:
    """What cyclopts does with a number, but for rounding 1.5. Raises ValueError for what is no whole number."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value!r} is no whole number") from None


ALL = "all"
Whole = Annotated[int, Parameter(converter=whole_number)]
Root = Annotated[str, Parameter(help="Folder or URI of the pictures.")]
Licence = Annotated[str | None, Parameter(help="Licence of the pictures, written to every row.")]
WorkspaceUri = Annotated[str, Parameter(help="Folder or URI of all tables.")]
Version = Annotated[str, Parameter(help="Version of its decisions; current = the last one that was built.")]
EMOTION = Parameter(help="An emotion, a fusion such as awe=0.6,fear=0.4, or all.")
ProfileName = Annotated[
    Profile, Parameter(help="Parameters to start from: lab, real (real photos on a laptop), or sd15 (the paper's models).")
]
Settings = Annotated[
    list[str],
    Parameter(
        name="--set",
        help="Replace a parameter: key=value, nested keys with dots, e.g. caption.temperature=0.7; null where none is allowed.",
        negative="",
    ),
]


def flow_params(profile: Profile, model: type["Params"], given: dict[str, Any], settings: list[str]) -> "Params":
    """Parameters of a flow: the profile's, over them what the options gave, over them what --set says.

    `key={}` takes the defaults of what may be none; where something stands already, it would set nothing.

    Raises:
        ValueError: see `nested`; or a value is refused.
    """
    from coemogen_core.recipe import merge
    from flows.params import load_params

    params = load_params(profile, model, merge(given, nested(settings, may_be_empty=True)))
    for number, setting in enumerate(settings):
        if setting.partition("=")[2].strip() == "{}":
            others = settings[:number] + settings[number + 1 :]
            if load_params(profile, model, merge(given, nested(others, may_be_empty=True))) == params:
                raise _sets_nothing(setting)
    return params


def nested(settings: list[str], *, may_be_empty: bool = False) -> dict[str, Any]:
    """`["a.b=1", "c=x"]` as `{"a": {"b": 1}, "c": "x"}`; values are read as TOML where they can be, else as text; null is None.

    Raises:
        ValueError: an item has no `=`, or is `{}` where that may not be.
    """
    import tomllib

    from coemogen_core.recipe import merge

    values: dict[str, Any] = {}
    for setting in settings:
        key, found, text = setting.partition("=")
        if not found or not key.strip():
            raise ValueError(f"--set {setting!r} is not of the form key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = None if text.strip() == "null" else text
        if value == {} and not may_be_empty:
            raise _sets_nothing(setting)
        for part in reversed(key.strip().split(".")):
            value = {part: value}
        values = merge(values, value)
    return values


def _sets_nothing(setting: str) -> ValueError:
    key = setting.partition("=")[0].strip()
    return ValueError(f"--set {setting!r} sets nothing: name what is to change, {key}.NAME=VALUE")


def given_only(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def parse_query(text: str) -> dict[str, float]:
    """`awe` as `{"awe": 1}`, `awe=0.6,fear=0.4` as `{"awe": 0.6, "fear": 0.4}`.

    Raises:
        ValueError: a weight is no number, or an emotion does not exist or stands there twice.
    """
    from coemogen_core.emotions import parse_emotion

    weights: dict[str, float] = {}
    for item in text.split(","):
        name, found, weight = item.partition("=")
        emotion = parse_emotion(name.strip())
        if emotion in weights:
            raise ValueError(f"--emotion {text!r} names {emotion!r} twice: add its weights up")
        try:
            weights[emotion] = float(weight) if found else 1.0
        except ValueError:
            raise ValueError(f"--emotion {text!r}: {weight!r} is no number; write e.g. awe=0.6,fear=0.4") from None
    return weights


def say_left_out(trained: list[str]) -> None:
    """Name the emotions that a model was never shown."""
    from coemogen_core.emotions import EMOTIONS

    if missing := [each for each in EMOTIONS if each not in trained]:
        print(f"left out, the training corpus had no such pictures: {', '.join(missing)}")
