"""What a page for people is made of: text that is safe to show, times, tables. Pure.

Everything that takes somebody else's text passes it through `text`, which escapes and cuts it.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from html import escape

SHOWN = 400
"""Bytes of one text, as it stands on the page: five lines of a table's cell."""

UNITS = (
    (timedelta(days=2), timedelta(days=1), timedelta(hours=1), ("d", "h")),
    (timedelta(hours=1), timedelta(hours=1), timedelta(minutes=1), ("h", "min")),
    (timedelta(0), timedelta(minutes=1), timedelta(seconds=1), ("min", "s")),
)
"""From how long on which units are used. Objectives are said in hours up to two days."""


def text(value: str, limit: int = SHOWN) -> str:
    """`value` escaped, in at most `limit` bytes and an ellipsis.

    What has no shape of its own (control characters, marks that turn the direction of text) is
    spelt out: it would change how the rest reads.
    """
    shown: list[str] = []
    left = limit
    for char in value[:limit]:
        plain = char if char.isprintable() else char.encode("unicode_escape").decode()
        piece = escape(plain)
        left -= len(piece.encode())
        if left < 0:
            return "".join(shown) + "…"
        shown.append(piece)
    return "".join(shown) + ("…" if len(value) > limit else "")


def quiet(value: str, limit: int = SHOWN) -> str:
    """`text` inside a sentence: letters that run from right to left turn nothing around them."""
    return f"<bdi>{text(value, limit)}</bdi>"


def code(value: str) -> str:
    return f"<code>{text(value)}</code>"


def moment(at: datetime | None) -> str:
    """To the second, in UTC; the page says so once, at its top."""
    if at is None:
        return "–"
    at = at.astimezone(UTC)
    return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{at:%Y-%m-%d %H:%M:%S}</time>'


def lasted(length: timedelta) -> str:
    """In two units: `24 min 57 s`, `26 h`, `3 d 4 h`. Rounded up to the smaller of them: nothing
    looks faster, or younger, than it was.
    """
    whole = abs(length)
    _, large, small, names = next(units for units in UNITS if whole >= units[0])
    number, rest = divmod(-(-whole // small), large // small)
    parts = [f"{count} {name}" for count, name in zip((number, rest), names, strict=True) if count]
    return ("−" if length < timedelta(0) else "") + (" ".join(parts) or f"0 {names[1]}")


def section(name: str, title: str, *content: str) -> str:
    """`name` is its heading's id."""
    heading = f'<h2 id="{name}">{title}</h2>'
    return f'<section aria-labelledby="{name}">{heading}{"".join(content)}</section>'


def paragraph(content: str, kind: str = "") -> str:
    return f'<p class="{kind}">{content}</p>' if kind else f"<p>{content}</p>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Terms and what they are, both as markup."""
    rows = "".join(f"<dt>{term}</dt><dd>{meaning}</dd>" for term, meaning in pairs)
    return f"<dl>{rows}</dl>"


def row(*cells: str) -> str:
    """The first cell is the row's heading."""
    first, *others = cells
    return f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'


def table(caption: str, columns: Sequence[str], rows: Iterable[str]) -> str:
    heads = "".join(f'<th scope="col">{column}</th>' for column in columns)
    # The frame scrolls on a narrow screen, and takes the focus so that a keyboard can scroll it.
    return (
        f'<div class="frame" role="region" aria-label="{caption}" tabindex="0"><table>'
        f"<caption>{caption}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def within(budget: int, items: Sequence[str]) -> Sequence[str]:
    """As many of the first `items` as fit into `budget` bytes."""
    spent = 0
    for number, item in enumerate(items):
        spent += len(item.encode())
        if spent > budget:
            return items[:number]
    return items
