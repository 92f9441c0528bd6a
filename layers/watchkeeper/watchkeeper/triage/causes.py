"""Which node is the cause of what a metric of another shows: the suspects, best first.

A fault shows at the node that has it and at every node that calls it, directly or through others.
So a good suspect has four marks, and its score is the sum of their logarithms:

    unusual   how far the target's metric of this node has moved the wrong way, beside how far it
              moves anyhow. From nine usual deviations on it is certain, and more says no more.
    share     how much of the target's loss is this node's own. The loss is the change times the
              number of calls (seconds lost, requests failed), because the mean of a few calls moves
              easily; a node's own is what the nodes that it calls do not account for.
    covers    how much of all that is unusual lies on it and on the nodes that call it.
    reached   the target calls it, directly or through others.

Moments. Where the abnormal stretch holds calm moments of the target too, a node's change is also
measured against those, and the smaller change counts: what has drifted since the normal stretch, or
was as bad before, is no cause.

Other metrics of the node, and other statistics of the target's, stand in where the target's own is
not measured there, and count for less. Which way is worse is told by the words of a metric's name
(WORSE_HIGHER, WORSE_LOWER). A metric without such words is worse the way the target's went; of
another node's it says nothing: more requests may be cause or effect.

Without calls, only what is unusual and its share are left. Missing values (None, NaN, infinite) are
left out; a metric with fewer than ten normal values has no normal, and says nothing.

Ideas from: walking the anomalous part of a call graph to the nodes without anomalous callees, as in
https://arxiv.org/abs/2311.04806, and from self time in profilers and traces.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Key: TypeAlias = tuple[str, str, str]
"""Node, metric, statistic: ("checkout", "latency", "Average")."""
Values: TypeAlias = Sequence[float | None]
"""Of one metric, one per period; the series of `abnormal` are of the same moments."""

WORSE_HIGHER = (
    "age", "duration", "err", "exception", "fail", "fault", "lag", "latenc", "queue", "reject",
    "response", "retr", "throttl", "timeout", "unavail", "unhealthy", "utiliz", "wait", "4xx",
    "5xx",
)  # fmt: skip
WORSE_LOWER = ("availab", "balance", "free", "healthy", "success")
"""How words in metrics' names begin. These count first: FreeStorage is worse lower."""
CALLS = ("call", "count", "invocation", "request")
"""The same of metrics that count calls, in their Sum or SampleCount."""

UNUSUAL = 2.0
"""Usual deviations: within them a metric is at one time in twenty by itself."""
CERTAIN = 1.5
"""The logarithm of how often UNUSUAL makes a change certain: 4.5 times, or nine deviations."""
STEADY = 0.003
"""A metric that never moves is taken to move by this part of itself: 0.3 of 100 %."""
FEWEST_NORMAL = 10
LONGEST_NAME = 255  # of a metric, in CloudWatch
UNKNOWN = -1.0
"""How unusual, in logarithms, a node without any evidence is taken to be: less than at UNUSUAL."""
QUIETEST = -1.5
"""No node is more usual than this: what is quiet may be quiet because it is not called."""
OTHER_STATISTIC = 0.3  # taken off what another statistic of the same metric says, in logarithms
OTHER_METRIC = 1.0  # and what another metric says, which is never certain
LEAST_SHARE = 0.03
UNKNOWN_SHARE = 0.3
"""Of a node without the target's metric: between one that accounts for it and one that does not."""
LEAST_OWN = 0.1
"""Of a node's loss: what it calls never accounts for all of it, as calls overlap and repeat."""
LEAST_COVER = 0.05
UNREACHED = 3.0  # taken off a node that the target does not call: it comes after those it does
HIT = 0.5  # of the target's worst: moments of the fault
CALM = 0.25  # and below this: moments without it


@dataclass(frozen=True, slots=True)
class Suspect:
    """A node, how good a suspect it is (to compare, not to read), and why."""

    node: str
    score: float
    why: str


def rank_causes(
    target: Key,
    normal: Mapping[Key, Values],
    abnormal: Mapping[Key, Values],
    calls: Mapping[str, Iterable[str]] | None = None,
) -> list[str]:
    """Every node that has metrics in `abnormal`, and the target's, best suspect first.

    `calls` maps a caller to those it calls. It may have circles, and nodes without metrics.
    """
    return [suspect.node for suspect in suspects(target, normal, abnormal, calls)]


def suspects(
    target: Key,
    normal: Mapping[Key, Values],
    abnormal: Mapping[Key, Values],
    calls: Mapping[str, Iterable[str]] | None = None,
) -> list[Suspect]:
    """The same with scores and reasons. Equal scores are in order of the nodes' names."""
    called = {caller: tuple(sorted(set(callees))) for caller, callees in (calls or {}).items()}
    view = _View(target, normal, abnormal)
    nodes = sorted({target[0], *(node for node, _, _ in abnormal)})
    evidence = {node: view.evidence(node) for node in nodes}
    reached = _reached(called, target[0]) if called.get(target[0]) else set(nodes)
    above = _above(called, nodes) if called else {}
    found = [_suspect(node, evidence, called, above, target[0]) for node in nodes]
    found = [one if one.node in reached else _unreached(one, target[0]) for one in found]
    return sorted(found, key=lambda suspect: (-suspect.score, suspect.node))


# --- One node's evidence -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Change:
    """How far a metric went the way that is worse, in its unit and in usual deviations."""

    by: float
    deviations: float


@dataclass(frozen=True, slots=True)
class _Evidence:
    unusual: float  # a logarithm; 0 at UNUSUAL
    loss: float | None  # the change of the target's metric times the calls; None if not measured
    what: str  # the metric that says so


class _View:
    """What the metrics say about the moments at which the target was at its worst."""

    def __init__(
        self, target: Key, normal: Mapping[Key, Values], abnormal: Mapping[Key, Values]
    ) -> None:
        self.target = target
        self.normal = normal
        self.abnormal = abnormal
        self.keys: dict[str, list[Key]] = {}
        for key in sorted(abnormal):
            self.keys.setdefault(key[0], []).append(key)
        self.worse = worse(target[1]) or self._direction()
        self.hit, self.calm = self._moments()

    def evidence(self, node: str) -> _Evidence:
        """How unusual the node is, by the metric that says it loudest, and the node's loss."""
        unusual, what = UNKNOWN, "no metric of it has a normal to compare with"
        loss: float | None = None
        for key in self.keys.get(node, ()):
            change = self._change(key)
            if change is None:
                continue
            if key[1:] == self.target[1:]:
                loss = max(0.0, change.by) * self._calls(node)
            says = self._says(key, change)
            if says > max(0.0, unusual):
                what = f"its {key[1]} {key[2]} is {change.deviations:.0f} usual deviations worse"
            elif unusual <= 0.0:
                what = "no metric of it is unusually bad"
            unusual = max(unusual, says)
        return _Evidence(unusual, loss, what)

    def _says(self, key: Key, change: _Change) -> float:
        """How unusual a change is, in logarithms: the target's metric says it best."""
        says = min(CERTAIN, math.log(max(change.deviations, 1e-9) / UNUSUAL))
        if key[1:] == self.target[1:]:
            return max(QUIETEST, says)
        return says - (OTHER_STATISTIC if key[1] == self.target[1] else OTHER_METRIC)

    def _change(self, key: Key) -> _Change | None:
        direction = self.worse if key[1] == self.target[1] else worse(key[1])
        usual = _usual(self.normal.get(key, ()))
        during = _mean(_at(self.abnormal[key], self.hit))
        if not direction or usual is None or during is None:
            return None
        middle, deviation = usual
        by = (during - middle) * direction
        before = _mean(_at(self.abnormal[key], self.calm))
        if before is not None:
            by = min(by, (during - before) * direction)
        return _Change(by, by / deviation)

    def _calls(self, node: str) -> float:
        """Calls to the node in a period; where they are not counted, the target's, or 1."""
        for key in (*self.keys.get(node, ()), *self.keys.get(self.target[0], ())):
            counts = key[2] in ("Sum", "SampleCount") and not worse(key[1])
            if counts and _begins(key[1], CALLS):
                during = _mean(_at(self.abnormal[key], self.hit))
                return during or _mean(_finite(self.normal.get(key, ()))) or 0.0
        return 1.0

    def _direction(self) -> int:
        """Which way a metric went whose name does not tell which way is worse."""
        usual = _usual(self.normal.get(self.target, ()))
        during = _finite(self.abnormal.get(self.target, ()))
        if usual is None or not during:
            return 1
        return 1 if max(during) - usual[0] >= usual[0] - min(during) else -1

    def _moments(self) -> tuple[list[int], list[int]]:
        """The moments of the fault, and the calm ones; all and none if the target shows none."""
        series = self.abnormal.get(self.target, ())
        usual = _usual(self.normal.get(self.target, ()))
        every = list(range(max(map(len, self.abnormal.values()), default=0)))
        if usual is None:
            return every, []
        moved = [
            None if value is None else max(0.0, (value - usual[0]) * self.worse)
            for value in map(_number, series)
        ]
        worst = max((value for value in moved if value is not None), default=0.0)
        if worst <= 0.0:
            return every, []
        hit = [at for at, by in enumerate(moved) if by is not None and by >= HIT * worst]
        calm = [at for at, by in enumerate(moved) if by is not None and by < CALM * worst]
        return hit, calm


def worse(metric: str) -> int:
    """Which way a metric of that name is worse: 1 higher, -1 lower, 0 neither."""
    if _begins(metric, WORSE_LOWER):
        return -1
    return int(_begins(metric, WORSE_HIGHER))


def _begins(metric: str, stems: tuple[str, ...]) -> bool:
    """Whether a word of a name such as HTTPCode_Target_5XX_Count or queue.wait begins so."""
    words = re.findall(
        r"[Uu]n[Hh]ealthy|[0-9]+[A-Za-z]*|[A-Z]?[a-z]+|[A-Z]+(?![a-z])", metric[:LONGEST_NAME]
    )
    return any(word.lower().startswith(stems) for word in words)


def _usual(values: Values) -> tuple[float, float] | None:
    """The middle of the normal values and how far they usually are from it; None if too few."""
    known = sorted(_finite(values))
    if len(known) < FEWEST_NORMAL:
        return None
    half = len(known) // 2  # not the statistics module: its import costs a cold start 5 ms
    middle = (known[half] + known[-half - 1]) / 2
    away = sorted(abs(value - middle) for value in known)
    # The wider of two looks at the spread: the inner half, and what 19 of 20 stay within. A normal
    # distribution gives the same for both; a metric with spikes is as wide as its spikes.
    inner = 1.4826 * away[len(away) // 2]
    outer = away[int(0.95 * (len(away) - 1))] / 2
    return middle, max(inner, outer, STEADY * abs(middle), 1e-12)


# --- The suspects --------------------------------------------------------------------------------


def _suspect(
    node: str,
    evidence: Mapping[str, _Evidence],
    called: Mapping[str, Iterable[str]],
    above: Mapping[str, set[str]],
    target: str,
) -> Suspect:
    own = evidence[node]
    callees = [evidence[one] for one in called.get(node, ()) if one in evidence and one != node]
    share = _share(own, callees, evidence[target].loss)
    score = own.unusual + math.log(max(share, LEAST_SHARE))
    why = [own.what, f"about {share:.0%} of what {target} lost is its own"]
    if above:
        # fsum: the order of a set must not show, not even in the last digit.
        everything = math.fsum(max(0.0, one.unusual) for one in evidence.values())
        covered = math.fsum(max(0.0, evidence[one].unusual) for one in above[node])
        cover = covered / everything if everything > 0.0 else 0.0
        score += math.log(max(cover, LEAST_COVER))
        why.append(f"it and its callers are {cover:.0%} of what is unusual")
    return Suspect(node, score, "; ".join(why))


def _unreached(suspect: Suspect, target: str) -> Suspect:
    why = f"{suspect.why}; {target} does not call it"
    return Suspect(suspect.node, suspect.score - UNREACHED, why)


def _share(own: _Evidence, called: Iterable[_Evidence], lost: float | None) -> float:
    """How much of what the target lost is a node's own."""
    if not lost:
        return 1.0
    if own.loss is None:
        return UNKNOWN_SHARE
    below = math.fsum(callee.loss or 0.0 for callee in called if callee.unusual > 0.0)
    return min(1.0, max(own.loss - below, LEAST_OWN * own.loss) / lost)


def _reached(called: Mapping[str, Iterable[str]], start: str) -> set[str]:
    """The node and all that it calls, directly or through others."""
    seen, waiting = {start}, [start]
    while waiting:
        for callee in called.get(waiting.pop(), ()):
            if callee not in seen:
                seen.add(callee)
                waiting.append(callee)
    return seen


def _above(called: Mapping[str, Iterable[str]], nodes: Sequence[str]) -> dict[str, set[str]]:
    """For each node, it and all of `nodes` that call it, directly or through others."""
    callers: dict[str, list[str]] = {}
    for caller, callees in called.items():
        for callee in callees:
            callers.setdefault(callee, []).append(caller)
    known = set(nodes)
    return {node: _reached(callers, node) & known for node in nodes}


# --- Values --------------------------------------------------------------------------------------

_LARGEST = 1e100  # larger values are taken as this, so that no product of two overflows


def _number(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return max(-_LARGEST, min(_LARGEST, float(value)))


def _finite(values: Values) -> list[float]:
    return [value for value in map(_number, values) if value is not None]


def _at(values: Values, moments: Iterable[int]) -> list[float]:
    return _finite([values[moment] for moment in moments if moment < len(values)])


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
