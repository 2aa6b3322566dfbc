"""Which trained model of a workspace a command means."""

from coemogen_core.storage.workspace import Workspace


def choose_run(workspace: str, run: str | None, dataset: str | None) -> str:
    """The run that is named, else the only one that holds a trained model, of this corpus where one is named.

    Args:
        workspace: its folder or URI.
        run: train-..., taken as it is.
        dataset: corpus that the model was trained on, as `--dataset` of the training named it; several with a plus between them.

    Raises:
        FileNotFoundError: there is none.
        ValueError: there are several, or the run that is named learned from another corpus.
    """
    if run is not None and dataset is None:
        return run
    corpora = _trained_on(workspace)
    if run is not None:
        if corpora.get(run) not in (None, dataset):
            raise ValueError(f"run {run} learned from {corpora[run]}, not from {dataset}: leave out --dataset or --run")
        return run
    found = [run for run, corpus in corpora.items() if dataset in (None, corpus)]
    if len(found) == 1:
        return found[0]
    of = "" if dataset is None else f" of {dataset}"
    if not corpora:
        raise FileNotFoundError(f"no trained model in {workspace}: train one, or give --workspace and --run")
    names = ", ".join(f"{run} ({corpora[run]})" for run in found or corpora)
    if not found:
        raise FileNotFoundError(f"no trained model{of} in {workspace}: it holds {names}")
    remedy = "give --dataset, or --run with" if dataset is None else "give --run with"
    raise ValueError(f"{workspace} holds several trained models{of}: {remedy} one of {names}")


def _trained_on(workspace: str) -> dict[str, str]:
    """By run that holds a model of CoEmoGen, the corpus that it learned from."""
    opened = Workspace(workspace)
    runs = [run for run in opened.list_folders("runs") if opened.exists("runs", run, "model", "config.json")]
    configs = {run: opened.read_json("runs", run, "model", "config.json") for run in runs}
    return {run: config["training"].get("dataset", "unknown") for run, config in configs.items() if "conditioner" in config}  # no baseline
