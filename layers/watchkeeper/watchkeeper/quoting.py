"""Showing what somebody else wrote, without letting it act or flood."""

import json

# Enough to recognise what was written; short enough that a secret pasted into the wrong place is
# not copied whole into logs and pages.
LONGEST_QUOTE = 80


def quoted(value: object, limit: int = LONGEST_QUOTE) -> str:
    """The first `limit` characters of a text, in double quotes; of anything else, as JSON.

    Everything outside printable ASCII is escaped, so that it cannot drive a terminal or a page.
    """
    if isinstance(value, str):
        return json.dumps(value[:limit]) + ("…" if len(value) > limit else "")
    shown = json.dumps(value, default=repr)
    return shown[:limit] + ("…" if len(shown) > limit else "")
