"""Secrets and personal data go; what triage needs stays; and no text makes that slow."""

import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from watchkeeper.triage.redaction import redacted, redacted_record

KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fwpM"
PEM = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"

GOES = [
    # named
    ("password=hunter2", "hunter2", "password"),
    ("Password: hunter2", "hunter2", "password"),
    ("passwd = hunter2", "hunter2", "password"),
    ("PGPASSWORD=hunter2 psql", "hunter2", "password"),
    ("DB_PASS=hunter2", "hunter2", "password"),
    ("MYSQL_PWD='hun ter2'", "hun ter2", "password"),
    ("spring.datasource.password=hunter2", "hunter2", "password"),
    ('{"user":"a","password":"hun\\"ter2 x","b":1}', "ter2 x", "password"),
    ('"{\\"password\\":\\"hunter2\\",\\"b\\":1}"', "hunter2", "password"),
    ("{'dbPassword': 'hunter2'}", "hunter2", "password"),
    ("password => hunter2", "hunter2", "password"),
    ("mysqldump --password hunter2 db", "hunter2", "password"),
    ("tool --api-key=abc123", "abc123", "key"),
    ("<password>hunter2</password>", "hunter2", "password"),
    ("<ns:dbPassword>hunter2</ns:dbPassword>", "hunter2", "password"),
    ("Server=db;User Id=sa;Password=hunter2;Encrypt=true", "hunter2", "password"),
    ("redirect=x%3Fpassword%3Dhunter2", "hunter2", "password"),
    ("GET /cb?access_token=abc123&x=1", "abc123", "token"),
    ("GET /blob?sv=2024&sig=abc%2F123", "abc%2F123", "signature"),
    ("client_secret: abc123", "abc123", "secret"),
    ("clientSecret=abc123", "abc123", "secret"),
    ("X-Api-Key: abc123", "abc123", "key"),
    ("api key: abc123", "abc123", "key"),
    ("AccountKey=abc123==;EndpointSuffix=x", "abc123", "key"),
    ("token=123456", "123456", "token"),
    ("tokens: [abc, def]", "abc, def", "token"),
    ("JSESSIONID=0A1B2C3D4E5F60718293A4B5C6D7E8F9", "0A1B2C3D", "session"),
    # by what they look like
    (f"key {KEY} found", KEY, "AWS secret key"),
    ("tok IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3Qt", "X2VjEJr", "AWS session token"),
    (f"got {JWT}", "eyJzdWIi", "JWT"),
    ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz", "authorization"),
    ("Authorization: Bearer abcdefgh", "abcdefgh", "authorization"),
    ('{"Authorization":"Bearer abc.def"}', "abc.def", "authorization"),
    ('authorization: Digest username="u", response="6629fae4"', "6629fae4", "authorization"),
    ("sent bearer 0123456789abcdef", "0123456789abcdef", "token"),
    ("sent Basic dXNlcjpwYXNz", "dXNlcjpwYXNz", "authorization"),
    ("Cookie: a=secret1; b=secret2", "secret2", "cookie"),
    ('"Set-Cookie": "sid=abc123; HttpOnly"', "abc123", "cookie"),
    ("postgres://app:hunter2@db:5432/x", "hunter2", "password"),
    ("postgres://app:hun@ter2@db/x", "ter2", "password"),
    ("amqps://:hunter2@mq", "hunter2", "password"),
    ("jdbc:oracle:thin:app/hunter2@//db", "hunter2", "password"),
    ("curl -u bob:hunter2 http://x", "hunter2", "password"),
    (f"-----BEGIN RSA PRIVATE KEY-----\n{PEM}\n-----END RSA PRIVATE KEY-----", PEM, "private key"),
    (f"-----BEGIN PRIVATE KEY-----\n{PEM[:40]}", PEM[:40], "private key"),
    (PEM, PEM, "private key"),
    ("push ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_", "GitHub token"),
    ("push github_pat_11ABCDEFG0abcdefghijkl_xyz", "github_pat", "GitHub token"),
    ("push glpat-abcdefghij0123456789", "glpat", "GitLab token"),
    ("post xoxb-123456789012-abcdef", "xoxb", "Slack token"),
    ("pay sk_live_abcdefghij0123456789", "abcdefghij", "Stripe key"),
    ("map AIzaSyA1234567890abcdefghijklmnopqrstuv", "AIza", "Google key"),
    ("ask sk-proj-abcdefghij0123456789", "abcdef", "key"),
    # people
    ("mail to alice.b+x@mail.example.co.uk.", "alice", "e-mail"),
    ("user <bob@example.com> failed", "bob", "e-mail"),
    ("arn:aws:sts::111122223333:assumed-role/Admin/al@example.com", "al@", "e-mail"),
    ("call +49 171 1234567 now", "1234567", "phone number"),
    ("call +1 (202) 555-0143", "0143", "phone number"),
    ("phone=+442071838750", "8750", "phone number"),
    ("card 4111 1111 1111 1111 declined", "1111", "card number"),
    ("card=5555555555554444", "5555", "card number"),
    ("amex 378282246310005", "3782", "card number"),
    ("IBAN DE89 3704 0044 0532 0130 00 ok", "0532", "IBAN"),
    ("iban=GB29NWBK60161331926819", "NWBK", "IBAN"),
]  # fmt: skip

STAYS = [
    '10.1.2.3 - - [24/Nov/2026:03:12:00 +0000] "GET /a HTTP/1.1" 500 1024',
    "2001:db8::1 connected; peer 192.0.2.7:443",
    "arn:aws:lambda:eu-central-1:111122223333:function:orders-api:42",
    "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/db-AbCdEf",
    "i-0abc123def4567890 vol-0123456789abcdef0 sg-0a1b2c3d subnet-1234",
    "RequestId: 3f2a6b1e-1234-4abc-9def-0123456789ab Duration: 12.3 ms",
    "x-amzn-trace-id Root=1-67421b2c-0123456789abcdef01234567",
    "commit da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "at com.example.orders.PaymentService.pay(PaymentService.java:123)",
    "password=true secret=null token: none password: ****",
    'token expired; password authentication failed for user "app"',
    "secretId=prod/db token_count=512 max_tokens=4096 tokens: 1500",
    "passed: 5 failed: 3 bypass=1 design=ok passenger=7 assign: x",
    "pwd=/home/app key=orders/2026/11 author: Bob",
    "password = ${DB_PASSWORD}",
    "clientRequestToken=0123-abcd passwordPolicy: strict",
    "Basic information about bearer authentication",
    "https://host:8080/users/x@y",
    "https://example.com:443/path?x=1",
    "git clone ssh://git@ip-10-0-0-1/repo",
    "took 1732417920123 ms epoch, 1732417920123456789 ns",
    "at 2026-11-24T03:12:00+01:00 size +1234",
    "order 4111111111111112 has no check digit of a card",
    "s3 TX234S0F24A06C7 id 79FUrqB4JpPLTtRNQYEjKp5yUhBzZ7c2QK4vRdeaIcY9J0mZP0+E1w==",
    "/aws/lambda/orders-api/2026/11/24/[$LATEST]0123456789abcdef0123456789abcdef",
    "application/services/orders/handlers/mai",
    "session id: 4711 cookie: expired",
    "grüße 你好 مرحبا ✓",
    "",
]


@pytest.mark.parametrize(("text", "secret", "kind"), GOES)
def test_it_goes_and_what_it_was_stays(text: str, secret: str, kind: str) -> None:
    kept = redacted(text)

    assert secret not in kept
    assert f"[redacted: {kind}]" in kept
    assert redacted(kept) == kept


@pytest.mark.parametrize("text", STAYS)
def test_what_triage_needs_stays(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("postgres://app:x1@db:5432/y", "postgres://app:[redacted: password]@db:5432/y"),
        ('{"password":"a","n":1}', '{"password":"[redacted: password]","n":1}'),
        ('{"password": 4711, "n": 1}', '{"password": "[redacted: password]", "n": 1}'),
        ('{"tokens": [47, 11]}', '{"tokens": ["[redacted: token]"]}'),
        ('{"card": 4111111111111111}', '{"card": "[redacted: card number]"}'),
        ("a?token=x&b=1", "a?token=[redacted: token]&b=1"),
        ("key AKIAIOSFODNN7EXAMPLE", "key AKIA************MPLE"),
        ("Authorization: Bearer a1 HTTP", "Authorization: [redacted: authorization] HTTP"),
        ("half \ud83d, pair \ud83d\ude00", "half \ufffd, pair \U0001f600"),
        ("password=a\npassword=b", "password=[redacted: password]\npassword=[redacted: password]"),
    ],
)
def test_the_rest_stays_as_it_was(text: str, kept: str) -> None:
    assert redacted(text) == kept


PIECES = [text for text, _, _ in GOES] + STAYS + [
    "password", "=", ":", '"', "'", "\\", " ", "\n", "@", "[redacted: e-mail]", "[redacted: ",
    "://", "Bearer ", "+49", "4111", "-----BEGIN PRIVATE KEY-----", "\ud800",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=6).map("".join))
@example("password=[redacted: e-mail]x")
def test_once_is_enough(text: str) -> None:
    kept = redacted(text)

    assert redacted(kept) == kept
    kept.encode()


MEGABYTE = 10**6
HOSTILE = [
    "a", "a@", "a.", "password", "password=", 'token_id="', "cookie:", "authorization:", "bearer ",
    "://a:", "4", "4111 ", "+1", "DE89 3704 ", "eyJa.", "-----BEGIN PRIVATE KEY-----", "aB3/",
    'password="\\', 'password=\\"', "\\", "<password>", "--password ", " ", "AKIA", " -u a:",
    "SG.aaaaaaaaaaaaaaaaaaaa", "secret=[", "clienttoken=", "\n", "\ud800", "\u202e", "é@",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_line_takes_long(piece: str) -> None:
    line = piece * (MEGABYTE // len(piece))
    began = time.process_time()
    redacted(line)

    assert time.process_time() - began < 1


def test_ordinary_lines_take_little() -> None:
    lines = [
        f'10.0.{n % 255}.7 - - [24/Nov/2026:03:12:00 +0000] "GET /static/{n}.js HTTP/1.1" 200 {n} '
        f'"Mozilla/5.0 (X11; Linux x86_64)" rid=3f2a6b1e-1234-4abc-9def-{n:012d} key=orders/{n}'
        for n in range(50_000)
    ]
    began = time.process_time()
    kept = [redacted(line) for line in lines]

    assert time.process_time() - began < 1.5
    assert kept == lines


# ── Records of the audit trail ────────────────────────────────────────────────────────────────────

POLICY = '{"Version":"2012-10-17", "Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
RECORD: dict[str, Any] = {
    "eventVersion": "1.08",
    "eventName": "PutUserPolicy",
    "eventSource": "iam.amazonaws.com",
    "eventTime": "2026-11-24T03:08:00Z",
    "eventID": "3f2a6b1e-1234-4abc-9def-0123456789ab",
    "sourceIPAddress": "203.0.113.9",
    "userAgent": "aws-cli/2.15.0 Python/3.11 Linux/5.10",
    "readOnly": False,
    "errorCode": None,
    "userIdentity": {
        "type": "AssumedRole",
        "principalId": "AROAEXAMPLE:alice@example.com",
        "arn": "arn:aws:sts::111122223333:assumed-role/Admin/alice@example.com",
        "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "sessionContext": {"attributes": {"mfaAuthenticated": "false"}},
        "sessionCredentialFromConsole": "true",
    },
    "requestParameters": {
        "userName": "deploy",
        "policyDocument": POLICY,
        "ipPermissions": {
            "items": [{"fromPort": 22, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]
        },
        "roleSessionName": "alice@example.com",
        "secretId": "prod/db",
        "minimumPasswordLength": 8,
        "maxPasswordAge": 90,
        "withDecryption": True,
        "clientRequestToken": "abc",
    },
    "responseElements": {
        "accessKey": {"accessKeyId": "AKIAIOSFODNN7EXAMPLE", "status": "Active"},
        "ConsoleLogin": "Success",
    },
}  # fmt: skip


def test_what_rules_read_of_a_record_stays() -> None:
    assert redacted_record(RECORD) == RECORD


@pytest.mark.parametrize(
    ("parameters", "kept"),
    [
        ({"masterUserPassword": "x"}, {"masterUserPassword": "[redacted: password]"}),
        ({"userData": {"value": "IyEvYmlu"}}, {"userData": {"value": "[redacted: user data]"}}),
        ({"userData": "<sensitiveDataRemoved>"}, {"userData": "<sensitiveDataRemoved>"}),
        ({"secretString": '{"a":1}'}, {"secretString": "[redacted: secret]"}),
        (
            {"environment": {"variables": {"DB_HOST": "db", "N": 1}}},
            {"environment": {"variables": {"DB_HOST": "[redacted: variable]",
                                           "N": "[redacted: variable]"}}},
        ),
        (
            {"containerDefinitions": [
                {"image": "a:1", "environment": [{"name": "A", "value": "b"}]}
            ]},
            {"containerDefinitions": [
                {"image": "a:1", "environment": [{"name": "A", "value": "[redacted: variable]"}]}
            ]},
        ),
        (
            {"environment": {"image": "x", "environmentVariables": [{"name": "A", "value": "b"}]}},
            {"environment": {"image": "x", "environmentVariables": [
                {"name": "A", "value": "[redacted: variable]"}]}},
        ),
        (
            {"parameters": [{"parameterKey": "DbPassword", "parameterValue": "x"}]},
            {"parameters": [
                {"parameterKey": "DbPassword", "parameterValue": "[redacted: password]"}]},
        ),
        (
            {"name": "/prod/x", "type": "SecureString", "value": "x"},
            {"name": "/prod/x", "type": "SecureString", "value": "[redacted: secret]"},
        ),
        (
            {"credentials": {"accessKeyId": "ASIAIOSFODNN7EXAMPLE", "sessionToken": "x"}},
            {"credentials": {"accessKeyId": "ASIAIOSFODNN7EXAMPLE",
                             "sessionToken": "[redacted: token]"}},
        ),
        (
            {"body": '{"apiKey": "x", "Action": "*"}'},
            {"body": '{"apiKey": "[redacted: key]", "Action": "*"}'},
        ),
        ({"body": '{"apiKey":"x","apiKey":null}'},
         {"body": '{"apiKey":"[redacted: key]","apiKey":null}'}),
        ({"description": f"use {KEY}"}, {"description": "use [redacted: AWS secret key]"}),
        ({"endpoint": "bob@example.com"}, {"endpoint": "[redacted: e-mail]"}),
        ({"password": {"value": [1, "a"]}},
         {"password": {"value": ["[redacted: password]", "[redacted: password]"]}}),
    ],
)  # fmt: skip
def test_secrets_of_a_record_go_and_their_keys_stay(
    parameters: dict[str, Any], kept: dict[str, Any]
) -> None:
    found = redacted_record({**RECORD, "requestParameters": parameters})

    assert found["requestParameters"] == kept
    assert redacted_record(found) == found


def test_no_record_is_too_deep() -> None:
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    text = "[" * 50_000

    found = redacted_record({"a": deep, "b": text, "c": "\ud800", "userData": deep})

    assert found["b"] == text
    assert found["c"] == "\ufffd"
    json.dumps(found).encode()


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(PIECES) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["password", "name", "value", "userData", "environment", "variables",
                         "arn", "type", "accessKey", "x"]),
        inner, max_size=3,
    )
    | inner.map(json.dumps),
    max_leaves=8,
)  # fmt: skip


LINES = st.dictionaries(
    st.sampled_from(["password", "token", "msg", "card", "name", "secretArn"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
        | st.sampled_from(PIECES) | st.just(4111111111111111),
        lambda inner: st.lists(inner, max_size=2),
        max_leaves=4,
    ),
)  # fmt: skip


@given(LINES)
def test_a_line_of_json_stays_one(line: dict[str, Any]) -> None:
    kept = redacted(json.dumps(line))

    assert json.loads(kept).keys() == line.keys()
    assert redacted(kept) == kept


@given(st.dictionaries(st.sampled_from(["requestParameters", "userIdentity", "x"]), JSONS))
def test_a_record_is_redacted_once(record: dict[str, Any]) -> None:
    found = redacted_record(record)

    assert redacted_record(found) == found
    json.dumps(found).encode()
