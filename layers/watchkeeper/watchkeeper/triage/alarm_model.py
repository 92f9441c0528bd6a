"""What an alarm says, whoever sent it and however it came. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from watchkeeper.triage.fields import moment, number, pairs, text, texts

MOST_METRICS = 100
"""A metric alarm takes fewer, a composite alarm as many children."""
MOST_LABELS = 64
"""A metric has 30 dimensions at most, an alarm 50 tags, an alert rarely 20 labels."""

Name = Annotated[str, BeforeValidator(texts(400))]
"""CloudWatch's names have up to 255 characters, its ARNs some 320."""
Words = Annotated[str, BeforeValidator(texts(1_100))]
"""CloudWatch's reasons and descriptions have up to 1,024 characters."""
Query = Annotated[str, BeforeValidator(texts(10_240))]
"""CloudWatch's longest: the rule of a composite alarm; the query of a log alarm is 240 shorter."""
Number = Annotated[float | None, BeforeValidator(number)]
Moment = Annotated[datetime | None, BeforeValidator(moment)]
"""UTC."""
Labels = Annotated[dict[str, str], BeforeValidator(lambda value: pairs(value, MOST_LABELS, 1_100))]


def _numbers(value: Any) -> list[float]:
    listed = value[:MOST_METRICS] if isinstance(value, (list, tuple)) else ()
    return [one for one in map(number, listed) if one is not None]


def _names(value: Any) -> list[str]:
    listed = value[:MOST_METRICS] if isinstance(value, (list, tuple)) else ()
    return list(dict.fromkeys(filter(None, (text(one, 400) for one in listed))))


Numbers = Annotated[tuple[float, ...], BeforeValidator(_numbers)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


class Kind(StrEnum):
    """What an alarm looks at."""

    METRIC = "metric"
    MATH = "metric math"
    ANOMALY = "anomaly band"
    QUERY = "metrics query"
    """Metrics Insights or PromQL: it may have contributors."""
    COMPOSITE = "composite"
    LOG = "log"
    ALERT = "alert"
    """Of Alertmanager."""
    UNKNOWN = "unknown"


class State(StrEnum):
    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"
    UNKNOWN = "UNKNOWN"


def _state(value: Any) -> State:
    return {
        "OK": State.OK, "RESOLVED": State.OK, "INSUFFICIENT_DATA": State.INSUFFICIENT_DATA,
        "ALARM": State.ALARM, "FIRING": State.ALARM, "ALERTING": State.ALARM,
    }.get(text(value, 40).strip().upper(), State.UNKNOWN)  # fmt: skip


AnyState = Annotated[State, BeforeValidator(_state)]


class _Read(BaseModel):
    """Every value is made to fit, none is refused: an alarm that is odd is an alarm."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Metric(_Read):
    """One line of what an alarm computes: a metric or an expression over others."""

    id: Name = ""
    namespace: Name = ""
    name: Name = ""
    dimensions: Labels = {}
    stat: Name = ""
    """As CloudWatch's API writes it: `Sum`, `p90`."""
    period: Number = None
    """Seconds."""
    expression: Query = ""
    label: Name = ""
    returned: bool = True
    """It is what the threshold is held against, or the band."""


class Alarm(_Read):
    """A change of an alarm's state. Texts are as they came, only cut: escape them where shown."""

    identity: str
    """The same by whatever route this change of state came, and however often."""
    key: str
    """The same for every change of state of this alarm, or of this contributor to it."""
    kind: Kind
    name: Name = ""
    arn: Name = ""
    account: Name = ""
    region: Name = ""
    state: AnyState = State.UNKNOWN
    previous: AnyState = State.UNKNOWN
    at: Moment = None
    """When the state changed; of an alert without its own time, when the message was sent."""
    since: Moment = None
    """When the first of the datapoints was that changed it, or when the alert began."""
    reason: Words = ""
    description: Words = ""
    metrics: tuple[Metric, ...] = Field(default=(), max_length=MOST_METRICS)
    datapoints: Numbers = ()
    """The latest ones that were evaluated, the oldest first."""
    threshold: Number = None
    rule: Query = ""
    """Of a composite alarm."""
    children: Names = ()
    """Those that the rule names: ARNs, or names where the alarm's own ARN is unknown."""
    triggered_by: Names = ()
    """ARNs of the children that changed the state."""
    contributor: Name = ""
    """The id of the time series whose state changed, in an alarm over many."""
    contributor_attributes: Labels = {}
    query: Query = ""
    """Of a log alarm, or in PromQL."""
    log_groups: Names = ()
    """Of a log alarm: names or ARNs."""
    labels: Labels = {}
    """Of an alert; of an alarm its tags, where it sends them."""
    annotations: Labels = {}
    source: Words = ""
    """Where an alert says that it comes from: an address, to be shown and not followed."""
    muted: Words = ""
    """Why nobody is to be told: a mute rule or a suppressor; else ""."""
    autoscaling: bool = False
    """It drives target tracking: it is in ALARM whenever there is too little or too much to do."""
    ours: bool = False
    """Of our own stack: it pages directly."""
    problem: Words = ""
    """What could not be read of it, and why; else ""."""

    @property
    def severity(self) -> str:
        """As its labels or tags say it, in small letters; else ""."""
        return next((v for k, v in self.labels.items() if k.lower() == "severity"), "").lower()

    @property
    def opens(self) -> bool:
        """Whether it may open an incident. One that cannot be read may: silence would be worse."""
        is_on = self.state in (State.ALARM, State.UNKNOWN)
        return is_on and not (self.muted or self.autoscaling or self.ours)
