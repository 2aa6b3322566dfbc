"""Report data to one HTML file that needs nothing else: no scripts, no fonts, no pictures from elsewhere."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.report import headline, tables
from coemogen_core.evaluation.report.data import ReportData
from coemogen_core.evaluation.report.pictures import display_width, is_pixel_art
from coemogen_core.evaluation.report.sections import PALETTE, SECTIONS

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
        summary=headline.summary(data),
        figures=headline.figures(data),
        sections=[{"id": section.id, "title": section.title, "content": content} for section, content in found if content is not None],
    )
    return page.lstrip()
