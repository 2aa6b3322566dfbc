"""Results of a matrix that nobody ran."""

from schemas.experiments import Experiments, MeasuredMetric, MethodRun

LAB = "lab-emotion-judge@0"


def run(method: str, seed: int, emo_a: float, fid: float = 20.0, recognised: str = "", extractor: str = LAB) -> MethodRun:
    metrics = {
        "emo_a": MeasuredMetric(value=emo_a, low=emo_a - 0.05, high=emo_a + 0.05, extractor=extractor),
        "fid": MeasuredMetric(value=fid, extractor="lab-content-judge@0"),
    }
    return MethodRun(
        method=method,
        seed=seed,
        metrics=metrics,  # type: ignore[arg-type]
        recognised={"awe": recognised} if recognised else {},
        training_run=None,
        samples_run=f"samples-{method}-{seed}",
    )


def experiments(*runs: MethodRun, compared_with: tuple[str, ...] = ("sd",), protocol: str = "corrected") -> Experiments:
    return Experiments(
        methods=tuple(dict.fromkeys(each.method for each in runs)),
        seeds=tuple(sorted({each.seed for each in runs})),
        compared_with=compared_with,
        protocol=protocol,  # type: ignore[arg-type]
        images_per_emotion=4,
        runs=runs,
    )
