"""Report data to one HTML file that needs nothing else: no scripts, no fonts, no pictures from elsewhere."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.definitions import DEFINITIONS
from coemogen_core.report import tables
from coemogen_core.report.data import ReportData
from coemogen_core.report.pictures import display_width, is_pixel_art
from coemogen_core.report.sections import PALETTE, SECTIONS
from schemas.metrics import MetricName


def summary(data: ReportData) -> str:
    """The answer to "does it work?" in a sentence."""
    methods = data.metrics.in_order()
    shares = [(data.labels[name], method.emo_a.value) for name, method in methods.items() if method.emo_a.value is not None]
    if not shares:
        return "Too few images were made to measure anything."
    (label, first), *others = shares
    found = f"{tables.judge(next(iter(methods.values())))} recognises the intended emotion in {tables.number(first, 'emo_a')}"
    if len(methods) > 1:
        found += f" of the images by {label}"
    if len(others) == 1:
        found += f" and {tables.number(others[0][1], 'emo_a')} of the images by {others[0][0]}"
    elif others:
        values = [value for _, value in others]
        found += f", and in {tables.number(min(values), 'emo_a')} to {tables.number(max(values), 'emo_a')} of those by {len(values)} others"
    return f"{found}. {tables.second_judge(methods, data.labels)}".rstrip()


def figures(data: ReportData) -> list[dict[str, str]]:
    """The tiles below the headline: the first method's numbers, with the others' beside them."""
    methods = data.metrics.in_order()
    found = []
    shown: tuple[MetricName, ...] = ("emo_a", "fid", "sem_d")
    for name in shown:
        values = {method: found.estimate(name).value for method, found in methods.items()}
        (first, value), *others = values.items() if values else [("", None)]
        if value is None:
            continue
        notes = [f"{data.labels[other]} {tables.number(number, name)}" for other, number in others]
        if name == "sem_d" and data.metrics.reference is not None:
            notes.append(f"real images {tables.number(data.metrics.reference.sem_d.value, name)}")
        title = f"{DEFINITIONS[name].title}, {data.labels[first]}"
        found.append({"name": title, "value": tables.number(value, name), "note": "; ".join(notes)})
    if data.metrics.emoart is not None:
        art = data.metrics.emoart
        note = f"of {art.candidates:,}" + (
            "" if art.precision is None else f"; {tables.number(art.precision, 'emo_a')} carry their true emotion"
        )
        found.append({"name": "Paintings kept in EmoArt", "value": f"{art.kept:,}", "note": note})
    return found


FOLDER = Path(__file__).parent
STYLES = ("page", "gallery", "tables", "charts", "cards", "phone", "print")
"""In the order in which they are applied: what is particular to small screens and paper comes last."""


def render_report(data: ReportData) -> str:
    """The report as HTML. Everything that comes from data is escaped."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": tables.number, "display_width": display_width, "is_pixel_art": is_pixel_art}
    methods = list(data.metrics.in_order())
    found = [(section, section.content(data)) for section in SECTIONS]
    page = environment.get_template("report.html.jinja").render(
        data=data,
        css=Markup("".join((FOLDER / "styles" / f"{name}.css").read_text(encoding="utf-8") for name in STYLES)),  # noqa: S704 our own files
        methods=methods,
        labels=data.labels,
        colours={method: index % PALETTE for index, method in enumerate(methods)},
        emotions=EMOTIONS,
        summary=summary(data),
        figures=figures(data),
        sections=[{"id": section.id, "title": section.title, "content": content} for section, content in found if content is not None],
    )
    return page.lstrip()
