"""Tasks: a stage of `dvc.yaml`, or one of the side effects around the stages.

What a task raises decides what happens next:

    DataRejected, UsageError, NotReproducible   the task fails for good, with the whole message in its log
    SeamUnavailable, StaleDecision              tried again, each time after a longer wait
    a lost gate, nothing new, no champion yet   no error: what would follow is skipped
    out of time, or a bug                       the task fails for good
    anything else                               tried again (a worker that died, a server that closed the line)

Nothing heavy is imported before a task runs; between tasks only run ids travel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from threading import Timer
from typing import TYPE_CHECKING, Any

from airflow.sdk import (
    BaseOperator,
    BranchMixIn,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    SkipMixin,
)
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, AirflowTaskTimeout

from ml.errors import BellwetherError
from plugins.links import DataDocs, MlflowRun, PublishedSite, page
from plugins.run_ids import announced_day, asked_day, run_id, scheduled_day

if TYPE_CHECKING:
    from logging import Logger

    from ml.actions.ingest import IngestRun
    from ml.pipeline import Stage

Context = Mapping[str, Any]
OPEN, RECORD = "open", "record"
OF_THIS_RUN = f"{{{{ ti.xcom_pull(task_ids='{OPEN}') }}}}"

HOPELESS = ExceptionRetryPolicy(
    rules=[
        RetryRule(AirflowTaskTimeout, RetryAction.FAIL, reason="what took too long once will do so again"),
        RetryRule(
            [TypeError, ValueError, LookupError, AttributeError, NameError, ImportError, AssertionError],
            RetryAction.FAIL,
            reason="a bug does not go away by itself",
        ),
    ]
)
"""Errors that are not ours, and that trying again does not mend."""

DEFAULTS: dict[str, Any] = {
    "owner": "bellwether",
    "retries": 6,
    "retry_delay": timedelta(seconds=20),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": HOPELESS,
    "execution_timeout": timedelta(minutes=20),
    "weight_rule": "upstream",
}
"""Of every task: an outage of twenty minutes is waited for. Where tasks wait for a slot, the one with the most behind
it goes first, so that a version is finished before another is begun."""

LIMITS = {
    "snapshot": timedelta(hours=3),
    "validate": timedelta(hours=3),
    "features": timedelta(hours=3),
    "train": timedelta(hours=6),
    "evaluate": timedelta(hours=3),
}
"""How long a stage may run, where that is longer than other tasks may."""

HEAVY = ("validate", "features", "train", "evaluate")
"""Stages that use all cores and much memory: each takes two slots of the default pool, others one."""

GRACE = timedelta(seconds=2)
"""How long after its limit a task's processes are ended: Airflow must have interrupted the task by then."""


@contextmanager
def errors_decide(log: Logger) -> Iterator[None]:
    """Let Airflow retry what may get better by itself, and fail at once what will not."""
    try:
        yield
    except BellwetherError as error:
        if error.retried:
            log.warning("%s: %s", type(error).__name__, error)
            raise
        raise AirflowFailException(f"{type(error).__name__}: {error}") from None


@contextmanager
def in_time(limit: timedelta, stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` soon after `limit`: Airflow interrupts the task then, but it would still wait for its processes.

    Never before Airflow does: a process that ends first looks like a failure that may pass, and would be retried.
    """
    timer = Timer((limit + GRACE).total_seconds(), stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Task(BaseOperator):  # type: ignore[misc]
    """A task on one of our runs; says what to do in `act`."""

    template_fields: tuple[str, ...] = ("run_id",)

    def __init__(self, *, run_id: str = OF_THIS_RUN, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self._link = ""

    def execute(self, context: Context) -> Any:
        """Act; an error of ours decides what happens next."""
        with errors_decide(self.log), in_time(self.execution_timeout, self.on_kill):
            return self.act(context)

    def act(self, context: Context) -> Any:
        """Do the task; returns a run id, a digest, or nothing."""
        raise NotImplementedError

    def link(self) -> str:
        """Where the task's button leads."""
        return self._link

    def on_kill(self) -> None:
        """Take the stage's processes along when the task is stopped."""
        import psutil  # type: ignore[import-untyped]

        for child in psutil.Process().children(recursive=True):
            child.terminate()


class StageTask(Task):
    """Runs one stage of `dvc.yaml` in the run's workspace, by the command that a person would type."""

    ui_color = "#e8f1fa"

    def __init__(self, *, stage: Stage, force: bool = False, **kwargs: Any) -> None:
        super().__init__(
            execution_timeout=LIMITS.get(stage.kind, DEFAULTS["execution_timeout"]),
            pool_slots=2 if stage.kind in HEAVY else 1,
            doc_md=f"{stage.desc or stage.kind}\n\n`dvc repro --single-item {stage.name}` runs `{stage.cmd}`",
            **kwargs,
        )
        self.stage = stage.name
        self.force = force

    def act(self, context: Context) -> None:
        """Run the stage."""
        from ml.handover import run_stage

        run_stage(self.run_id, self.stage, force=self.force)


class ReadTask(StageTask):
    """Reads a table of the warehouse, whatever was read before; in a replay what was read then stays."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(force=True, **kwargs)

    def act(self, context: Context) -> None:
        """Read."""
        from ml.actions.ingest import read

        read(self.run_id, self.stage)


class ValidateTask(StageTask):
    """A stage that writes Data Docs about a table; DAG parameter `force` runs it on an unchanged snapshot too."""

    operator_extra_links = (DataDocs(),)

    def __init__(self, *, table: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.table = table

    def act(self, context: Context) -> None:
        """Run the stage."""
        self.force = bool(context["params"].get("force"))
        super().act(context)

    def link(self) -> str:
        """The Data Docs, also of a table that was rejected."""
        return page(f"runs/{self.run_id}/docs/{self.table}/index.html")


class OpenIngest(Task, BranchMixIn):  # type: ignore[misc]
    """Opens the run's workspace; tables that the warehouse does not have are skipped."""

    inherits_from_skipmixin = True
    template_fields = ()
    ui_color = "#eeeeee"

    def __init__(self, *, first_tasks: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(run_id="", do_xcom_push=False, **kwargs)
        self.first_tasks = dict(first_tasks)

    def act(self, context: Context) -> None:
        """Open; follow only the tables that are there."""
        opened = self._open(context)
        self.log.info("%s: as of %s", opened.run_id, opened.as_of)
        if opened.absent:
            self.log.warning("not in the warehouse, skipped: %s", ", ".join(opened.absent))
            self.log.warning(
                "families that are off for want of them: %s", ", ".join(opened.families_off) or "none"
            )
        context["ti"].xcom_push("return_value", opened.run_id)
        self.do_branch(context, [self.first_tasks[table] for table in opened.tables])

    def _open(self, context: Context) -> IngestRun:
        asked, due = asked_day(context["params"]), scheduled_day(context["dag_run"])
        if context["params"].get("replay"):
            from ml.actions.replay import open_replay

            self.run_id = run_id("replay", asked, "newest", context["run_id"])
            return open_replay(self.run_id, asked)
        from ml.actions.ingest import open_ingest

        self.run_id = run_id("ingest", asked or due, "newest", context["run_id"])
        return open_ingest(self.run_id, asked or due, scheduled=asked is None and due is not None)


class SealTask(Task):
    """Writes the validated tables into the ledger and announces them."""

    ui_color = "#e6f4e6"

    def __init__(self, *, assets: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(outlets=list(assets.values()), **kwargs)
        self.assets = dict(assets)

    def act(self, context: Context) -> None:
        """Seal; the outlets become those tables that were sealed."""
        from ml.actions.ingest import seal

        sealed = seal(self.run_id)
        self.outlets = [self.assets[table] for table in sealed]
        for asset in self.outlets:
            context["outlet_events"][asset].extra = {"run_id": self.run_id, "as_of": _as_of(self.run_id)}


class OpenRetrain(Task, SkipMixin):  # type: ignore[misc]
    """Opens the run's workspace on the newest sealed tables; nothing follows if just this was judged before."""

    inherits_from_skipmixin = True
    template_fields = ()
    ui_color = "#eeeeee"

    def __init__(self, *, family: str, **kwargs: Any) -> None:
        super().__init__(run_id="", do_xcom_push=False, **kwargs)
        self.family = family

    def act(self, context: Context) -> None:
        """Open."""
        from ml.actions.retrain import open_retrain

        events = [event for of_asset in context["triggering_asset_events"].values() for event in of_asset]
        day = asked_day(context["params"]) or announced_day(events)
        self.run_id = run_id(f"retrain-{self.family}", day, "newest", context["run_id"])
        opened = open_retrain(self.family, self.run_id, day)
        self.log.info("%s: as of %s, data %s", opened.run_id, opened.as_of, opened.data_digest)
        context["ti"].xcom_push("return_value", opened.run_id)
        if opened.unchanged and not context["params"].get("force"):
            self.log.info(
                "the same data, code and parameters were judged before: skipped (`force` runs it anyway)"
            )
            self.skip(context["ti"], self.get_direct_relatives(upstream=False))


class RecordTask(Task):
    """Logs the run in MLflow and registers its version."""

    operator_extra_links = (MlflowRun(),)

    def act(self, context: Context) -> str:
        """Record; returns MLflow's run id."""
        from ml.actions.record import record

        recorded = record(self.run_id)
        self._link = recorded.url
        return str(recorded.mlflow_run_id)


class ApproveTask(Task):
    """Policy `auto`: what won the gate is promoted; what lost it is skipped."""

    def act(self, context: Context) -> None:
        """Let the promotion go on, or skip it and say why."""
        from ml.actions.retrain import verdict_in_words, verdict_of

        for line in verdict_in_words(verdict_of(self.run_id)):
            self.log.info("%s", line)
        skip_if_lost(self.run_id)


class PromoteTask(Task):
    """Makes the run's version the champion and announces it."""

    operator_extra_links = (MlflowRun(),)
    ui_color = "#e6f4e6"

    def act(self, context: Context) -> None:
        """Promote."""
        from ml.actions.retrain import promote

        ti = context["ti"]
        self._link = ti.xcom_pull(task_ids=RECORD, key=MlflowRun().xcom_key) or ""
        version = promote(self.run_id, **_decided_by(ti.xcom_pull(task_ids="approve")))
        if version is None:
            raise AirflowSkipException(
                "not promoted: it was rejected, or lost to a version promoted meanwhile"
            )
        for asset in self.outlets:
            context["outlet_events"][asset].extra = {"run_id": self.run_id, "version": version}


class PublishTask(Task):
    """Writes what the champion says: tables in the warehouse and landing pages."""

    operator_extra_links = (PublishedSite(),)
    template_fields = ()
    ui_color = "#e6f4e6"

    def __init__(self, *, family: str, **kwargs: Any) -> None:
        super().__init__(run_id="", execution_timeout=timedelta(hours=2), pool_slots=2, **kwargs)
        self.family = family

    def act(self, context: Context) -> str:
        """Publish; skipped while the family has no champion for the newest tables."""
        from ml.actions.publish import not_ready, publish

        missing = not_ready(self.family)
        if missing:
            raise AirflowSkipException(f"nothing to publish: {missing}")
        self.run_id = run_id(f"publish-{self.family}", None, "newest", context["run_id"])
        published = publish(self.family, self.run_id)
        self.log.info("published version %s as of %s: %s", published.version, published.as_of, published.rows)
        self._link = page(f"reports/collections/{self.family}/index.html") if published.site else ""
        return self.run_id


def skip_if_lost(run: str) -> None:
    """Write a lost gate into the ledger and skip the promotion. Raises AirflowSkipException with the reasons."""
    from ml.actions.retrain import approve, verdict_of

    if not approve(run):
        raise AirflowSkipException(f"not promoted: {'; '.join(verdict_of(run)['reasons'])}")


def _decided_by(answer: Mapping[str, Any] | None) -> dict[str, str]:
    """Who approved, and why, where a person did."""
    person = ((answer or {}).get("responded_by_user") or {}).get("name")
    why = str(((answer or {}).get("params_input") or {}).get("why") or "")
    return {"actor": person, "why": why} if person else {}


def _as_of(run: str) -> str:
    from ml.workspace import params_of

    return params_of(run).as_of.isoformat()
