"""The webserver's GraphQL, asked as the pages of the UI ask it."""

import json
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

REPOSITORY = "__repository__"

_ERROR = "... on PythonError { message stack } ... on Error { message }"

_LAUNCH = f"""
mutation LaunchPipelineExecution($executionParams: ExecutionParams!) {{
  launchPipelineExecution(executionParams: $executionParams) {{
    __typename
    ... on LaunchRunSuccess {{ run {{ runId }} }}
    ... on RunConfigValidationInvalid {{ errors {{ message }} }}
    {_ERROR}
  }}
}}"""

_BACKFILL = f"""
mutation LaunchPartitionBackfill($backfillParams: LaunchBackfillParams!) {{
  launchPartitionBackfill(backfillParams: $backfillParams) {{
    __typename
    ... on LaunchBackfillSuccess {{ backfillId }}
    {_ERROR}
  }}
}}"""

_BACKFILL_STATUS = f"""
query Backfill($id: String!) {{
  partitionBackfillOrError(backfillId: $id) {{
    __typename
    ... on PartitionBackfill {{ status numPartitions runs {{ runId status }} error {{ message }} }}
    {_ERROR}
  }}
}}"""

_RUNS = """
query Runs($filter: RunsFilter, $limit: Int) {
  runsOrError(filter: $filter, limit: $limit) {
    __typename
    ... on Runs { results { runId jobName status creationTime startTime endTime tags { key value } } }
    ... on Error { message }
  }
}"""

_ASSETS = """
query Assets {
  assetNodes {
    assetKey { path } groupName description kinds isPartitioned hasAssetChecks owners { __typename }
    partitionStats { numMaterialized numFailed numPartitions }
  }
}"""

_MATERIALIZATIONS = f"""
query Materializations($assetKey: AssetKeyInput!, $limit: Int!) {{
  assetOrError(assetKey: $assetKey) {{
    __typename
    ... on Asset {{
      assetMaterializations(limit: $limit) {{
        partition timestamp runId
        metadataEntries {{ __typename label ... on TextMetadataEntry {{ text }} ... on IntMetadataEntry {{ intRepr }}
          ... on FloatMetadataEntry {{ floatValue }} }}
      }}
    }}
    {"... on AssetNotFoundError { message }"}
  }}
}}"""

_CHECKS = """
query Checks($assetKey: AssetKeyInput!) {
  assetNodeOrError(assetKey: $assetKey) {
    __typename
    ... on AssetNode {
      assetChecksOrError {
        __typename
        ... on AssetChecks {
          checks { name blocking executionForLatestMaterialization { status runId evaluation { success severity description } } }
        }
      }
    }
  }
}"""

_INSTIGATORS = """
query Instigators($selector: RepositorySelector!, $ticks: Int!) {
  repositoryOrError(repositorySelector: $selector) {
    __typename
    ... on Repository {
      schedules { name scheduleState { status ticks(limit: $ticks) { status timestamp runIds skipReason error { message } } } }
      sensors { name sensorState { status ticks(limit: $ticks) { status timestamp runIds skipReason error { message } } } }
    }
    ... on Error { message }
  }
}"""

_WORKSPACE = """
query Workspace {
  workspaceOrError {
    __typename
    ... on Workspace {
      locationEntries { name loadStatus locationOrLoadError { __typename ... on PythonError { message stack } } }
    }
    ... on Error { message }
  }
}"""

_FAILURES = """
query Failures($id: ID!) {
  logsForRun(runId: $id, limit: 2000) {
    __typename
    ... on EventConnection {
      events {
        ... on ExecutionStepFailureEvent { stepKey error { message cause { message } } }
        ... on RunFailureEvent { message error { message } }
        ... on EngineEvent { message engineError: error { message } }
      }
    }
  }
}"""

_START_SCHEDULE = f"""
mutation StartSchedule($selector: ScheduleSelector!) {{
  startSchedule(scheduleSelector: $selector) {{
    __typename ... on ScheduleStateResult {{ scheduleState {{ status }} }} {_ERROR}
  }}
}}"""

_DRY_RUN = f"""
mutation DryRun($selector: ScheduleSelector!, $timestamp: Float) {{
  scheduleDryRun(selectorData: $selector, timestamp: $timestamp) {{
    __typename
    ... on DryRunInstigationTick {{
      evaluationResult {{ skipReason error {{ message }} runRequests {{ runKey tags {{ key value }} }} }}
    }}
    {_ERROR}
  }}
}}"""

_HEALTH = "query Health { instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


class GraphQLError(AssertionError):
    """The server answered with an error where success was due."""


@dataclass(frozen=True)
class Run:
    """One run as the runs page lists it; times in seconds since the epoch."""

    run_id: str
    job: str
    status: str
    tags: Mapping[str, str]
    created: float

    @property
    def ended(self) -> bool:
        return self.status in ("SUCCESS", "FAILURE", "CANCELED")


@dataclass(frozen=True)
class GraphQL:
    """A client of one webserver and one code location."""

    url: str
    location: str

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """``data`` of the answer. GraphQLError where the server answered with errors."""
        request = urllib.request.Request(
            f"{self.url}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            raise GraphQLError(f"{error.code}: {error.read().decode()[:2000]}") from None
        if answer.get("errors"):
            raise GraphQLError(json.dumps(answer["errors"])[:2000])
        data: dict[str, Any] = answer["data"]
        return data

    def launch(self, job: str, tags: Mapping[str, str], assets: Sequence[str] | None = None) -> str:
        """Launch a run of ``job`` as the launchpad does; returns its id."""
        selector: dict[str, Any] = {**self._repository, "pipelineName": job}
        if assets is not None:
            selector["assetSelection"] = [{"path": [asset]} for asset in assets]
        params = {
            "selector": selector,
            "mode": "default",
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        launched = _expect(self.ask(_LAUNCH, executionParams=params)["launchPipelineExecution"], "LaunchRunSuccess")
        return str(launched["run"]["runId"])

    def backfill(self, assets: Sequence[str], partitions: Sequence[str]) -> str:
        """Materialise partitions of assets as the asset pages do; returns the backfill's id."""
        params = {
            "assetSelection": [{"path": [asset]} for asset in assets],
            "partitionNames": list(partitions),
            "tags": [],
        }
        started = _expect(
            self.ask(_BACKFILL, backfillParams=params)["launchPartitionBackfill"], "LaunchBackfillSuccess"
        )
        return str(started["backfillId"])

    def backfill_status(self, backfill_id: str) -> dict[str, Any]:
        return _expect(self.ask(_BACKFILL_STATUS, id=backfill_id)["partitionBackfillOrError"], "PartitionBackfill")

    def runs(self, job: str | None = None, limit: int = 100) -> list[Run]:
        """Runs, oldest first."""
        results = _expect(
            self.ask(_RUNS, filter={"pipelineName": job} if job else {}, limit=limit)["runsOrError"], "Runs"
        )["results"]
        return [
            Run(
                run["runId"],
                run["jobName"],
                run["status"],
                {tag["key"]: tag["value"] for tag in run["tags"]},
                float(run["creationTime"]),
            )
            for run in reversed(results)
        ]

    def run(self, run_id: str) -> Run:
        return next(run for run in self.runs() if run.run_id == run_id)

    def failures(self, run_id: str) -> list[str]:
        """What the failed steps of a run said, and the run itself."""
        events = _expect(self.ask(_FAILURES, id=run_id)["logsForRun"], "EventConnection")["events"]
        return [json.dumps(event)[:1500] for event in events if event]

    def assets(self) -> dict[str, dict[str, Any]]:
        return {"/".join(node["assetKey"]["path"]): node for node in self.ask(_ASSETS)["assetNodes"]}

    def materializations(self, asset: str, limit: int = 100) -> list[dict[str, Any]]:
        """Newest first; timestamps in milliseconds, as text."""
        found = self.ask(_MATERIALIZATIONS, assetKey={"path": [asset]}, limit=limit)["assetOrError"]
        return list(found["assetMaterializations"]) if found["__typename"] == "Asset" else []

    def checks(self, asset: str) -> dict[str, dict[str, Any]]:
        node = _expect(self.ask(_CHECKS, assetKey={"path": [asset]})["assetNodeOrError"], "AssetNode")
        return {check["name"]: check for check in _expect(node["assetChecksOrError"], "AssetChecks")["checks"]}

    def sensor_ticks(self, sensor: str, limit: int = 50) -> list[dict[str, Any]]:
        """Newest first."""
        return self._ticks("sensors", "sensorState", sensor, limit)

    def schedule_ticks(self, schedule: str, limit: int = 50) -> list[dict[str, Any]]:
        """Newest first."""
        return self._ticks("schedules", "scheduleState", schedule, limit)

    def start_schedule(self, name: str) -> None:
        selector = {**self._repository, "scheduleName": name}
        _expect(self.ask(_START_SCHEDULE, selector=selector)["startSchedule"], "ScheduleStateResult")

    def dry_run(self, schedule: str, timestamp: float) -> dict[str, Any]:
        """What the schedule would request at ``timestamp``: skipReason, error, runRequests."""
        selector = {**self._repository, "scheduleName": schedule}
        ticked = self.ask(_DRY_RUN, selector=selector, timestamp=timestamp)["scheduleDryRun"]
        evaluation: dict[str, Any] = _expect(ticked, "DryRunInstigationTick")["evaluationResult"]
        return evaluation

    def loaded(self) -> bool:
        """Whether the code location has loaded. GraphQLError, with the stack, where it failed to.

        A code server that was just started again may not be reached yet: that is not loaded, and no failure.
        """
        for entry in _expect(self.ask(_WORKSPACE)["workspaceOrError"], "Workspace")["locationEntries"]:
            what = entry["locationOrLoadError"] or {}
            if what.get("__typename") == "PythonError":
                if "DagsterUserCodeUnreachableError" in what["message"]:
                    return False
                raise GraphQLError(what["message"] + "".join(what["stack"]))
            if entry["name"] == self.location and entry["loadStatus"] == "LOADED":
                return True
        return False

    def daemons_healthy(self) -> bool:
        statuses = self.ask(_HEALTH)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return all(status["healthy"] for status in statuses if status["required"])

    @property
    def _repository(self) -> dict[str, str]:
        return {"repositoryName": REPOSITORY, "repositoryLocationName": self.location}

    def _ticks(self, kind: str, state: str, name: str, limit: int) -> list[dict[str, Any]]:
        found = _expect(
            self.ask(_INSTIGATORS, selector=self._repository, ticks=limit)["repositoryOrError"], "Repository"
        )
        return next(list(one[state]["ticks"]) for one in found[kind] if one["name"] == name)


def _expect(answer: dict[str, Any], typename: str) -> dict[str, Any]:
    if answer["__typename"] != typename:
        raise GraphQLError(f"expected {typename}, got {json.dumps(answer)[:3000]}")
    return answer
