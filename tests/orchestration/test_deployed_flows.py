"""Server, pool, worker and deployments as `make serve` starts them: the flows run, are cancelled, go on, and refuse what is wrong."""

import base64
import io
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from coemogen_core.captioning.audit.reviews import import_file
from coemogen_core.captioning.audit.verdicts import FORMAT
from coemogen_core.curation.decisions import read_decisions, resolve_version
from coemogen_core.storage.workspace import Workspace
from flows.deployments import NAMES
from flows.services.processes import ProcessList
from schemas.outcomes import CorpusOutcome
from tests.orchestration.conftest import PHOTOS
from tests.orchestration.services import TRAIN, Services, until

pytestmark = [pytest.mark.orchestration, pytest.mark.slow]

SHORT = {
    "training": {"steps": 6, "warmup_steps": 0, "checkpoint_every": 3},
    "images_per_emotion": 2,
    "generation": {"num_inference_steps": 2},
    "evaluation": {"minimum_reference": 20, "resamples": 20},
    "launch": {"processes": 2},
}


def failure(services: Services, run_id: str) -> str:
    return services.logs(run_id, logging.ERROR)


def picture_in(markdown: str) -> Image.Image:
    encoded = markdown.split("base64,")[1].rstrip(")")
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def test_serving_twice_starts_nothing_twice(services: Services) -> None:
    before = ProcessList(services.folder).read()
    assert {each.name for each in before} == {"server", "worker-lab"}
    services.switch_schedules("recaption/lab", active=True)
    services.switch(TRAIN, enabled=False)
    automations = services.post("automations/filter", {})
    assert f"open http://127.0.0.1:{services.port}" in services.serve()
    assert ProcessList(services.folder).read() == before
    assert services.command("revive", "--folder", services.folder) == ""
    assert [each["active"] for each in services.deployment("recaption/lab")["schedules"]] == [True]
    services.switch_schedules("recaption/lab", active=False)
    assert services.post("automations/filter", {}) == automations
    listening = {each.laddr.ip for each in psutil.Process(services.process("server").pid).net_connections() if each.status == "LISTEN"}
    assert listening == {"127.0.0.1"}


def test_all_deployments_and_limits_are_there(services: Services) -> None:
    flows = {each["id"]: each["name"] for each in services.post("flows/filter", {})}
    deployments = services.post("deployments/filter", {})
    names = {f"{flows[each['flow_id']]}/{each['name']}" for each in deployments}
    assert names == set(NAMES)
    assert all(each["concurrency_limit"] == 1 or each["global_concurrency_limit"]["limit"] == 1 for each in deployments)
    assert all(len(each["tags"]) == 3 and f"commit-{each['version']}" in each["tags"] for each in deployments)
    limits = {each["name"] for each in services.post("v2/concurrency_limits/filter", {})}
    assert {"gpu", "captioner"} <= limits
    schema = services.deployment("train-and-eval/lab")["parameter_openapi_schema"]
    assert "training pictures are scaled" in schema["definitions"]["TrainAndEvalParams"]["properties"]["resolution"]["description"]


def test_automations_are_set_up_by_a_command_too_and_never_twice(services: Services) -> None:
    services.command("automations", "--gpu")
    assert services.command("automations", "--gpu") == "automations: silent runs are crashed, train after build-emoart/gpu\n"
    names = sorted(each["name"] for each in services.post("automations/filter", {}))
    assert names == ["silent runs are crashed", "train after build-emoart/gpu", "train after build-emoart/lab"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"drop_fraction": 2}, "drop_fraction"),
        ({"part_sise": 10}, "part_sise"),
        ({"encoder": {"model": "lab:clip", "precision": "int3"}}, "precision"),
    ],
)
def test_wrong_parameters_are_refused_before_any_task(services: Services, params: dict[str, object], field: str) -> None:
    with pytest.raises(httpx.HTTPStatusError) as refused:
        services.start("build-emoset/lab", params)
    assert refused.value.response.status_code in (409, 422)
    assert field in refused.value.response.text
    assert services.runs_of("build-emoset/lab") == []


def test_wrong_parameters_are_named_on_the_command_line_too(services: Services) -> None:
    done = services.run("build-emoset/lab", {"drop_fraction": 2}, watch=False)
    assert done.returncode != 0
    assert "drop_fraction" in done.stdout + done.stderr
    assert services.runs_of("build-emoset/lab") == []


def test_the_chain_runs_and_its_artifacts_can_be_read(services: Services) -> None:
    services.switch(TRAIN, enabled=False)
    done = services.run("build-emoset/lab")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'Completed'" in done.stdout
    services.completed("build-emoart/lab", {"min_confidence": 0.2})
    services.completed("train-and-eval/lab", SHORT)
    artifacts = services.artifacts()
    assert {"funnel-emoset", "funnel-emoart", "training"} <= artifacts.keys()
    assert "low alignment" in artifacts["funnel-emoset"]["data"]
    (metrics,) = [each for key, each in artifacts.items() if key.startswith("metrics-eval-")]
    assert [row["method"] for row in json.loads(metrics["data"])] == ["coemogen", "sd"]
    (report,) = Path(services.workspace, "runs").glob("eval-*/report.html")
    assert report.stat().st_size > 10_000
    (gallery,) = [each for key, each in artifacts.items() if key.startswith("gallery-eval-")]
    assert picture_in(gallery["data"]).size[0] > 300
    (link,) = [each for key, each in artifacts.items() if key.startswith("report-eval-")]
    assert report.as_uri() in link["data"]
    stages = {each["stage"]: each for each in json.loads(artifacts["stages-build-emoset"]["data"])}
    assert stages["build-emoset/ingest"]["rows"] == PHOTOS
    (kept,) = Path(services.workspace, "outcomes", "build-emoset").glob("*.json")
    assert CorpusOutcome.model_validate_json(kept.read_bytes()).dataset == "emoset"


def test_the_log_of_a_run_tells_its_stages(services: Services) -> None:
    (run,) = services.runs_of("build-emoset/lab")
    log = services.logs(run["id"])
    assert all(f"build-emoset/{stage}" in log for stage in ("ingest", "embed", "caption", "curate"))
    assert failure(services, run["id"]) == ""


def test_the_log_of_a_run_that_fails_tells_what_and_what_to_do(services: Services) -> None:
    run_id = services.start("build-emoset/lab", {"source": {"root": str(services.folder / "nowhere")}})
    assert services.finished(run_id)["state_type"] == "FAILED"
    log = until("its log, which comes in batches", lambda: failure(services, run_id))
    assert "nowhere does not exist: give the folder that holds EmoSet's layout" in log


def test_a_run_waits_for_the_caption_audit_and_goes_on_with_its_verdicts(services: Services) -> None:
    workspace = Workspace(str(services.folder.parent / "audited"))
    params = {"workspace": workspace.uri, "pause_for_audit": True}
    run_id = services.start("build-emoset/lab", params)
    until("the pause", lambda: services.flow_run(run_id)["state_name"] == "Suspended" or failure(services, run_id))
    assert services.flow_run(run_id)["state_type"] == "PAUSED", failure(services, run_id)
    assert not workspace.exists("decisions", "emoset", "current.json")
    (page,) = Path(workspace.uri).glob("audits/emoset/*/page.html")
    assert str(page) in services.artifacts()["audit-emoset"]["data"]

    rejected = reject_one(workspace, page.parent)
    assert "goes on" in services.command("resume", run_id)
    assert services.finished(run_id)["state_type"] == "COMPLETED", failure(services, run_id)
    (decided,) = read_decisions(workspace, "emoset", resolve_version(workspace, "emoset")).filter(image_id=rejected).rows(named=True)
    assert (decided["kept"], decided["caption"]) == (False, None)
    assert len(list(Path(workspace.uri).glob("audits/emoset/*/page.html"))) == 1


def reject_one(workspace: Workspace, audit: Path) -> str:
    """As the person who audits would; returns the picture."""
    record = json.loads((audit / "sample.json").read_text())
    judged = {key: record["captions"][0][key] for key in ("image_id", "recipe_id", "attempt", "emotion")}
    verdicts = {
        "format": FORMAT,
        "audit_id": record["audit_id"],
        "source": record["source"],
        "exported_at": "2026-01-31T12:00:00.000Z",
        "verdicts": [{**judged, "verdict": "reject"}],
    }
    file = audit / "verdicts.json"
    file.write_text(json.dumps(verdicts))
    assert import_file(workspace, str(file)).recorded == 1
    return str(judged["image_id"])


def test_a_finished_emoart_leads_to_a_training_which_saves_its_step_when_it_is_cancelled(services: Services) -> None:
    services.switch(TRAIN, enabled=True)
    known = {each["id"] for each in services.runs_of("train-and-eval/lab")}
    models = set(Path(services.workspace, "runs").glob("train-*"))
    services.completed("build-emoart/lab", {"min_confidence": 0.2})

    def triggered() -> list[str]:
        return [each["id"] for each in services.runs_of("train-and-eval/lab") if each["id"] not in known]

    (run_id,) = until("the automation's run", triggered)
    services.switch(TRAIN, enabled=False)
    runs = Path(services.workspace, "runs")

    def training() -> list[Path]:
        return [each for each in runs.glob("train-*") if each not in models and list(each.glob("tensorboard/*"))]

    (model,) = until("its training", training)
    services.post(f"flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
    assert services.finished(run_id)["state_type"] == "CANCELLED", failure(services, run_id)
    assert list(model.glob("checkpoints/step-*.safetensors"))
    assert not (model / "model").exists()


def test_many_who_ask_at_once_are_all_answered(services: Services) -> None:
    """Prefect's own server refuses most of them, as `benchmarks/server_requests.py` shows."""
    flow = services.post("flows/", {"name": "asked by many"})
    deployment = services.post("deployments/", {"name": "nowhere", "flow_id": flow["id"]})
    with ThreadPoolExecutor(8) as people:
        answers = list(people.map(lambda _: services.post(f"deployments/{deployment['id']}/create_flow_run", {}), range(64)))
    assert len({each["id"] for each in answers}) == len(services.runs_of("asked by many/nowhere")) == 64


def test_stop_ends_what_serve_started_and_nothing_else(services: Services) -> None:
    entries = ProcessList(services.folder).read()
    assert services.stop() == "ended: worker-lab, server\n"
    assert [each.find() for each in entries] == [None, None]
    assert psutil.pid_exists(os.getpid())
    assert services.stop() == "nothing was running\n"
    log = ProcessList(services.folder).log("server").read_text()
    assert "Check out the dashboard" in log
    assert "database is locked" not in log
    assert Workspace(str(services.workspace)).table("images", "wikiart").parts()
