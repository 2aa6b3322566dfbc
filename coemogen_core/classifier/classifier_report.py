"""What there is to say about an emotion classifier, as Markdown: cross-validation, agreement with people, audit per style."""

from coemogen_core.classifier.cross_validation import CrossValidation, FoldValues
from coemogen_core.classifier.rating_agreement import RankCorrelation, RatingAgreement
from coemogen_core.classifier.style_audit import StyleAudit, StyleRow
from coemogen_core.emotions import EMOTIONS
from coemogen_core.markdown import table_cell

_NAMES = {"oasis": "OASIS", "wikiart-emotions": "WikiArt-Emotions"}


def validation_markdown(report: CrossValidation) -> str:
    """Accuracy and calibration on unseen pictures beside chance and majority, and the confusion matrix."""
    rows = [
        f"| accuracy, 8 emotions | {_spread(report.accuracy)} | {report.chance:.3f} | {report.majority:.3f} |",
        f"| accuracy, polarity | {_spread(report.polarity_accuracy)} | {report.polarity_chance:.3f} | {report.polarity_majority:.3f} |",
        f"| macro accuracy | {_spread(report.macro_accuracy)} | {report.chance:.3f} | {report.chance:.3f} |",
        f"| expected calibration error | {_spread(report.ece)} | | |",
        f"| the same, all folds together | {report.pooled_ece:.3f} | | |",
    ]
    confusion = [
        f"| {emotion} | {' | '.join(str(count) for count in counts)} |" for emotion, counts in zip(EMOTIONS, report.confusion, strict=True)
    ]
    lines = [
        f"Cross-validation of the emotion classifier on `{report.source}`: {report.rows} pictures, {report.folds.folds} folds, "
        "mean ± standard deviation over the folds.",
        "",
        "| | unseen pictures | chance | majority |",
        "|---|---:|---:|---:|",
        *rows,
        "",
        f"| label \\ prediction | {' | '.join(EMOTIONS)} |",
        "|---|" + "---:|" * len(EMOTIONS),
        *confusion,
    ]
    return "\n".join(lines) + "\n"


def validation_line(report: CrossValidation) -> str:
    """Accuracy on unseen pictures in a line, beside chance and majority."""
    return (
        f"unseen pictures of {report.source}, {report.folds.folds} folds: {_spread(report.accuracy)} right among 8 emotions "
        f"(chance {report.chance:.3f}, majority {report.majority:.3f}), {_spread(report.polarity_accuracy)} by polarity "
        f"(chance {report.polarity_chance:.3f}, majority {report.polarity_majority:.3f})"
    )


def agreement_line(report: RatingAgreement) -> str:
    """Rank correlation with people's valence in a line."""
    valence = report.valence
    ratings = f"agreement with {_NAMES[report.kind]}, {valence.pictures} pictures"
    if valence.spearman is None:
        return f"{ratings}: not enough for a correlation"
    interval = "" if valence.interval is None else f", {valence.interval.low:.3f} to {valence.interval.high:.3f}"
    return f"{ratings}: Spearman's correlation with valence {valence.spearman:.3f}{interval}"


def agreement_markdown(report: RatingAgreement) -> str:
    """Rank correlations of the classifier with human ratings."""
    lines = [
        f"Agreement with human ratings ({_NAMES[report.kind]}) of `{report.source}`, Spearman's correlation and its 95 % interval; "
        f"{report.rated} pictures rated, {len(report.rejected)} lines of the file not usable.",
        "",
        "| | pictures | correlation | interval |",
        "|---|---:|---:|---:|",
        _correlation("valence (positive minus negative)", report.valence),
        *(_correlation(emotion, correlation) for emotion, correlation in report.emotions.items()),
    ]
    return "\n".join(lines) + "\n"


def styles_markdown(report: StyleAudit) -> str:
    """The audit per style as a table."""
    text = report.text.format(emotion="<emotion>")
    lines = [
        f'Classifier and zero-shot CLIP ("{text}") per style; above = confidence greater than {report.min_confidence:g}.',
        "",
        "| style | pictures | mean confidence | above | CLIP disagrees | on polarity | CLIP disagrees, above |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *([_style(report.overall)] if report.overall else []),
        *(_style(row) for row in report.styles),
    ]
    return "\n".join(lines) + "\n"


def _spread(values: FoldValues) -> str:
    return f"{values.mean:.3f} ± {values.std:.3f}"


def _correlation(name: str, correlation: RankCorrelation) -> str:
    value = "-" if correlation.spearman is None else f"{correlation.spearman:.3f}"
    interval = "-" if correlation.interval is None else f"{correlation.interval.low:.3f} to {correlation.interval.high:.3f}"
    return f"| {name} | {correlation.pictures} | {value} | {interval} |"


def _style(row: StyleRow) -> str:
    above = "-" if row.disagreement_above is None else f"{row.disagreement_above:.0%}"
    return (
        f"| {table_cell(row.style)} | {row.pictures} | {row.mean_confidence:.3f} | {row.share_above:.0%} | "
        f"{row.disagreement:.0%} | {row.polarity_disagreement:.0%} | {above} |"
    )
