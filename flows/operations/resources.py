"""Pools and limits of a server, created once and brought up to date afterwards."""

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

from flows.operations.settings import ServiceSettings
from tasks.limits import CAPTIONER, GPU


async def set_up_pools(client: PrefectClient, settings: ServiceSettings) -> None:
    """The process pools `lab` and `gpu`; no more runs at once in `gpu` than there are GPUs."""
    for name, limit in (("lab", settings.runs_at_once), ("gpu", settings.gpus)):
        try:
            await client.read_work_pool(name)
            await client.update_work_pool(name, WorkPoolUpdate(concurrency_limit=limit))
        except ObjectNotFound:
            template = ProcessWorker.get_default_base_job_template()
            pool = WorkPoolCreate(name=name, type="process", base_job_template=template, concurrency_limit=limit)
            await client.create_work_pool(pool)


async def set_up_limits(client: PrefectClient, settings: ServiceSettings) -> None:
    """The limits that tasks ask for their place: `gpu` and `captioner`."""
    for name, limit in ((GPU, settings.gpus), (CAPTIONER, settings.caption_parts)):
        await client.upsert_global_concurrency_limit_by_name(name, limit)
