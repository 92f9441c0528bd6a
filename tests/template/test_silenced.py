"""Whoever silences a finding says why, in words, beside it."""

import re

from tests.template.stack import ROOT, TEMPLATE


def test_every_finding_silenced_for_all_has_a_reason_above_it() -> None:
    for name in (".cfnlintrc.yaml", ".checkov.yaml"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        silenced = [number for number, line in enumerate(lines) if re.match(r"\s*- [A-Z]", line)]
        assert silenced, name
        for number in silenced:
            assert lines[number - 1].strip().startswith("# "), lines[number]


def test_every_finding_silenced_for_one_resource_has_a_reason() -> None:
    lines = TEMPLATE.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if "ignore_checks" in line:
            assert lines[number - 1].strip().startswith("# "), line
        if re.match(r"\s*- id: CKV", line):
            assert lines[number + 1].strip().startswith("comment: "), line
