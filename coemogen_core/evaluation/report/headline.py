"""What stands above the sections: one sentence, and a few numbers."""

from coemogen_core.evaluation.report import tables
from coemogen_core.evaluation.report.data import ReportData


def summary(data: ReportData) -> str:
    """The answer to "does it work?" in a sentence."""
    shares = [
        f"{tables.number(method.emo_a.value, 'emo_a')} of the images by {data.labels[name]}"
        for name, method in data.metrics.in_order().items()
        if method.emo_a.value is not None
    ]
    if not shares:
        return "Too few images were made to measure anything."
    if len(data.metrics.methods) == 1:
        return f"An independent judge recognises the intended emotion in {shares[0].partition(' by ')[0]}."
    listed = shares[0] if len(shares) == 1 else ", ".join(shares[:-1]) + " and " + shares[-1]
    return f"An independent judge recognises the intended emotion in {listed}."


def figures(data: ReportData) -> list[dict[str, str]]:
    """The tiles below the headline: the first method's numbers, with the others' beside them."""
    methods = data.metrics.in_order()
    found = []
    for name in ("emo_a", "fid", "sem_d"):
        values = {method: found.estimate(name).value for method, found in methods.items()}
        (first, value), *others = values.items() if values else [("", None)]
        if value is None:
            continue
        notes = [f"{data.labels[other]} {tables.number(number, name)}" for other, number in others]
        if name == "sem_d" and data.metrics.reference is not None:
            notes.append(f"real images {tables.number(data.metrics.reference.sem_d.value, name)}")
        title = f"{tables.METRIC_LABELS[name].split()[0]}, {data.labels[first]}"
        found.append({"name": title, "value": tables.number(value, name), "note": "; ".join(notes)})
    if data.metrics.emoart is not None:
        art = data.metrics.emoart
        note = f"of {art.candidates:,}" + (
            "" if art.precision is None else f"; {tables.number(art.precision, 'emo_a')} carry their true emotion"
        )
        found.append({"name": "Paintings in EmoArt", "value": f"{art.kept:,}", "note": note})
    return found
