"""What stands on the server besides deployments: pools, limits, automations, and which schedules are on. All of it can be set up twice."""

from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound
from prefect.states import StateType
from prefect.workers.process import ProcessWorker

from flows.deployments import Pool
from flows.services.settings import SILENCE_S, ServiceError, ServiceSettings
from tasks.limits import CAPTIONER, GPU

HEARTBEAT = "prefect.flow-run.heartbeat"
ENDS = tuple(f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Crashed", "Cancelled", "Paused", "Suspended"))


def silent_runs() -> AutomationCore:
    """A run whose heartbeat stops, because its worker or machine died, is marked as crashed, which frees its slots in every limit."""
    return AutomationCore(
        name="silent runs are crashed",
        description=f"A flow run without a heartbeat for {SILENCE_S} s has lost its process.",
        trigger=EventTrigger(
            after={HEARTBEAT},
            expect={HEARTBEAT, *ENDS},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=SILENCE_S),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message="no heartbeat: its process or its machine died. Run the deployment again: it goes on where this run stopped.",
            )
        ],
    )


def train_after_emoart(pool: Pool, build_emoart: UUID, train_and_eval: UUID) -> AutomationCore:
    """When `build-emoart` completes in a pool, `train-and-eval` starts there with the parameters of its deployment."""
    return AutomationCore(
        name=f"train after build-emoart/{pool}",
        description="A new EmoArt leads to a new model and report.",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Completed"},
            match_related={"prefect.resource.id": f"prefect.deployment.{build_emoart}", "prefect.resource.role": "deployment"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[RunDeployment(source="selected", deployment_id=train_and_eval)],
    )


async def set_up_pools_and_limits(client: PrefectClient, settings: ServiceSettings) -> dict[str, list[str]]:
    """The process pools `lab` and `gpu`, and the limits whose slots tasks ask for; returns their names.

    In `gpu` run no more flows at once than there are GPUs.
    """
    pools: dict[Pool, int] = {"lab": settings.runs_at_once, "gpu": settings.gpus}
    for name, at_once in pools.items():
        try:
            await client.read_work_pool(name)
            await client.update_work_pool(name, WorkPoolUpdate(concurrency_limit=at_once))
        except ObjectNotFound:
            template = ProcessWorker.get_default_base_job_template()
            pool = WorkPoolCreate(name=name, type="process", base_job_template=template, concurrency_limit=at_once)
            await client.create_work_pool(pool)
    limits = {GPU: settings.gpus, CAPTIONER: settings.caption_parts}
    for limit, slots in limits.items():
        await client.upsert_global_concurrency_limit_by_name(limit, slots)
    return {"pools": [*pools], "limits": [*limits]}


async def set_up_automations(client: PrefectClient, pools: tuple[Pool, ...]) -> list[str]:
    """Create the automations, or bring those of the same name up to date; returns their names.

    One that is as wanted is left alone: an update would forget the runs that it watches. Whether it is switched on is the operator's.

    Raises:
        ServiceError: a deployment is missing.
    """
    wanted = [silent_runs()]
    for pool in pools:
        built, trained = [await _deployment(client, f"{flow}/{pool}") for flow in ("build-emoart", "train-and-eval")]
        wanted.append(train_after_emoart(pool, built, trained))
    existing = {each.name: each for each in await client.read_automations()}
    for each in wanted:
        found = existing.get(each.name)
        if found is None:
            await client.create_automation(each)
        elif found.model_dump(exclude={"id", "enabled"}) != each.model_dump(exclude={"enabled"}):
            await client.update_automation(found.id, each.model_copy(update={"enabled": found.enabled}))
    return [each.name for each in wanted]


async def _deployment(client: PrefectClient, name: str) -> UUID:
    try:
        return (await client.read_deployment_by_name(name)).id
    except ObjectNotFound as error:
        raise ServiceError(
            f"no deployment {name} on {client.api_url}: deploy first, by `coemogen serve` or `prefect deploy --all`"
        ) from error


async def switched_on(client: PrefectClient) -> set[tuple[UUID, UUID]]:
    """Which schedules are on is the operator's choice, and `prefect deploy` would put it back to what prefect.yaml says.

    Returns:
        Deployment and schedule, by id, of every schedule that is on.
    """
    deployments = await client.read_deployments()
    return {(deployment.id, schedule.id) for deployment in deployments for schedule in deployment.schedules if schedule.active}


async def switch_on(client: PrefectClient, schedules: set[tuple[UUID, UUID]]) -> None:
    """Switch these on again, where they are still there and off."""
    deployments = await client.read_deployments()
    there = {(deployment.id, schedule.id) for deployment in deployments for schedule in deployment.schedules if not schedule.active}
    for deployment, schedule in sorted(there & schedules):
        await client.update_deployment_schedule(deployment, schedule, active=True)
