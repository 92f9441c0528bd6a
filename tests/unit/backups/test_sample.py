"""What is kept of items: digests that are the same for the same item, and for no other."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.backups.sample import Item, Sample, digest, digests, key_digest, size_of

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
numbers = st.integers().map(str)
values = st.recursive(
    st.builds(lambda text: {"S": text}, st.text())
    | st.builds(lambda number: {"N": number}, numbers)
    | st.builds(lambda binary: {"B": binary}, st.binary())
    | st.builds(lambda truth: {"BOOL": truth}, st.booleans())
    | st.builds(lambda texts: {"SS": sorted(texts)}, st.sets(st.text(), min_size=1))
    | st.just({"NULL": True}),
    lambda inner: (
        st.builds(lambda listed: {"L": listed}, st.lists(inner))
        | st.builds(lambda named: {"M": named}, st.dictionaries(st.text(), inner))
    ),
    max_leaves=6,
)
items = st.dictionaries(st.text(min_size=1), values, min_size=1)


@given(items)
def test_the_order_of_attributes_makes_no_difference(item: dict[str, Any]) -> None:
    assert digest(dict(reversed(item.items()))) == digest(item)
    assert re.fullmatch("[0-9a-f]{64}", digest(item))


@given(items, items)
def test_another_item_has_another_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (digest(one) == digest(other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"N": "100"}, {"N": "1e2"}),
        ({"N": "0.10"}, {"N": ".1"}),
        ({"N": "-0"}, {"N": "0"}),
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}),
        ({"NS": ["1", "20"]}, {"NS": ["2E1", "1.0"]}),
        ({"BS": [b"\x01", b"\x00"]}, {"BS": [b"\x00", b"\x01"]}),
        ({"M": {"a": {"N": "1"}}}, {"M": {"a": {"N": "1.0"}}}),
    ],
)
def test_what_dynamodb_takes_for_the_same_is_the_same(one: Any, same: Any) -> None:
    assert digest({"a": one}) == digest({"a": same})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"S": "1"}, {"N": "1"}),
        ({"S": "AA=="}, {"B": b"\x00"}),
        ({"S": ""}, {"NULL": True}),
        ({"SS": ["1"]}, {"NS": ["1"]}),
        ({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]}),
        (
            {"N": "0.12345678901234567890123456789012345678"},
            {"N": "0.1234567890123456789012345679"},
        ),
        ({"S": "hello"}, {"S": "hellp"}),
    ],
)
def test_what_looks_alike_is_not_the_same(one: Any, other: Any) -> None:
    assert digest({"a": one}) != digest({"a": other})


def test_the_first_digests_stay_what_they_are() -> None:
    """Of what manifests hold for years: another way to write items down needs another word."""
    item: Item = {
        "id": {"S": "Zoë"}, "at": {"N": "1.50"}, "tags": {"SS": ["b", "a"]}, "raw": {"B": b"x"}
    }  # fmt: skip

    assert digests([item], ["id", "at"]) == {KEY_DIGEST: ITEM_DIGEST}
    assert key_digest(item, ["at", "id"]) == KEY_DIGEST


KEY_DIGEST = "8830cd2ed24e55fa314518ddbf5e2191db4d9e7077827f3ab3d1e070e41b65fd"
ITEM_DIGEST = "765453f4afc7463c9c4fa937e5cc854728edb7dcfd2c718c20542d1f2e2eee89"


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "Zoë"}, 4),
        ({"B": b"abc"}, 3),
        ({"N": "12345.00"}, 4),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"SS": ["ab", "c"]}, 3),
        ({"L": [{"S": "ab"}, {"NULL": True}]}, 8),
        ({"M": {"n": {"S": "ab"}}}, 7),
        ({"M": {}}, 3),
    ],
)
def test_sizes_are_those_of_the_guide(value: Any, size: int) -> None:
    assert size_of({"name": value}) == len("name") + size


# ── Two looks ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("first", "second", "kept", "changed"),
    [
        ({"a": "1", "b": "2"}, {"a": "1", "b": "2"}, {"a", "b"}, 0),
        ({"a": "1", "b": "2"}, {"a": "1", "b": "3"}, {"a"}, 1),
        ({"a": "1", "b": "2"}, {"a": "1"}, {"a"}, 1),
        ({"a": "1"}, {"a": "1", "b": "2"}, {"a"}, 1),
        ({"a": "1"}, {"b": "2"}, set(), 2),
        ({}, {}, set(), 0),
    ],
)
def test_only_what_both_looks_saw_is_kept(
    first: dict[str, str], second: dict[str, str], kept: set[str], changed: int
) -> None:
    sample = Sample.between(first, second, is_whole=True, at=NOON, count=9, size=90)

    assert (set(sample.items), sample.changed) == (kept, changed)
    assert (sample.looked_at, sample.count, sample.size) == (len(second), 9, 90)
