"""What operators ask of restored databases, and what the answers should be.

Part of the policy of drills. A question is put to a copy that nobody uses, over a connection that
only reads; its text is never part of a command.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, PlainValidator, StrictBool, model_validator

from watchkeeper.policy_text import Dangers, OneLine, Policy, Problem, TagKey

# A question that needs a page of SQL belongs into a view of the database, where it has an owner.
LONGEST_QUERY = 1000

# Of one list. The parameter's 8 KB end most policies sooner.
MOST_QUERIES = 20

EXAMPLE: Final[dict[str, Any]] = {
    "tag": {"key": "app", "value": "shop"},
    "database": "shop",
    "queries": [
        {"name": "rows of orders", "query": "select count(*) from orders", "at_least": 1000}
    ],
}


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("this is not a number: write one without quotes, such as 1000")  # noqa: TRY004 (pydantic collects it)
    return value


def _answer(value: object) -> int | float | str:
    return value if isinstance(value, str) else _number(value)


def _query(text: str) -> str:
    if not re.match(r"(select|with)\b", text, re.IGNORECASE) or ";" in text:
        raise ValueError(
            'this is not one question: write a single statement that begins with "select" or'
            ' "with", without a semicolon'
        )
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.,()-]{0,59}", text):
        raise ValueError(
            "this is no name: write at most 60 letters, digits, spaces and _.,()-, such as"
            ' "rows of orders"'
        )
    return text


def _name_of_database(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$-]{0,62}", text):
        raise ValueError(
            "this is no name of a database: write a letter, then at most 62 letters, digits and"
            ' _$-, such as "shop"'
        )
    return text


def _arn_of_database(text: str) -> str:
    if not re.fullmatch(
        r"arn:aws[a-z-]*:rds:[a-z0-9-]+:[0-9]{12}:(db|cluster):[A-Za-z0-9-]{1,63}", text
    ):
        raise ValueError(
            "this is no database: write the whole ARN of an RDS instance or cluster, such as"
            ' "arn:aws:rds:eu-west-1:111122223333:db:shop"'
        )
    return text


Number = Annotated[int | float, PlainValidator(_number)]


class Question(Policy):
    """A query whose answer is one value, and what it should be: said in one way."""

    name: Annotated[str, AfterValidator(_name)] = Field(examples=["rows of orders"])
    query: Annotated[str, AfterValidator(_query)] = Field(
        max_length=LONGEST_QUERY, examples=["select count(*) from orders"]
    )
    at_least: Number | None = Field(default=None, examples=[1000])
    at_most: Number | None = Field(default=None, examples=[1000000])
    equal: Annotated[int | float | str, PlainValidator(_answer)] | None = Field(
        default=None, examples=["2026.11"]
    )
    newest: StrictBool = Field(default=False, examples=[True])
    """The answer is the time of the newest row: the RPO reached is measured from it."""

    @model_validator(mode="after")
    def _expects_one_thing(self) -> Self:
        least, most = self.at_least, self.at_most
        ways = (least is not None or most is not None, self.equal is not None, self.newest)
        if sum(ways) != 1:
            what = "it must be known in one way what the answer should be"
            remedy = 'write "at_least" or "at_most" or both, or "equal", or "newest": true'
            raise Dangers([Problem("query", what, remedy)])
        if least is not None and most is not None and least > most:
            what = f"{least} is more than at_most, {most}, so that no answer passes"
            raise Dangers([Problem("at_least", what, "exchange the two")])
        return self


class Tag(Policy):
    key: TagKey = Field(examples=["app"])
    value: OneLine = Field(max_length=256, examples=["shop"])


class DatabaseQuestions(Policy):
    """What to ask the databases with an ARN or a tag."""

    arn: Annotated[str, AfterValidator(_arn_of_database)] | None = Field(
        default=None, examples=["arn:aws:rds:eu-west-1:111122223333:db:shop"]
    )
    tag: Tag | None = Field(default=None, examples=[EXAMPLE["tag"]])
    database: Annotated[str, AfterValidator(_name_of_database)] = Field(examples=["shop"])
    """The database within the instance or cluster."""
    queries: tuple[Question, ...] = Field(max_length=MOST_QUERIES, examples=[EXAMPLE["queries"]])

    @model_validator(mode="after")
    def _asks_known_databases_something(self) -> Self:
        problems = []
        if (self.arn is None) == (self.tag is None):
            what = "it must be known in one way whom the questions are for"
            remedy = 'write either "arn", or "tag": {"key": "app", "value": "shop"}'
            problems.append(Problem("tag", what, remedy))
        if not self.queries:
            what = "there is no question, so nothing would be asked"
            problems.append(Problem("queries", what, "write one, or leave the whole item out"))
        names = [query.name for query in self.queries]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            what = f"two questions are called {twice!r}, and their answers could not be told apart"
            problems.append(Problem("queries", what, "give each a name of its own"))
        if problems:
            raise Dangers(problems)
        return self

    def are_for(self, arn: str, tags: Mapping[str, str]) -> bool:
        if self.tag is None:
            return arn == self.arn
        return tags.get(self.tag.key) == self.tag.value
