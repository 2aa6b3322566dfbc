"""The dataset card (README.md) of a published dataset: a YAML header that Hugging Face reads, and what a user should know."""

from typing import Any

import polars as pl
from huggingface_hub import DatasetCardData
from jinja2 import Environment, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field

from coemogen_core.curation.decisions import DecisionsRecord

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
UNKNOWN_LICENCE = "not stated by the source"

_CARD = """\
---
{{ header }}
---

# {{ dataset }}, version `{{ record.version }}`

Pictures that evoke one of Mikels' eight emotions, each with a one-sentence caption and the similarity of caption and picture.
{{ rows }} of {{ funnel.candidates }} candidate pictures of the source `{{ record.source }}` were kept.

```python
from datasets import load_dataset

dataset = load_dataset("path/to/this/folder", split="train")
```

## How the rows were chosen

| setting | value |
|---|---|
| emotion of a picture | {{ "classifier `%s`"|format(selection.classifier_id) if selection.classifier_id else "label of the source" }} |
{% if selection.classifier_id -%}
| confidence | greater than {{ selection.min_confidence }} |
{% endif -%}
| emotions collected | {{ selection.emotions|join(", ") }} |
| captions | {{ record.recipe.captions.describe() }}{% if models %}, model {{ models|join(", ") }}{% endif %} |
| similarity | cosine, encoder `{{ record.recipe.encoder_id }}` |
| dropped for low similarity | the lowest {{ "%g"|format(record.recipe.drop_fraction * 100) }} % of each emotion |
{% if record.recipe.near_duplicates -%}
| near-duplicates | cosine distance of embeddings up to {{ record.recipe.near_duplicates.max_distance }}; the largest picture stays |
{% endif -%}

| step | dropped | remaining |
|---|---:|---:|
| candidates | | {{ funnel.candidates }} |
{% for step in funnel.steps if step.dropped -%}
| {{ step.reason }} | {{ step.dropped }} | {{ step.remaining }} |
{% endfor %}
| emotion | candidates | kept |
|---|---:|---:|
{% for emotion, count in funnel.per_emotion.items() -%}
| {{ emotion }} | {{ count.candidates }} | {{ count.kept }} |
{% endfor %}
{% if funnel.per_style -%}
| style | kept |{% for emotion in selection.emotions %} {{ emotion }} |{% endfor %}
|---|---:|{{ "---:|" * selection.emotions|length }}
{% for style, counts in funnel.per_style.items() -%}
| {{ style }} | {{ counts.values()|sum }} |{% for emotion in selection.emotions %} {{ counts[emotion] }} |{% endfor %}
{% endfor %}
{% endif -%}
## Columns

`image_id` (SHA-256 of the picture's bytes), `image`, `width`, `height`, `label`, `confidence` (calibrated probability of the label;
empty where a person gave it), `caption`, `similarity`, `split` (of the source), `artist`, `style`, `genre`, `licence`.
`manifest.json` lists rows, bytes and SHA-256 of every file.

## Licences

The pictures stay under the licences of their source; this dataset grants no right to them. Licence of each row: column `licence`.

| source | licence | pictures |
|---|---|---:|
{% for licence, count in licences -%}
| {{ record.source }} | {{ licence }} | {{ count }} |
{% endfor %}
## Known biases and limits

{% if selection.classifier_id -%}
- No person labelled these pictures. The classifier was trained on labelled photographs, so its confidence on other kinds of pictures
  is itself an estimate; subjects that photographs rarely show are judged by their likeness to photographs.
- Keeping confident pictures only favours stereotyped ones: strong, single, photographically typical emotions.
{% else -%}
- Labels are the source's. What a picture evokes differs between people and cultures; one label hides that.
{% endif -%}
- Emotions are unevenly frequent (table above), and so are styles, artists and periods: the source decides what there is to choose from.
{% if left_out -%}
- Not collected: {{ left_out|join(", ") }}.
{% endif -%}
- Captions were written by a model that was told the emotion, so they may see it where a person would not, and may name things that
  are not there. The similarity filter removes the least fitting ones and prefers what its encoder knows.
"""


class CardFacts(BaseModel):
    """What the card says about the published rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field(description="name of the dataset")
    rows: int = Field(ge=0, description="published rows")
    funnel: dict[str, Any] = Field(description="as `funnel` returns it")
    licences: tuple[tuple[str, int], ...] = Field(description="licence and number of pictures, commonest first")
    models: tuple[str, ...] = Field(description="models that wrote the captions")


def count_licences(licences: pl.Series) -> tuple[tuple[str, int], ...]:
    """Licences (null = not stated) with their numbers of pictures, commonest first."""
    counts = licences.fill_null(UNKNOWN_LICENCE).value_counts()
    return tuple(counts.sort(["count", counts.columns[0]], descending=[True, False]).iter_rows())


def render_card(record: DecisionsRecord, facts: CardFacts) -> str:
    """The dataset card as Markdown with a YAML header; the same facts give the same text."""
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701 - Markdown, not HTML
    selection = record.recipe.selection
    collected = set(selection.emotions)
    left_out = [emotion for emotion in facts.funnel["per_emotion"] if emotion not in collected]
    return environment.from_string(_CARD).render(
        header=_header(facts).to_yaml(),
        dataset=facts.dataset,
        record=record,
        selection=selection,
        rows=facts.rows,
        funnel=facts.funnel,
        licences=[(_cell(licence), count) for licence, count in facts.licences],
        models=[f"`{_cell(model)}`" for model in facts.models],
        left_out=left_out,
    )


def _header(facts: CardFacts) -> DatasetCardData:
    size = next((name for limit, name in _SIZES if facts.rows < limit), "n>10M")
    return DatasetCardData(
        pretty_name=facts.dataset,
        language=["en"],
        license="other",
        license_name="per-picture",
        task_categories=["text-to-image", "image-classification"],
        size_categories=[size],
        tags=["emotion", "affective-computing", "image", "parquet"],
        configs=[{"config_name": "default", "data_files": [{"split": "train", "path": "part-*.parquet"}]}],
    )


def _cell(text: str) -> str:
    """One table cell: foreign text must not break the table."""
    return " ".join(text.split()).replace("|", "\\|")
