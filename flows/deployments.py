"""The registry of deployments: names of flows and pools, and what `prefect.yaml` says of each flow in each pool.

`python -m flows.deployments` writes the deployments of the `prefect.yaml` in this folder anew, with the parameters of the profiles.
What stands above them in that file (how Prefect builds and pulls, pools, limits, sources) is written by hand and stays.
"""

from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Literal

from flows.profiles import FlowName, Profile, profile_values, training_recipe

Pool = Literal["lab", "gpu"]
PROFILES: dict[Pool, Profile] = {"lab": "lab", "gpu": "sd15"}
"""Every flow is deployed to every pool under the pool's name, with the parameters of a profile."""
START = "\ndeployments:"
WIDTH = 120  # columns, before the indentation


@dataclass(frozen=True)
class DeployedFlow:
    """A flow as it is deployed."""

    name: FlowName
    tag: str
    does: str
    given: str
    """Parameters that no profile knows: which workspace, which pictures. YAML; `*photos` and `*paintings` are sources above."""
    limit: str = "one-at-a-time"
    schedules: str = ""

    @property
    def function(self) -> str:
        """Of the module, and of the flow in it."""
        return self.name.replace("-", "_")


FLOWS = (
    DeployedFlow("build-emoset", "corpus", "Labelled photos to a captioned, filtered training corpus", "source: *photos"),
    DeployedFlow(
        "build-emoart",
        "corpus",
        "Paintings to EmoArt; the labelled photos are ingested where build-emoset has not done it",
        "source: *paintings\nlabelled_source: emoset\nlabelled_set: *photos",
    ),
    DeployedFlow(
        "recaption",
        "captions",
        "Weak, failed or stale captions of a dataset to better ones",
        "dataset: emoset",
        limit="busy-is-enough",
        schedules="    schedules: [*nightly]\n",
    ),
    DeployedFlow("train-and-eval", "training", "A corpus to a trained model, pictures, metrics and a report", "emoart_dataset: emoart"),
)
NAMES = tuple(f"{flow.name}/{pool}" for flow in FLOWS for pool in PROFILES)
"""Of all deployments, as Prefect wants them."""


def written(text: str) -> str:
    """The text of a `prefect.yaml` with its deployments written anew.

    Raises:
        ValueError: there is no line `deployments:`.
    """
    head, found, _ = text.partition(START)
    if not found:
        raise ValueError("prefect.yaml has no line `deployments:`, below which the deployments could be written")
    deployments = [_deployment(flow, pool) for flow in FLOWS for pool in PROFILES]
    return f"{head}{START} # written by `python -m flows.deployments`\n" + "\n".join(deployments)


def _deployment(flow: DeployedFlow, pool: Pool) -> str:
    models = {"lab": "the lab's models", "gpu": "the paper's models"}[pool]
    return f"""\
  - name: {pool}
    entrypoint: flows.{flow.function}.{flow.function}
    description: "{flow.does}. With {models}."
    tags: [{flow.tag}, {pool}, "commit-{{{{ commit.stdout }}}}"]
    version: "{{{{ commit.stdout }}}}"
    work_pool: *{pool}-pool
    concurrency_limit: *{flow.limit}
{flow.schedules}    parameters:
      params:
        workspace: "{{{{ $COEMOGEN_WORKSPACE }}}}"
{indent(flow.given, " " * 8)}
{indent(_parameters(flow.name, PROFILES[pool]), " " * 8)}"""


def _parameters(flow: FlowName, profile: Profile) -> str:
    """The profile's section, spelled out, so that Prefect's form shows it."""
    import yaml

    values = profile_values(profile, flow)
    if "training" in values:
        values["training"] = training_recipe(values["training"]["recipe"])
    return yaml.safe_dump(values, sort_keys=False, width=WIDTH)


if __name__ == "__main__":
    file = Path("prefect.yaml")
    file.write_text(written(file.read_text(encoding="utf-8")), encoding="utf-8")
