"""What the tests of alerts share: a receiver of messages over HTTP, tiny checked assets, a company that is told.

Put here stand-ins for the world outside, all of them real (a socket, a Dagster instance). Keep out expectations.
"""

import http.server
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import dagster as dg

from milestones_dagster.config.alerts import Alerts
from milestones_dagster.config.duration import Duration
from milestones_dagster.orchestration.sensors import CHECK_SENSOR, RUN_SENSOR, build_sensors

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
HOUR = 3600.0


class Receiver:
    """An HTTP server on this machine that keeps what is posted to it; it can be down, and it can refuse."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.status = 200
        self._server: http.server.ThreadingHTTPServer | None = None
        self._port = 0
        self.start()

    @property
    def address(self) -> str:
        return f"json://127.0.0.1:{self._port}/told"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]

    def start(self) -> None:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.status == 200:
                    receiver.messages.append(json.loads(body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing."""

        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@contextmanager
def receivers(count: int) -> Iterator[list[Receiver]]:
    """Yield so many receivers, all of them up."""
    opened = [Receiver() for _ in range(count)]
    try:
        yield opened
    finally:
        for receiver in opened:
            receiver.stop()


@dataclass
class Plan:
    """What the next run of the tiny graph does; the tests change it between runs.

    Attributes:
        failing: for each check that fails, its metadata.
        raising: for each step that raises, the error.
    """

    failing: dict[str, dict[str, Any]] = field(default_factory=dict)
    raising: dict[str, BaseException] = field(default_factory=dict)


CHECKS = {"keys": True, "rows": True, "late": False}
REFUSED = {
    "count": 3,
    "total": 1200,
    "share": 0.0025,
    "bound": 0.0,
    "sample_keys": [{"day": "2026-01-02", "event_id": "e1"}, {"day": "2026-01-02", "event_id": "e2"}],
    "sample_truncated": True,
    "recovery": "refused; the published rows are as of 2026-01-01. Mend the file, launch the job again.",
    "blocks": ["account_event_daily"],
    "rule": "an event id is unique within its day",
}


def tiny_graph(plan: Plan) -> list[dg.AssetsDefinition]:
    """Return two assets: `raw_events` with two blocking checks and one that does not block, and what reads it."""

    @dg.multi_asset(
        specs=[dg.AssetSpec("raw_events")],
        check_specs=[dg.AssetCheckSpec(name, asset="raw_events", blocking=blocks) for name, blocks in CHECKS.items()],
        name="raw_events",
    )
    def raw_events():
        results = [
            dg.AssetCheckResult(
                check_name=name,
                passed=name not in plan.failing,
                severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
                metadata=plan.failing.get(name, {"count": 0, "total": 1200}),
            )
            for name, blocks in CHECKS.items()
        ]
        yield from results
        if "raw_events" in plan.raising:
            raise plan.raising["raw_events"]
        if any(CHECKS[name] for name in plan.failing):
            raise dg.Failure("refused", allow_retries=False)
        yield dg.MaterializeResult(asset_key="raw_events")

    @dg.asset(deps=["raw_events"])
    def account_event_daily() -> dg.MaterializeResult:
        if "account_event_daily" in plan.raising:
            raise plan.raising["account_event_daily"]
        return dg.MaterializeResult()

    return [raw_events, account_event_daily]


class Company:
    """A company whose failures are told: runs its tiny graph, and polls its sensors as the daemon does."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        addresses: Sequence[str],
        repeat_after: Duration | None = None,
        assets: Sequence[dg.AssetsDefinition] | None = None,
    ) -> None:
        self.plan = Plan()
        self.instance = instance
        self.assets = list(assets) if assets is not None else tiny_graph(self.plan)
        self._cursors: dict[str, str | None] = {}
        self.configure(addresses, repeat_after)

    def configure(self, addresses: Sequence[str], repeat_after: Duration | None = None) -> None:
        """Change `alerts.yaml`; the cursors stay."""
        alerts = Alerts(
            addresses=tuple(addresses),
            dagster_url="http://dagster.example:3000",
            repeat_after=repeat_after or Duration(seconds=86_400),
        )
        config = SimpleNamespace(alerts=alerts, framework=SimpleNamespace(product="Helpdesk"))
        sensors = build_sensors(config, self.assets)
        self.definitions = dg.Definitions(
            assets=self.assets, jobs=[dg.define_asset_job("daily", selection=self.assets)], sensors=sensors
        )
        self.sensors = {sensor.name: sensor for sensor in sensors}

    def run(self) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def("daily").execute_in_process(
            instance=self.instance, raise_on_error=False, run_config=QUIET
        )

    def poll(self, sensor: str = CHECK_SENSOR) -> str:
        """Poll once; return what the tick said. Only a tick that ends well moves the cursor."""
        context = dg.build_sensor_context(instance=self.instance, cursor=self._cursors.get(sensor), definitions=self.definitions)
        data = self.sensors[sensor].evaluate_tick(context)
        self._cursors[sensor] = data.cursor
        return data.skip_message or ""

    def poll_runs(self) -> str:
        return self.poll(RUN_SENSOR)

    def cursor(self, sensor: str = CHECK_SENSOR) -> str:
        return self._cursors.get(sensor) or ""
