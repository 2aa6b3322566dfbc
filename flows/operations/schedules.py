"""Which schedules are on: the operator's choice, which `prefect deploy` would put back to what prefect.yaml says."""

from uuid import UUID

from prefect.client.orchestration import PrefectClient


async def switched_on(client: PrefectClient) -> set[tuple[UUID, UUID]]:
    """Deployment and schedule, by id, of every schedule that is on."""
    deployments = await client.read_deployments()
    return {(deployment.id, schedule.id) for deployment in deployments for schedule in deployment.schedules if schedule.active}


async def switch_on(client: PrefectClient, schedules: set[tuple[UUID, UUID]]) -> None:
    """Switch these on again, where they are still there and off."""
    deployments = await client.read_deployments()
    there = {(deployment.id, schedule.id) for deployment in deployments for schedule in deployment.schedules if not schedule.active}
    for deployment, schedule in sorted(there & schedules):
        await client.update_deployment_schedule(deployment, schedule, active=True)
