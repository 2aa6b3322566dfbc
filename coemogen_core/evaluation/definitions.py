"""What every metric is called, which values it can have, which are better, and how exactly it is computed.

docs/metrics.md says the same to people; a test holds both together. Tests against other people's code take their tolerance from here.
"""

from dataclasses import dataclass
from typing import Literal

from schemas.metrics import METRIC_NAMES, MetricName

Better = Literal["lower", "higher", "neither"]
NumberName = MetricName | Literal["brightness", "colourfulness"]


@dataclass(frozen=True)
class MetricDefinition:
    """One metric."""

    title: str
    low: float | None
    """smallest possible value; None where there is no limit"""
    high: float | None
    better: Better
    tolerance: float
    """largest relative difference from the reference implementation; 0 is exact"""
    source: str

    @property
    def label(self) -> str:
        """Title with an arrow towards what is better."""
        return self.title + {"lower": " ↓", "higher": " ↑", "neither": ""}[self.better]


DEFINITIONS: dict[NumberName, MetricDefinition] = {
    "fid": MetricDefinition("FID", 0.0, None, "lower", 1e-6, "Heusel et al. 2017"),
    "kid": MetricDefinition("KID", None, None, "lower", 1e-9, "Bińkowski et al. 2018"),
    "cmmd": MetricDefinition("CMMD", None, None, "lower", 1e-9, "Jayasumana et al. 2024"),
    "precision": MetricDefinition("Precision", 0.0, 1.0, "higher", 0.0, "Kynkäänniemi et al. 2019"),
    "recall": MetricDefinition("Recall", 0.0, 1.0, "higher", 0.0, "Kynkäänniemi et al. 2019"),
    "density": MetricDefinition("Density", 0.0, None, "higher", 1e-9, "Naeem et al. 2020"),
    "coverage": MetricDefinition("Coverage", 0.0, 1.0, "higher", 0.0, "Naeem et al. 2020"),
    "lpips": MetricDefinition("LPIPS", 0.0, None, "higher", 1e-5, "Zhang et al. 2018"),
    "emo_a": MetricDefinition("Emo-A", 0.0, 1.0, "higher", 0.0, "EmoGen"),
    "sem_c": MetricDefinition("Sem-C", 0.0, 1.0, "higher", 0.0, "EmoGen"),
    "sem_d": MetricDefinition("Sem-D", 0.0, None, "higher", 1e-9, "EmoGen"),
    "brightness": MetricDefinition("Brightness", 0.0, 1.0, "neither", 1e-6, "Rec. 709"),
    "colourfulness": MetricDefinition("Colourfulness", 0.0, None, "neither", 1e-6, "Hasler and Süsstrunk (2003)"),
}
LOWER_IS_BETTER: tuple[MetricName, ...] = tuple(name for name in METRIC_NAMES if DEFINITIONS[name].better == "lower")


def tolerance(name: NumberName) -> float:
    """Largest relative difference that a metric may have from its reference implementation."""
    return DEFINITIONS[name].tolerance
