"""Stack traces, and other lines that belong to the one before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.triage.logs import mine
from watchkeeper.triage.traces import fold

JAVA = """\
03:12:04,123 ERROR [main] c.e.Foo - Request failed
java.lang.IllegalStateException: cannot
\tat com.example.Foo.bar(Foo.java:12) ~[app.jar:1.0]
\tat java.base/java.lang.Thread.run(Thread.java:833)
\tSuppressed: java.io.IOException: close
\t\tat com.example.Foo.close(Foo.java:99)
Caused by: java.sql.SQLException: Connection refused
\tat com.example.Db.open(Db.java:5)
\t... 22 more"""

PYTHON = """\
ERROR order failed
Traceback (most recent call last):
  File "/var/task/app.py", line 12, in handler
    return take(event)
           ^^^^^^^^^^^
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/var/task/app.py", line 14, in handler
    give_up()
shop.errors.OrderFailed: no stock"""

PYTHON_ALONE = """\
Traceback (most recent call last):
  File "x.py", line 1, in <module>
    boom()
ValueError: bad"""

NODE = """\
ERROR Unhandled Promise Rejection
Error: connect ECONNREFUSED
    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1494:16)
    at async handler (/var/task/index.js:12:5) {
  errno: -111,
  code: 'ECONNREFUSED',
  [cause]: Error: inner
      at x (y.js:1:1)
}"""

NODE_UNCAUGHT = """\
/app/server.js:12
    throw new TypeError("x");
    ^

TypeError: x
    at Object.<anonymous> (/app/server.js:12:9)"""

GO = """\
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x48f2a5]

goroutine 1 [running]:
main.(*Server).handle(0xc000010000, {0x1, 0x2})
\t/app/main.go:12 +0x1d
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3086 +0x5cb
exit status 2"""

TRACES = {
    JAVA: "03:12:04,123 ERROR [main] c.e.Foo - Request failed"
    " | java.lang.IllegalStateException: cannot | java.sql.SQLException: Connection refused",
    PYTHON: "ERROR order failed | shop.errors.OrderFailed: no stock",
    PYTHON_ALONE: "ValueError: bad",
    NODE: "ERROR Unhandled Promise Rejection | Error: connect ECONNREFUSED | Error: inner",
    NODE_UNCAUGHT: "/app/server.js:12 | TypeError: x",
    GO: "panic: runtime error: invalid memory address or nil pointer dereference",
}


@pytest.mark.parametrize(("trace", "text"), TRACES.items())
def test_a_trace_belongs_to_its_event_and_names_its_cause(trace: str, text: str) -> None:
    lines = ["INFO before", *trace.split("\n"), "INFO after"]

    assert [(event.first, event.last, event.text) for event in fold(lines)] == [
        (0, 0, "INFO before"), (1, len(lines) - 2, text), (len(lines) - 1,) * 2 + ("INFO after",),
    ]  # fmt: skip


@pytest.mark.parametrize(("trace", "text"), TRACES.items())
def test_a_trace_sent_as_one_message(trace: str, text: str) -> None:
    assert [event.text for event in fold([trace])] == [text]


def test_the_lines_of_a_trace_have_the_pattern_of_its_event_which_counts_once() -> None:
    lines = [*JAVA.split("\n"), "INFO ok", *JAVA.split("\n")]
    mined = mine(lines)

    assert mined.pattern_of == [0] * 9 + [1] + [0] * 9
    assert mined.patterns[0].count == 2
    assert mined.example(0) == JAVA.split("\n")


def test_the_same_sentence_with_another_cause_is_another_pattern() -> None:
    other = JAVA.replace("SQLException: Connection refused", "SQLTimeoutException: late")

    assert len(mine([*JAVA.split("\n"), *other.split("\n")]).patterns) == 2


def test_a_traceback_after_a_line_that_speaks_of_no_trouble_is_its_own_event() -> None:
    assert len(list(fold(["INFO all is well", *PYTHON_ALONE.split("\n")]))) == 2


def test_two_exceptions_in_a_row_are_two_events() -> None:
    assert [event.first for event in fold(PYTHON_ALONE.split("\n") * 2)] == [0, 4]


@pytest.mark.parametrize(
    ("lines", "events"),
    [
        (["SELECT a", "  FROM b", "\tWHERE c", "done"], 2),
        (["a", " b"], 2),
        (["a", "", "b"], 3),
        (["a", "   ", "b"], 3),
        (["  indented from the start", "b"], 2),
        (["starting worker(s)", "at once"], 2),
        (["an error occurred", "java.lang.Error: x"], 2),
        (["\tat a.b(C.java:1)", "\tat a.b(C.java:2)"], 1),
    ],
)
def test_what_else_belongs_together(lines: list[str], events: int) -> None:
    assert len(list(fold(lines))) == events


def test_a_statement_over_several_lines_in_one_message_is_one_sentence() -> None:
    assert [one.text for one in fold(["SELECT a\nFROM b\r\nWHERE c = 5\n"])] == [
        "SELECT a FROM b WHERE c = 5"
    ]


PIECES = st.sampled_from(sorted({line for trace in TRACES for line in trace.split("\n")}))


@given(st.lists(PIECES | st.text(max_size=20), max_size=40))
def test_every_line_is_in_exactly_one_event(lines: list[str]) -> None:
    covered = [line for event in fold(lines) for line in range(event.first, event.last + 1)]

    assert covered == list(range(len(lines)))
