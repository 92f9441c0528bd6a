"""Where the demo is shown: on the console as it happens, and in a text and an HTML file of it."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console, RenderableType
from rich.text import Text

WIDTH = 100
"""Columns of everything that is not a narrower terminal: as wide as this project's own lines."""


class Page:
    """A console, and a record of what it was shown."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        # Redirected, it is as wide as the files; a terminal may be narrower, never wider.
        is_wide = not self.console.is_terminal or self.console.width > WIDTH
        if is_wide:
            self.console.width = WIDTH
        self._record = Console(
            record=True, width=WIDTH, file=io.StringIO(), highlight=False, force_terminal=True,
            color_system="truecolor", legacy_windows=False,
        )  # fmt: skip

    def show(self, *renderables: RenderableType) -> None:
        for renderable in renderables:
            self.console.print(renderable)
            self._record.print(renderable)

    def save(self, text: Path, html: Path) -> None:
        """Write what was shown so far: plain, and with its colours."""
        lines = self._record.export_text(clear=False).splitlines()
        text.write_text("".join(f"{line.rstrip()}\n" for line in lines), encoding="utf-8")
        html.write_text(self._record.export_html(clear=False), encoding="utf-8")


def plain(text: str, style: str = "") -> Text:
    """A text that somebody else may have written, as text: no markup, no control characters."""
    return Text("".join(each if each.isprintable() else "�" for each in text), style=style)
