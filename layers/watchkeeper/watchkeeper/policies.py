"""The operator's policies at work: read, kept as the last good copy, and told of when refused."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic, TypeVar

from watchkeeper import naming, telemetry
from watchkeeper.aws.parameters import Parameters
from watchkeeper.aws.policy_table import PolicyTable
from watchkeeper.aws.runs import RunTable
from watchkeeper.news.base import News
from watchkeeper.news.policies import PolicyGone, PolicyRefused
from watchkeeper.runs.record import news_run

# Reading a policy costs 20 ms of a cold start; it is imported by what reads one.
if TYPE_CHECKING:
    from watchkeeper.policy_text import Policy, PolicyDecision

    PolicyT = TypeVar("PolicyT", bound=Policy)
else:
    PolicyT = TypeVar("PolicyT")


@dataclass(frozen=True)
class Policies(Generic[PolicyT]):
    """The policy of one capability."""

    capability: str
    """The name of the parameter, and in the key of the last good copy."""
    runs_begin: str
    """The first word of the ids of the runs that tell people: those that the role may write."""
    decide: "Callable[[str | None, str | None], PolicyDecision[PolicyT]]"
    """By the parameter's text and the last that was accepted."""
    parameters: Parameters
    table: PolicyTable
    runs: RunTable

    def in_force(self) -> "PolicyT":
        good = self.table.last_good(self.capability)
        text = self.parameters.text(self.capability)
        return self.decide(text, good.get("text") if good else None).policy

    def last_accepted(self) -> "PolicyT":
        """What is in force where the parameter cannot be read; the default before the first."""
        good = self.table.last_good(self.capability)
        text = good.get("text") if good else None
        return self.decide(text, text).policy

    def since(self) -> datetime | None:
        """When the first policy came into force; None before the first tick."""
        good = self.table.last_good(self.capability)
        return naming.parse_instant(good["since"]) if good else None

    def read(self, now: datetime) -> "tuple[PolicyT, datetime, str]":
        """The policy in force, since when there has been one, and the run that tells people about
        a text that was refused or is gone, if any.
        """
        from watchkeeper.policy_text import policy_digest  # noqa: PLC0415 (as above)

        text = self.parameters.text(self.capability)
        good = self.table.last_good(self.capability)
        decision = self.decide(text, good.get("text") if good else None)
        since = naming.parse_instant(good["since"]) if good else now
        telemetry.count("PolicyRefused", 1 if decision.refused else 0)
        if decision.refused:
            told = {"problems": str(decision.refused), "in_force": decision.why}
            run_id = naming.refused_policy_id(self.runs_begin, policy_digest(text or ""))
            return decision.policy, since, self._tell(run_id, PolicyRefused, now, told)
        digest = policy_digest(text) if text is not None else "default"
        if good and good["digest"] == digest:
            return decision.policy, since, ""
        telemetry.logger.info("policy accepted", extra={"why": decision.why})
        meant = ""
        if good and text is None:
            run_id = naming.gone_policy_id(self.runs_begin, good["digest"], now)
            meant = self._tell(run_id, PolicyGone, now, {})
        previous = good.get("text") if good else None
        self.table.accept(self.capability, text, digest, since, previous)
        return decision.policy, since, meant

    def _tell(self, run_id: str, kind: type[News], now: datetime, fields: dict[str, str]) -> str:
        """A run that does nothing but tell people, once per id; its id."""
        parameter = f"{self.parameters.prefix}/{self.capability}"
        told = kind.about(news_run(run_id, now), at=now, parameter=parameter, **fields)
        self.runs.start(news_run(run_id, now, told))
        return run_id
