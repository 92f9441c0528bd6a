"""How backups are told and shown: the lines of a day, two tables, and the answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from local.demo.backups_state import BackupsState, Fate, Protected
from local.demo.page import joined, plain
from local.demo.timeline import Line
from watchkeeper import naming
from watchkeeper.backups.model import ACCEPTED, Finding

SLOW = timedelta(hours=1)
"""A night that took longer than usual for this fleet: worth a word."""

PLANS = {"gold": "yellow", "silver": "white", "bronze": "dark_orange3"}
FATES = {
    "kept": "green",
    "refused": "magenta",
    "due": "cyan",
    "removed": "bright_black",
    "failed": "red",
}
RESOURCE = re.compile(r"(?:arn:aws:ec2:[\w-]*:\d*:(?:instance|volume)/)?((?:i|vol)-[0-9a-f]+)")
SHARED_REASON = "but it cannot be removed: "
"""Before it, a refusal says why retention would let go: the same sentence every night."""


# ── The timeline ─────────────────────────────────────────────────────────────────────────────────


def teller(names: Callable[[], Mapping[str, str]]) -> Callable[[Mapping[str, Any]], Line | None]:
    """Makes lines of the news of backups; `names` says what people call the resources."""

    def tell(news: Mapping[str, Any]) -> Line | None:
        match news["type"]:
            case "RecoveryPointsCompleted":
                return _completed(news, names())
            case "RecoveryPointsRemoved":
                return _removed(news, names())
            case "StepFailed":
                says = f"{news['run']}: {news['step']} failed"
                return Line(_at(news), "trouble", says, [named(news["why"], names())])
        return None

    return tell


def _completed(news: Mapping[str, Any], names: Mapping[str, str]) -> Line:
    ended, begun = _at(news), _begun(news["run"])
    taken = _count(news["completed"], "recovery point")
    says = f"{news['plan']}: {taken}" + (f", {news['failed']} failed" if news["failed"] else "")
    if begun is None:
        says += ", asked for by hand"
    elif ended - begun > SLOW:
        says += f", complete only after {span(ended - begun)}"
    below = [named(reason, names) for reason in news["reasons"]]
    return Line(begun or ended, "trouble" if news["failed"] else "done", says, below)


def _removed(news: Mapping[str, Any], names: Mapping[str, str]) -> Line | None:
    if not news["removed"] and not news["refused"]:
        return None
    says = f"retention: {news['removed']} removed, {news['kept']} kept"
    if news["refused"]:
        says += f", {news['refused']} refused"
    below = [named(_short(reason), names) for reason in news["reasons"]]
    return Line(_begun(news["run"]) or _at(news), "removed", says, below)


def _short(reason: str) -> str:
    resource, _, why = reason.partition(": ")
    return f"{resource}: {why.rpartition(SHARED_REASON)[2]}"


def _at(news: Mapping[str, Any]) -> datetime:
    return naming.parse_instant(news["at"])


def _begun(run: str) -> datetime | None:
    """When a run was due, if its id says so."""
    minute = re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", run)
    return naming.parse_minute(minute[0]) if minute else None


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
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, header_style="bold")
    for title, options in columns:
        table.add_column(title, **options)
    return table


def _points(state: BackupsState) -> Table:
    table = _table(
        ("recovery point", {"width": 20, "no_wrap": True}),
        ("", {"width": 8, "no_wrap": True}),
        ("why", {"ratio": 1}),
    )
    for one in state.protected:
        table.add_row(
            plain(one.name, "bold"), _plan(one.plan), Text(_tally(one), style="bright_black")
        )
        for fate, more in _worth_showing(one):
            table.add_row(_when(fate), Text(fate.word, style=FATES.get(fate.word, "")), _why(fate, one))
            if more:
                table.add_row(Text(f"  … {more[0]} more", style="bright_black"), "", Text(more[1], style="bright_black"))
        table.add_section()
    return table


def _tally(one: Protected) -> str:
    counts = Counter(fate.word for fate in one.fates)
    shown = [f"{counts[word]} {word}" for word in FATES if counts[word]]
    return ", ".join(shown) or "none yet"


def _worth_showing(one: Protected) -> list[tuple[Fate, tuple[int, str] | None]]:
    """The newest of each fate, with how many more of it there are; what was refused, all of it."""
    shown: list[tuple[Fate, tuple[int, str] | None]] = []
    for word in FATES:
        fates = one.counted(word)
        if word == "refused":
            shown += [(fate, None) for fate in fates]
        elif fates:
            first, *others = fates
            special = [each for each in others if "tags" in each.rules]
            others = [each for each in others if each not in special]
            shown.append((first, (len(others), _summary(others)) if others else None))
            shown += [(each, None) for each in special]
    return shown


def _summary(fates: Sequence[Fate]) -> str:
    """Which rules keep them; nothing for those that no rule keeps."""
    rules = Counter(rule for fate in fates for rule in fate.rules)
    by_rule = ", ".join(f"{count} by {rule}" for rule, count in rules.items())
    oldest = min(fate.point.created_at for fate in fates)
    back = f"back to {oldest:%a %d %b %H:%M}"
    return f"{by_rule}; {back}" if by_rule else back


def _when(fate: Fate) -> Text:
    gib = sum(part.gib for part in fate.point.parts)
    disks = f"{gib:4} GiB" if gib else ""
    return joined([f" {fate.point.created_at:%a %d %H:%M}", Text(disks, style="bright_black")])


def _why(fate: Fate, one: Protected) -> Text:
    return plain(named(fate.why, {naming.ec2_id(one.arn): one.name}))


def _coverage(state: BackupsState) -> Table:
    table = _table(
        ("resource", {"ratio": 1, "no_wrap": True}),
        ("plan", {"width": 7}),
        ("protected since", {"width": 15}),
        ("newest", {"width": 12}),
        ("age", {"justify": "right", "width": 6}),
        ("RPO", {"justify": "right", "width": 6}),
        ("verdict", {"width": 26}),
    )
    for one in state.protected:
        newest = one.completed[0].created_at if one.completed else None
        table.add_row(
            plain(one.name),
            _plan(one.plan),
            f"{one.since:%a %d %b %H:%M}" if one.since else "never",
            f"{newest:%a %d %H:%M}" if newest else "none",
            span(state.at - newest) if newest else "–",
            span(one.objective) if one.objective else "–",
            _verdict(one),
        )
    return table


def _verdict(one: Protected) -> Text:
    if one.gap is not None:
        return plain(one.gap.gap.value, "bold red")
    return Text("✔ within its objective", style="green")


def _unprotected(findings: Sequence[Finding]) -> Table:
    table = _table(
        ("resource", {"ratio": 2}), ("because", {"width": 19}), ("what to do, or who decided", {"ratio": 4})
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
    total = len(state.protected)
    verdict = f"Yes: {len(good)} of the {total} resources that have a plan, each within its objective."
    answers = [("Can we recover?", Text(verdict, style="bold green" if good else "bold red"))]
    points = [point for one in state.protected for point in one.completed]
    if points:
        answers.append(("From when?", _from_when(state, good)))
    at_risk = [_risk(one) for one in bad]
    at_risk.append(Text(f"{len(state.gaps)} resources that no plan protects, though nobody said so: see above.", style="yellow"))
    answers.append(("What is at risk?", joined(at_risk, "\n")))
    return answers


def _from_when(state: BackupsState, good: Sequence[Protected]) -> Text:
    newest = {
        plan: max(state.at - one.completed[0].created_at for one in good if one.plan == plan)
        for plan in dict.fromkeys(one.plan for one in good)
    }
    ages = ", ".join(f"{plan} {span(age)}" for plan, age in newest.items())
    oldest = min(point.created_at for one in state.protected for point in one.completed)
    return Text(f"As of now, at most this is lost: {ages}. The furthest way back is to {oldest:%a %d %b %H:%M}.")


def _risk(one: Protected) -> Text:
    failed = one.counted("failed")
    why = named(failed[0].why, {naming.ec2_id(one.arn): one.name}) if failed else ""
    found = one.gap.gap.value if one.gap else ""
    return plain(f"{one.name} ({one.plan}): {found}" + (f"; {why}" if why else ""), "red")


def _plan(plan: str) -> Text:
    return plain(plan, PLANS.get(plan, ""))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def span(length: timedelta) -> str:
    """A length of time as people say it: `40 min`, `12 h`, `8 d`."""
    minutes = round(length.total_seconds() / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 2 * 24 * 60:
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes:02} min" if minutes and hours < 10 else f"{hours} h"
    return f"{minutes // (24 * 60)} d"
