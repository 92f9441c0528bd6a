"""Keys: which of them nothing should be encrypted under, and what a failing one takes with it.

A recovery point is as good as its KMS key: a disabled key keeps it from being restored, a deleted
one makes it worthless, and neither shows on the snapshot.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from watchkeeper.backups.model import RecoveryPoint, State
from watchkeeper.quoting import quoted

GONE = "Gone"
"""Our own word beside KMS's states: KMS knows the key no more."""
UNCHECKED = "Unchecked"
"""Our own word, too: nobody could tell what state the key is in."""
USABLE = frozenset({"Enabled", "Updating"})
"""A key whose primary Region is being changed is `Updating`, and encrypts and decrypts meanwhile:
https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdatePrimaryRegion.html
"""


@dataclass(frozen=True)
class KeyState:
    """A KMS key as DescribeKey shows it, or why it does not."""

    arn: str
    state: str
    """KMS's word, or GONE, or UNCHECKED."""
    deleted_at: datetime | None = None
    """After this moment KMS deletes it, if that is scheduled."""
    problem: str = ""
    """Why it could not be checked; empty if it was."""

    @property
    def is_usable(self) -> bool:
        return self.state in USABLE

    @property
    def is_known(self) -> bool:
        """Whether it is known if it can be used: KMS may have states that are new to us."""
        return self.is_usable or self.state in FAILURES


@dataclass(frozen=True)
class Failure:
    """What a state means for whatever is encrypted under a key, and what to do about it."""

    words: str
    remedy: str


LOOK = (
    "aws kms describe-key --key-id {arn}; its key policy has to let the role of TakeBackups do that"
)
CANCEL = "aws kms cancel-key-deletion --key-id {arn}; aws kms enable-key --key-id {arn}"
"""Both: a key whose deletion was cancelled is disabled."""
FAILURES = {
    "Disabled": Failure(
        "is disabled: nothing under it can be read until it is enabled again",
        "aws kms enable-key --key-id {arn}",
    ),
    "PendingDeletion": Failure(
        "is scheduled for deletion: it and all under it are gone for good after {when}", CANCEL
    ),
    "PendingReplicaDeletion": Failure(
        "is scheduled for deletion: it and all under it are gone for good some time after its last "
        "replica is",
        CANCEL,
    ),
    "PendingImport": Failure(
        "has no key material: nothing under it can be read until that is imported again",
        "aws kms get-parameters-for-import, then import-key-material with the same material",
    ),
    "Unavailable": Failure(
        "is cut off from its key store: nothing under it can be read until that is connected again",
        "aws kms describe-custom-key-stores, then connect-custom-key-store",
    ),
    "Creating": Failure(
        "is still being created: nothing can be encrypted under it yet",
        "nothing to do: KMS takes a few minutes",
    ),
    GONE: Failure(
        "has been deleted: all under it is lost",
        "nothing brings it back; back up what is still there under another key",
    ),
}
"""States in which a key neither encrypts nor decrypts:
https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
"""


def unusable(key: KeyState) -> str:
    """Why nothing should be encrypted under the key now, and the remedy; empty if something may.

    A key that could not be checked is no reason to skip a backup: a recovery point that may fail is
    better than none. `unchecked` says that.
    """
    if key.state not in FAILURES:
        return ""
    return f"KMS key {key.arn} {_words(key)} ({_remedy(key)})"


def unchecked(key: KeyState) -> str:
    """What to say of a key of which nobody knows whether it can be used; empty if that is known."""
    return "" if key.is_known else f"KMS key {key.arn} {_words(key)}"


def _words(key: KeyState) -> str:
    if failure := FAILURES.get(key.state):
        when = f"{key.deleted_at:%Y-%m-%d %H:%M} UTC" if key.deleted_at else "its waiting period"
        return failure.words.format(when=when)
    why = key.problem or f"its state {quoted(key.state)} is not known to this version"
    return f"could not be checked: {why}"


def _remedy(key: KeyState) -> str:
    failure = FAILURES.get(key.state)
    return (failure.remedy if failure else LOOK).format(arn=key.arn)


# ── What is under which key ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Amount:
    """Some recovery points, counted."""

    points: int
    others: int
    """Those of them that somebody else keeps."""
    oldest: datetime
    newest: datetime
    """The latest moment that one of them restores."""

    @classmethod
    def of(cls, point: RecoveryPoint) -> "Amount":
        return cls(1, 1 if point.keeper else 0, point.created_at, point.newest_data)

    def __add__(self, more: "Amount") -> "Amount":
        return Amount(
            self.points + more.points,
            self.others + more.others,
            min(self.oldest, more.oldest),
            max(self.newest, more.newest),
        )

    def __str__(self) -> str:
        others = f" ({self.others} of them somebody else's)" if self.others else ""
        span = f"{self.oldest:%Y-%m-%d} to {self.newest:%Y-%m-%d}"
        return f"{_counted(self.points, 'recovery point')}{others}, {span}"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


Of = TypeVar("Of")
Held = Mapping[tuple[tuple[str, ...], str], Amount]
"""Per keys and resource: the recovery points that need all of those keys."""


def held(points: Iterable[RecoveryPoint]) -> Held:
    """The completed recovery points, counted as they come: there may be a hundred thousand."""
    return _added_up(
        ((point.keys, point.resource), Amount.of(point))
        for point in points
        if point.state is State.COMPLETED
    )


def _added_up(amounts: Iterable[tuple[Of, Amount]]) -> dict[Of, Amount]:
    sums: dict[Of, Amount] = {}
    for of, amount in amounts:
        sums[of] = sums[of] + amount if of in sums else amount
    return sums


def keys_of(under: Held) -> set[str]:
    return {arn for keys, _ in under for arn in keys}


# ── What is lost with a key ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Loss:
    """What one resource loses with a key."""

    resource: str
    amount: Amount
    is_last: bool
    """No other recovery point of it is under keys that are known to be well."""

    def __str__(self) -> str:
        last = "nothing else restores " if self.is_last else ""
        return f"{last}{self.resource}: {self.amount}"


@dataclass(frozen=True)
class FailingKey:
    """A key that is not known to be usable, with what cannot be restored without it."""

    key: KeyState
    amount: Amount
    losses: tuple[Loss, ...]
    """Per resource, those first that have nothing else."""

    @property
    def id(self) -> str:
        """What people are told of once: this key in this state."""
        return f"{self.key.arn} {self.key.state}"

    def __str__(self) -> str:
        return f"{self.key.arn} {_words(self.key)}"

    def takes(self) -> str:
        last = sum(1 for loss in self.losses if loss.is_last)
        nothing_else = f"; nothing else restores {last} of these" if last else ""
        resources = _counted(len(self.losses), "resource")
        return f"takes with it: {self.amount}, of {resources}{nothing_else}"

    def remedy(self) -> str:
        return f"remedy: {_remedy(self.key)}"


def failing(under: Held, states: Mapping[str, KeyState]) -> list[FailingKey]:
    """Keys that recovery points need and that are not known to be usable; whoever takes last
    recovery points with it comes first, then whoever takes most.
    """
    well = {arn for arn, key in states.items() if key.is_usable}
    safe = {resource for keys, resource in under if well.issuperset(keys)}
    found = [_failing(states[arn], under, safe) for arn in keys_of(under) - well]
    return sorted(found, key=lambda one: (not one.losses[0].is_last, -one.amount.points, one.id))


def _failing(key: KeyState, under: Held, safe: set[str]) -> FailingKey:
    amounts = _added_up(
        (resource, amount) for (keys, resource), amount in under.items() if key.arn in keys
    )
    losses = [Loss(resource, amounts[resource], resource not in safe) for resource in amounts]
    losses.sort(key=lambda loss: (not loss.is_last, loss.resource))
    first, *rest = amounts.values()
    return FailingKey(key, sum(rest, start=first), tuple(losses))


def points_under(under: Held, keys: Iterable[FailingKey]) -> int:
    """How many recovery points need one of these keys; one that needs two of them counts once."""
    arns = {one.key.arn for one in keys}
    return sum(amount.points for (named, _), amount in under.items() if arns.intersection(named))


LINES_OF_A_KEY = 4
"""What is wrong with it, the remedy, what it takes, and at least one resource."""


def in_lines(keys: Sequence[FailingKey], most: int) -> list[str]:
    """As many lines of a page as `most`, shared out evenly; where keys are too many for that, a
    line each, however many they are.
    """
    room = most // len(keys) if keys else 0
    if room < LINES_OF_A_KEY:
        return [f"{one} [{_counted(one.amount.points, 'recovery point')}]" for one in keys]
    return [line for one in keys for line in _lines(one)[:room]]


def _lines(one: FailingKey) -> list[str]:
    return [str(one), *(f"    {line}" for line in (one.remedy(), one.takes(), *one.losses))]


# ── Told once ─────────────────────────────────────────────────────────────────────────────────────


def remembered(keys: Iterable[FailingKey], told: Mapping[str, str], run_id: str) -> dict[str, str]:
    """Per failing key and state, the run that tells people of it: whoever found it first.

    What is well again is forgotten, so that it is told of when it fails again.
    """
    failing_now = {one.key.arn: one for one in keys}
    kept = {of: by for of, by in told.items() if of.rsplit(" ", 1)[0] in failing_now}
    return {**{one.id: run_id for one in failing_now.values()}, **kept}
