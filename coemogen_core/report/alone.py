"""The report of pictures that were evaluated alone, without a run or a workspace."""

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.alone import METHOD, AloneEvaluation
from coemogen_core.report.data import GalleryRow, ReportData
from coemogen_core.report.failures import failure_parts
from coemogen_core.report.map import map_part
from coemogen_core.report.pictures import inline_picture

SHOWN = 8
INTRODUCTION = (
    "Pictures that were made to evoke emotions, measured by CoEmoGen's evaluation against real ones. What each number means and which "
    "networks were asked stands below the table of metrics."
)


def report_data(evaluation: AloneEvaluation, title: str) -> ReportData:
    """What a report shows of it: the numbers, the first pictures of every emotion, failures and the map."""
    counts = evaluation.pictures.counts()
    unreadable = {entry.path for entry in evaluation.left_out}
    rows = []
    for index, emotion in enumerate(EMOTIONS):
        items = evaluation.pictures.items[index]
        good = [number for number in range(counts[index]) if items[number].path not in unreadable][:SHOWN]
        loaded = evaluation.pictures.load([(index, number) for number in good])
        shown = [inline_picture(data, f"{emotion}, {items[number].path}") for number, data in zip(good, loaded, strict=True)]
        if shown:
            rows.append(GalleryRow(emotion=emotion, pictures={METHOD: shown}))
    metrics, labels = evaluation.metrics, {METHOD: "these images"}
    return ReportData(
        title=title,
        introduction=INTRODUCTION,
        metrics=metrics,
        labels=labels,
        gallery=rows,
        failures=failure_parts({METHOD: evaluation.evaluated}, labels, SHOWN, metrics.seed),
        map=map_part(evaluation.real, {METHOD: evaluation.evaluated.features}, metrics.methods[METHOD].sem_d.extractor, metrics.seed),
    )
