"""Automations: what the server does by itself when a run finishes or falls silent."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.states import StateType

from flows.operations.settings import SILENCE_S, Place

HEARTBEAT = "prefect.flow-run.heartbeat"
ENDS = tuple(f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Crashed", "Cancelled", "Paused", "Suspended"))


def silent_runs(within_s: int = SILENCE_S) -> AutomationCore:
    """A run whose heartbeat stops, because its worker or machine died, is marked as crashed, which frees its places in every limit."""
    return AutomationCore(
        name="silent runs are crashed",
        description=f"A flow run without a heartbeat for {within_s} s has lost its process.",
        trigger=EventTrigger(
            after={HEARTBEAT},
            expect={HEARTBEAT, *ENDS},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=within_s),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message="no heartbeat: its process or its machine died. Run the deployment again: it goes on where this run stopped.",
            )
        ],
    )


def train_after_emoart(place: Place, build_emoart: UUID, train_and_eval: UUID) -> AutomationCore:
    """When `build-emoart` completes in a place, `train-and-eval` starts there with the parameters of its deployment."""
    finished: dict[str, Any] = {
        "expect": {"prefect.flow-run.Completed"},
        "match_related": {"prefect.resource.id": f"prefect.deployment.{build_emoart}", "prefect.resource.role": "deployment"},
    }
    return AutomationCore(
        name=f"train after build-emoart/{place}",
        description="A new EmoArt leads to a new model and report.",
        trigger=EventTrigger(**finished, posture=Posture.Reactive, threshold=1, within=timedelta(0)),
        actions=[RunDeployment(source="selected", deployment_id=train_and_eval)],
    )


async def set_up(client: PrefectClient, places: tuple[Place, ...]) -> list[str]:
    """Create the automations, or bring those of the same name up to date; returns their names.

    One that is as wanted is left alone: an update would forget the runs that it watches. Whether it is switched on is the operator's.

    Raises:
        prefect.exceptions.ObjectNotFound: a deployment is missing: deploy first.
    """
    wanted = [silent_runs()]
    for place in places:
        built, trained = [await client.read_deployment_by_name(f"{flow}/{place}") for flow in ("build-emoart", "train-and-eval")]
        wanted.append(train_after_emoart(place, built.id, trained.id))
    existing = {each.name: each for each in await client.read_automations()}
    for each in wanted:
        found = existing.get(each.name)
        if found is None:
            await client.create_automation(each)
        elif found.model_dump(exclude={"id", "enabled"}) != each.model_dump(exclude={"enabled"}):
            await client.update_automation(found.id, each.model_copy(update={"enabled": found.enabled}))
    return [each.name for each in wanted]
