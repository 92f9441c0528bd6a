"""Templates found in log lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.triage.logs import mine
from watchkeeper.triage.templates import LONGEST


def templates(*lines: str) -> list[str]:
    return [pattern.template for pattern in mine(lines).patterns]


def test_a_line_each_has_its_pattern_and_patterns_come_in_order_of_appearance() -> None:
    mined = mine(["Order 5 failed", "started", "Order 17 failed", "started", "Order 9 failed"])

    assert mined.pattern_of == [0, 1, 0, 1, 0]
    assert [one.template for one in mined.patterns] == ["Order <*> failed", "started"]
    assert [(one.count, one.first, one.last) for one in mined.patterns] == [(3, 0, 4), (2, 1, 3)]


def test_no_lines_have_no_patterns() -> None:
    assert mine([]).patterns == []


@pytest.mark.parametrize(
    ("line", "template"),
    [
        ("took 12.5ms", "took <*>"),
        ("offset -5 of 10%", "offset <*> of <*>%"),
        ("deleted blk_-123 now", "deleted blk_<*> now"),
        ("eth0 is down", "eth<*> is down"),
        ("from 10.0.0.1:443 closed", "from <*> closed"),
        ("from host-3.example.com closed", "from host-<*> closed"),
        ("from fe80::1ff:fe23:4567:890a closed", "from <*> closed"),
        ("to db.example.com:5432 refused", "to db.example.com:<*> refused"),
        ("GET https://example.com/a?b=c done", "GET <*> done"),
        ("cannot open /var/log/app.log: denied", "cannot open <*>: denied"),
        ("cannot open ./app.sock, denied", "cannot open <*>, denied"),
        ("read/write or and/or", "read/write or and/or"),
        ("id 6b86b273-ff34-fce1-9d6b-804eff5a3f57 gone", "id <*> gone"),
        ("at Mon Jul 20 03:40:59 2026 it stopped", "at <*> it stopped"),
        ("Nov 23 03:12:04 host app: ready", "<*> host app: ready"),
        ("[23/Nov/2026:03:12:04 +0000] ready", "[<*>] ready"),
        ("2026-11-23T03:12:04.123Z ready", "<*> ready"),
        ("2026-11-23 03:12:04,123 ready", "<*> ready"),
        ("retry in May be late", "retry in May be late"),
        ("user= host= done", "user= host= done"),
        ("  much \t white   space ", "much white space"),
        ("\x1b[31mERROR\x1b[0m disk full", "ERROR disk full"),
        ("<*> was here", "<*> was here"),
        ("", ""),
    ],
)
def test_what_is_seen_to_be_a_value_in_one_line(line: str, template: str) -> None:
    assert templates(line) == [template]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["login of user ann ok", "login of user bob ok"], id="after a word for names"),
        pytest.param(["job done mode=fast ok", "job done mode=slow ok"], id="after ="),
        pytest.param(["host given rhost= at end", "host given rhost=a.b.c at end"], id="none"),
        pytest.param(["peer x () went away", "peer x (a.example) went away"], id="no text in ()"),
        pytest.param(
            ["cannot reach shard 7 now", "cannot reach shard main now"], id="like another"
        ),
        pytest.param(["call to ServiceOne went bad", "call to ServiceTwo went bad"], id="spelling"),
        pytest.param(
            [f"the {one} went out for lunch" for one in ("cat", "dog", "cow", "hen", "owl")],
            id="five words",
        ),
        pytest.param(["delete these: blk_1", "delete these: blk_2 blk_3 blk_4"], id="lists"),
        pytest.param(
            [f"sent {one} to {two} today" for one, two in zip("abcdefgh", "stuvwxyz", strict=True)]
            + [f"sent {one} to {two} today" for one in "abcdefgh" for two in "stuvw"],
            id="two places",
        ),
    ],
)
def test_lines_that_say_the_same(lines: list[str]) -> None:
    assert len(templates(*lines)) == 1


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["cupsd startup succeeded", "klogd startup succeeded"], id="first word"),
        pytest.param(["the pool has started ok", "the pool has stopped ok"], id="few words"),
        pytest.param([f"now in state {one} x" for one in ("A_B", "B_C", "C_D", "D_E", "E_F")],
            id="states"),
        pytest.param([f"x y {one} disk full" for one in
            ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")], id="levels"),
        pytest.param([f"job ended with {one} again" for one in
            ("IOError", "KeyError", "OSError", "EOFError", "ValueError")], id="exceptions"),
        pytest.param([f"in call {one}(x) again" for one in ("a", "b", "c", "d", "e")],
            id="functions"),
        pytest.param(["it failed err=timeout here", "it failed err=refused here"], id="reasons"),
        pytest.param(["now host added to it", "now host removed from it"], id="verbs"),
        pytest.param(["now user added to it", "now user removed to it"], id="verbs after a name"),
        pytest.param(["job done status=ok now", "job done status=bad now"], id="outcomes"),
        pytest.param(["one two", "one three", "one four", "one five", "one six"], id="too short"),
    ],
)  # fmt: skip
def test_lines_that_say_different_things(lines: list[str]) -> None:
    assert len(templates(*lines)) == len(lines)


def test_a_service_that_fails_is_not_merged_with_those_that_do_not() -> None:
    """Verbs and the component that fails are what a person looks for."""
    lines = [
        f"2026-11-23T03:12:0{second}Z {level} {component} - {verb} for order {second}"
        for second in range(5)
        for level, component, verb in (
            ("INFO", "cart", "lookup succeeded"),
            ("INFO", "payment", "charge succeeded"),
            ("ERROR", "payment", "charge failed"),
        )
    ]

    assert templates(*lines) == [
        "<*> INFO cart - lookup succeeded for order <*>",
        "<*> INFO payment - charge succeeded for order <*>",
        "<*> ERROR payment - charge failed for order <*>",
    ]


def test_a_message_that_was_cut_is_the_whole_one() -> None:
    whole = "The connection to the primary database was lost after 17 tries"
    mined = mine([whole, "The connection to the primary database was lo...", whole[:42] + "…"])

    assert mined.pattern_of == [0, 0, 0]
    assert mined.patterns[0].template.endswith("lost after <*> tries")


def test_a_message_that_was_cut_where_it_could_go_on_in_two_ways_is_itself() -> None:
    lines = [
        "The connection to the database was lost",
        "The connection to the database has been closed for ever",
        "The connection to the da...",
    ]

    assert mine(lines).pattern_of == [0, 1, 2]


def test_cut_messages_alone_have_templates() -> None:
    lines = [f"one two three four {'five six ' * words}..." for words in range(6)]

    assert all(pattern.template for pattern in mine(lines).patterns)


def test_only_the_beginning_of_a_very_long_line_counts() -> None:
    beginning = "request body was: " + "x " * LONGEST

    assert mine([beginning + "one", beginning + "quite another end"]).pattern_of == [0, 0]


def test_the_values_of_each_slot_are_kept_with_their_names() -> None:
    lines = [f"user={user} failed from port {port}" for user, port in
        [("root", 22), ("root", 23), ("root", 22), ("ann", 22)]]  # fmt: skip
    user, port = mine(lines).slots(0)

    assert (user.name, user.total, user.distinct, user.top) == (
        "user", 4, 2, (("root", 3), ("ann", 1)),
    )  # fmt: skip
    assert user.said() == '3 of 4 user "root"'
    assert port.said("from port") == '3 of 4 from port "22"'


def test_the_columns_of_an_access_log_are_slots_of_their_own() -> None:
    mined = mine(['"GET /a HTTP/1.1" 200 512 "-"', '"GET /b HTTP/1.1" 503 99 "-"'])

    assert [slot.top for slot in mined.slots(0)][-2:] == [
        (("200", 1), ("503", 1)), (("512", 1), ("99", 1)),
    ]  # fmt: skip


def test_where_the_events_come_from() -> None:
    mined = mine(["disk sda1 full"] * 17 + ["ok"])

    assert mined.spread(0, ["b"] * 17 + ["a"]).said("on host") == '17 of 17 on host "b"'


def test_slots_of_some_events_only() -> None:
    mined = mine(["took 5 ms", "took 6 ms", "took 6 ms"])

    assert mined.slots(0, among=lambda line: line > 0)[0].top == (("6", 2),)


WORDS = st.sampled_from(["ERROR", "user", "=", "ann", "x.y", "5", "10.0.0.1", "(", ")", "..."])


@given(st.lists(st.lists(WORDS, max_size=8).map(" ".join), max_size=30))
def test_every_line_has_a_pattern_and_the_same_lines_have_the_same(lines: list[str]) -> None:
    mined = mine(lines)

    assert len(mined.pattern_of) == len(lines)
    assert set(mined.pattern_of) == set(range(len(mined.patterns)))
    by_line = dict(zip(lines, mined.pattern_of, strict=True))
    assert [by_line[line] for line in lines] == mined.pattern_of
    assert sum(pattern.count for pattern in mined.patterns) == len(mined.events)
    assert mine(lines) == mined


@given(st.integers(min_value=0), st.integers(min_value=0))
def test_numbers_never_tell_lines_apart(one: int, other: int) -> None:
    assert mine([f"Order {one} took long", f"Order {other} took long"]).pattern_of == [0, 0]
