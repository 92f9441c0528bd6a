"""How backups are told and shown: the lines of a day, two tables, and the answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from local.demo.backups_state import BackupsState, Fate, Protected
from local.demo.page import plain
from local.demo.timeline import Line
from watchkeeper import naming
from watchkeeper.backups.model import ACCEPTED, Finding

SLOW = timedelta(minutes=45)
"""A night that took longer than this fleet usually does (half an hour): worth a word."""

PLANS = {"gold": "yellow", "silver": "white", "bronze": "dark_orange3"}
FATES = {
    "kept": "green",
    "refused": "magenta",
    "expiring": "cyan",
    "removed": "bright_black",
    "failed": "red",
}
RESOURCE = re.compile(r"(?:arn:aws:ec2:[\w-]*:\d*:(?:instance|volume)/)?((?:i|vol)-[0-9a-f]+)")
FAILED_SNAPSHOT = re.compile(r"snapshot snap-[0-9a-f]+ of vol-[0-9a-f]+ ")
REFUSAL = "but it cannot be removed: "
"""Before it, a refusal says why retention would let go: the same sentence every night."""


# ── The timeline ─────────────────────────────────────────────────────────────────────────────────


def tell(news: Mapping[str, Any]) -> Line | None:
    """A line of the timeline, for the news of backups that are worth one."""
    kind = news["type"]
    if kind == "RecoveryPointsCompleted":
        return _completed(news)
    if kind == "RecoveryPointsRemoved":
        return _removed(news)
    if kind == "StepFailed" and news["capability"] in ("backup", "expire"):
        return Line(_at(news), "trouble", f"{news['run']}: {news['step']} failed", [news["why"]])
    return None


def _completed(news: Mapping[str, Any]) -> Line:
    ended, begun = _at(news), _begun(news["run"])
    says = f"{news['plan']}: {_count(news['completed'], 'recovery point')}"
    says += f", {news['failed']} failed" if news["failed"] else ""
    at = begun or ended
    if begun is None:
        says += ", asked for by hand"
    elif ended - begun > SLOW:
        at = ended
        says += f", complete {span(ended - begun)} after the night began"
    mark = "trouble" if news["failed"] else "done"
    return Line(at, mark, says, [_without_ids(reason) for reason in news["reasons"]])


def _removed(news: Mapping[str, Any]) -> Line | None:
    if not news["removed"] and not news["refused"]:
        return None
    says = f"retention: {news['removed']} removed, {news['kept']} kept"
    if news["refused"]:
        says += f", {news['refused']} refused"
    below = [_short(reason) for reason in news["reasons"]]
    return Line(_begun(news["run"]) or _at(news), "removed", says, below)


def _short(reason: str) -> str:
    resource, _, why = reason.partition(": ")
    return f"{resource}: {why.rpartition(REFUSAL)[2]}"


def _at(news: Mapping[str, Any]) -> datetime:
    return naming.parse_instant(news["at"])


def _begun(run: str) -> datetime | None:
    """When a run was due, if its id says so."""
    minute = re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", run)
    return naming.parse_minute(minute[0]) if minute else None


def _without_ids(why: str) -> str:
    """Of a snapshot that failed, nobody needs the id to understand; state.jsonl has it."""
    return FAILED_SNAPSHOT.sub("its snapshot ", why)


def named(text: str, names: Mapping[str, str]) -> str:
    """The text with resources called by their names, where they have any."""
    return RESOURCE.sub(lambda found: names.get(found[1], found[1]), text)


# ── The tables ───────────────────────────────────────────────────────────────────────────────────


def sections(state: BackupsState) -> list[tuple[str, Table]]:
    """What there is to see, each under its title."""
    left_out = f"What no plan protects: {len(state.gaps)} to look at"
    return [
        ("Recovery points, and why each is kept, refused or gone", _points(state)),
        ("Coverage against the objectives (RPO)", _coverage(state)),
        (left_out, _unprotected(state.unprotected)),
    ]


def _table(*columns: tuple[str, dict[str, Any]]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    for title, options in columns:
        table.add_column(title, **options)
    return table


def _points(state: BackupsState) -> Table:
    table = _table(
        ("recovery point", {"width": 21, "no_wrap": True}),
        ("", {"width": 11, "no_wrap": True}),
        ("why", {"ratio": 1}),
    )
    for alike in _alike(state.protected):
        for one in alike:
            tally = Text(_tally(one), style="bright_black")
            table.add_row(plain(one.name, "bold"), _plan(one.plan), tally)
        for fate, others in _worth_showing(alike[0]):
            times = f" ×{1 + len(others)}" if others else ""
            word = Text(f"{fate.word}{times}", style=FATES.get(fate.word, ""))
            when = f"  {fate.point.created_at:%a %d %b %H:%M}"
            table.add_row(when, word, _why(fate, others))
        table.add_section()
    return table


def _alike(protected: Sequence[Protected]) -> list[list[Protected]]:
    """Resources of one plan whose recovery points met the same fates share their lines."""
    groups: dict[Any, list[Protected]] = {}
    for one in protected:
        lines = tuple(
            (fate.point.created_at, fate.word, _why(fate, others).plain)
            for fate, others in _worth_showing(one)
        )
        alike = (one.plan, lines, frozenset(_tally_of(one).items()))
        groups.setdefault(alike, []).append(one)
    return list(groups.values())


def _tally_of(one: Protected) -> Counter[str]:
    return Counter(fate.word for fate in one.fates)


def _tally(one: Protected) -> str:
    counts = _tally_of(one)
    shown = [f"{counts[word]} {word}" for word in FATES if counts[word]]
    gib = max((sum(part.gib for part in fate.point.parts) for fate in one.fates), default=0)
    return f"{gib} GiB: " * bool(gib) + (", ".join(shown) or "none yet")


def _worth_showing(one: Protected) -> list[tuple[Fate, list[Fate]]]:
    """The newest of each fate and the others that it stands for; what was refused, all of it."""
    shown: list[tuple[Fate, list[Fate]]] = []
    for word in FATES:
        fates = one.counted(word)
        special = [each for each in fates if word == "refused" or "tags" in each.rules]
        usual = [each for each in fates if each not in special]
        if usual:
            shown.append((usual[0], usual[1:]))
        shown += [(each, []) for each in special]
    return shown


def _why(fate: Fate, others: Sequence[Fate]) -> Text:
    why = plain(_without_ids(fate.why))
    if others and fate.word == "kept":
        rules = Counter(rule for each in others for rule in each.rules)
        kept = ", ".join(f"{count} {rule}" for rule, count in rules.items())
        oldest = min(each.point.created_at for each in others)
        why.append(f"\nthe others: {kept}; back to {oldest:%a %d %b %H:%M}", style="bright_black")
    return why


def _coverage(state: BackupsState) -> Table:
    table = _table(
        ("resource", {"ratio": 1}),
        ("plan", {"width": 6}),
        ("protected since", {"width": 16}),
        ("newest", {"width": 12}),
        ("age", {"justify": "right", "width": 5}),
        ("RPO", {"justify": "right", "width": 4}),
        ("verdict", {"width": 23}),
    )
    for one in state.protected:
        newest = one.completed[0].created_at if one.completed else None
        table.add_row(
            plain(one.name),
            _plan(one.plan),
            f"{one.since:%a %d %b %H:%M}" if one.since else "never",
            f"{newest:%a %d %H:%M}" if newest else "none",
            _hours(state.at - newest) if newest else "–",
            _hours(one.objective) if one.objective else "–",
            _verdict(one),
        )
    return table


def _verdict(one: Protected) -> Text:
    if one.gap is not None:
        return plain(f"✘ {one.gap.gap.value}", "bold red")
    return Text("✔ within its RPO", style="green")


def _unprotected(findings: Sequence[Finding]) -> Table:
    table = _table(
        ("resource", {"ratio": 3}), ("because", {"width": 19}), ("in full", {"ratio": 5})
    )  # fmt: skip
    for finding in findings:
        style = "bright_black" if finding.gap in ACCEPTED else "yellow"
        name = finding.name or _bare(finding.resource)
        table.add_row(plain(name), Text(finding.gap.value, style=style), plain(finding.why))
    return table


def _bare(arn: str) -> str:
    """What an ARN is about, without the account around it."""
    return arn.split(":", 5)[-1]


# ── The answer ───────────────────────────────────────────────────────────────────────────────────


def answers(state: BackupsState) -> list[tuple[str, Text]]:
    """Questions that people ask, answered in a line or two."""
    good = [one for one in state.protected if one.gap is None]
    bad = [one for one in state.protected if one.gap is not None]
    answers = [("Can we recover?", _verdict_on_all(len(good), len(state.protected)))]
    points = [point for one in state.protected for point in one.completed]
    if points:
        answers.append(("From when?", _from_when(state, good)))
    at_risk = [_risk(one) for one in bad]
    at_risk.append(
        Text(
            f"{len(state.gaps)} resources that no plan protects, though nobody said so: see above.",
            style="yellow",
        )
    )
    answers.append(("What is at risk?", Text("\n").join(at_risk)))
    return answers


def _verdict_on_all(good: int, total: int) -> Text:
    if not good:
        return Text("No: no resource can be restored within its objective.", style="bold red")
    if good < total:
        verdict = f"Yes for {good} of the {total} resources that have a plan, each within its RPO."
        return Text(verdict, style="bold green")
    return Text(f"Yes: all {total} resources that have a plan, within their RPO.", "bold green")


def _from_when(state: BackupsState, good: Sequence[Protected]) -> Text:
    newest = {
        plan: max(state.at - one.completed[0].created_at for one in good if one.plan == plan)
        for plan in dict.fromkeys(one.plan for one in good)
    }
    ages = ", ".join(f"{plan} {_hours(age)}" for plan, age in newest.items())
    oldest = min(point.created_at for one in state.protected for point in one.completed)
    lost = f"Lost if everything broke now: {ages}."
    return Text(f"{lost}\nThe furthest way back is to {oldest:%a %d %b %H:%M}.")


def _risk(one: Protected) -> Text:
    failed = one.counted("failed")
    why = _without_ids(failed[0].why) if failed else ""
    found = one.gap.gap.value if one.gap else ""
    return plain(f"{one.name} ({one.plan}): {found}" + (f"; {why}" if why else ""), "red")


def _plan(plan: str) -> Text:
    return plain(plan, PLANS.get(plan, ""))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _hours(length: timedelta) -> str:
    """A length of time in one number, to compare at a glance."""
    hour = timedelta(hours=1)
    return span(round(length / hour) * hour if length > hour else length)


def span(length: timedelta) -> str:
    """A length of time as people say it: `40 min`, `12 h`, `8 d`."""
    minutes = round(length.total_seconds() / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 2 * 24 * 60:
        hours, left = divmod(minutes, 60)
        return f"{hours} h {left:02} min" if left and hours < 10 else f"{round(minutes / 60)} h"
    return f"{minutes // (24 * 60)} d"
