import json
import logging
import socket
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr

from audiostory_core.errors import BadInput, LanguageModelAway
from audiostory_core.llm.client import ChatClient, ChatServer
from audiostory_core.llm.stream import LONGEST_ANSWER, Unusable
from tests.support.chat_clients import QUESTION, QUICK, SCHEMA, client_of
from tests.support.chat_server import KEY, MODEL, Reply, hosting

SAID = json.dumps({"said": "Grüße, 世界 🌧"}, ensure_ascii=False)


@pytest.mark.parametrize("frame", [None, 1, 2, 3, 5, 64])
@pytest.mark.parametrize("pieces", [1, 4, 1000])
def test_answer_is_whole_whatever_the_size_of_its_chunks(frame, pieces):
    with hosting(Reply(SAID, pieces=pieces, frame=frame)) as host, client_of(host) as client:
        assert client.ask(QUESTION) == SAID


def test_answer_that_is_not_streamed_is_taken_as_well():
    with hosting(Reply(SAID, is_streamed=False)) as host, client_of(host) as client:
        assert client.ask(QUESTION) == SAID


def test_text_is_told_while_it_comes_and_begins_anew_with_a_retry():
    told = []
    question = replace(QUESTION, on_text=told.append)

    with (
        hosting(Reply("abcdefgh", breaks_after=3), Reply("abcdefgh")) as host,
        client_of(host) as client,
    ):
        client.ask(question)

    assert told == [None, "abcdefg", None, "abcdefg", "h"]


def test_request_asks_for_a_strict_schema_and_streams():
    with hosting(Reply(SAID)) as host, client_of(host, model=MODEL) as client:
        client.ask(QUESTION)

    (body,) = host.asked
    assert body["stream"] is True
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert body["messages"] == QUESTION.messages


def test_server_that_refuses_schemas_is_asked_for_an_object_and_remembered():
    with hosting(Reply(SAID)) as host, client_of(host) as client:
        host.refuses = {"json_schema"}
        answers = [client.ask(QUESTION) for _ in range(3)]

    assert answers == [SAID] * 3
    assert host.formats == ["json_schema", "json_object", "json_object", "json_object"]
    assert json.dumps(SCHEMA) in host.asked[-1]["messages"][0]["content"]


def test_server_that_refuses_every_format_is_asked_for_text():
    with hosting(Reply(SAID)) as host, client_of(host) as client:
        host.refuses = {"response_format"}
        answers = [client.ask(QUESTION) for _ in range(2)]

    assert answers == [SAID] * 2
    assert host.formats == ["json_schema", "json_object", "text", "text"]


def test_model_that_refuses_a_temperature_is_asked_without_and_keeps_its_schema():
    with hosting(Reply(SAID)) as host, client_of(host) as client:
        host.refuses = {"temperature"}
        client.ask(QUESTION)
        client.ask(QUESTION)

    assert host.formats == ["json_schema"] * 3
    assert ["temperature" in body for body in host.asked] == [True, False, False]


def test_request_that_is_not_taken_in_any_form_says_why_and_nothing_is_remembered():
    with hosting(Reply(SAID)) as host, client_of(host) as client:
        host.refuses = {"messages"}
        with pytest.raises(BadInput, match=r"AUDIOSTORY_CHAT_URL.*messages is not supported"):
            client.ask(QUESTION)
        host.refuses = set()
        client.ask(QUESTION)

    assert host.formats == ["json_schema", "json_object", "text", "json_schema"]


def test_only_model_of_a_server_need_not_be_named():
    with hosting(Reply(SAID)) as host, client_of(host) as client:
        client.ask(QUESTION)

    assert host.asked[0]["model"] == MODEL


def test_server_that_comes_back_with_another_model_is_asked_for_that_one():
    with hosting(Reply(SAID)) as host, client_of(host) as client:
        client.ask(QUESTION)
        host.models = ["newer"]
        with pytest.raises(LanguageModelAway, match="has another model now"):
            client.ask(QUESTION)

        assert client.ask(QUESTION) == SAID
    assert host.asked[-1]["model"] == "newer"


def test_one_of_several_models_must_be_named():
    with hosting(Reply(SAID)) as host, client_of(host) as client:
        host.models = [MODEL, "whisperer"]
        with pytest.raises(BadInput, match=f"AUDIOSTORY_CHAT_MODEL.*one of: {MODEL}, whisperer"):
            client.ask(QUESTION)


def test_unknown_model_is_named_with_those_that_are_known():
    with (
        hosting(Reply(SAID)) as host,
        client_of(host, model="gone") as client,
        pytest.raises(BadInput, match=f"AUDIOSTORY_CHAT_MODEL 'gone'.*one of: {MODEL}"),
    ):
        client.ask(QUESTION)


@pytest.mark.parametrize("key", [None, "sk-wr0ng-wr0ng-wr0ng"])
def test_wrong_key_names_the_setting_and_not_the_key(key, caplog):
    caplog.set_level(logging.DEBUG)

    with hosting(Reply(SAID), key=KEY) as host, client_of(host, model=MODEL, key=key) as client:
        with pytest.raises(BadInput) as caught:
            client.ask(QUESTION)
        told = [str(caught.value), repr(client), *traceback.format_exception(caught.value)]

    assert caught.value.field == "AUDIOSTORY_CHAT_KEY"
    assert len(host.asked) == 0
    for text in (*told, caplog.text):
        assert "wr0ng" not in text


def test_key_is_sent_and_neither_logged_nor_shown(caplog):
    caplog.set_level(logging.DEBUG)
    server = ChatServer("http://127.0.0.1:9", None, SecretStr(KEY))

    with (
        hosting(Reply(status=500, error=f"you are {KEY}"), key=KEY) as host,
        client_of(host, model=MODEL, key=KEY) as client,
    ):
        with pytest.raises(LanguageModelAway) as caught:
            client.ask(QUESTION)
        shown = [str(caught.value), repr(client), repr(vars(client)), repr(server)]

    assert len(host.asked) == 1 + len(QUICK.waits_s)
    for text in (*shown, *traceback.format_exception(caught.value), caplog.text):
        assert "5ecret" not in text


@pytest.mark.parametrize("key", ["", " ", "a b", "a\nb", "schlüssel", "a\x00"])
def test_key_that_cannot_be_one_is_refused_and_not_shown(key):
    with pytest.raises(BadInput, match="AUDIOSTORY_CHAT_KEY '\\(not shown\\)'"):
        ChatClient(ChatServer("http://127.0.0.1:9", None, SecretStr(key)))


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8000", "ftp://host/v1", "http://", "http://me:hunter2@host/v1",
     "http://host/v1?key=hunter2", "http://[::1", "http://host:port/v1"],
)  # fmt: skip
def test_address_that_cannot_be_one_is_refused_and_shows_no_secret(url):
    with pytest.raises(BadInput, match="AUDIOSTORY_CHAT_URL") as caught:
        ChatClient(ChatServer(url))

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ("http://host:8000", "http://host:8000/v1"),
        ("http://host:8000/", "http://host:8000/v1"),
        ("https://host/v1/", "https://host/v1"),
        (" https://host/api/v1/chat/completions ", "https://host/api/v1"),
    ],
)
def test_address_may_be_told_in_several_ways(told, where):
    client = ChatClient(ChatServer(told))

    assert client.where == where
    client.close()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
def test_server_that_stumbles_is_asked_again(status):
    with hosting(Reply(status=status), Reply(SAID)) as host, client_of(host) as client:
        assert client.ask(QUESTION) == SAID

    assert len(host.asked) == 2


@pytest.mark.parametrize("stumble", [Reply(is_silent=True), Reply(SAID, breaks_after=3),
                                     Reply(SAID, fails_after=2)])  # fmt: skip
def test_connection_that_breaks_is_made_again(stumble):
    with hosting(stumble, Reply(SAID)) as host, client_of(host) as client:
        assert client.ask(QUESTION) == SAID

    assert len(host.asked) == 2


@pytest.mark.parametrize("as_date", [False, True])
def test_server_that_wants_to_be_left_alone_is(as_date):
    until = datetime.now(UTC) + timedelta(seconds=2)
    wait = format_datetime(until, usegmt=True) if as_date else "0.4"

    with (
        hosting(Reply(status=429, headers={"retry-after": wait}), Reply(SAID)) as host,
        client_of(host) as client,
    ):
        client.ask(QUESTION)

    first, second = host.at_s
    assert second - first >= 0.4


def test_server_that_wants_to_be_left_alone_for_long_is_given_up():
    with (
        hosting(Reply(status=429, headers={"retry-after": "3600"}, error="quota")) as host,
        client_of(host) as client,
        pytest.raises(LanguageModelAway, match="answers 429: quota"),
    ):
        client.ask(QUESTION)

    assert len(host.asked) == 1


@pytest.mark.parametrize("wait", ["soon", "-5", "nan", "1e400", "Wed, 99 Foo 2026"])
def test_wait_that_is_nonsense_is_none(wait):
    with (
        hosting(Reply(status=503, headers={"retry-after": wait}), Reply(SAID)) as host,
        client_of(host) as client,
    ):
        assert client.ask(QUESTION) == SAID


def test_server_that_is_not_there_is_away():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with (
        client_of(f"http://127.0.0.1:{port}/v1") as client,
        pytest.raises(LanguageModelAway, match=f"127.0.0.1:{port}/v1 cannot be reached"),
    ):
        client.ask(QUESTION)


def test_server_that_is_silent_is_given_up_in_time():
    patience = replace(QUICK, silence_s=0.2)

    with hosting(Reply(SAID, pause_s=1.0)) as host, client_of(host, patience) as client:
        begun = time.monotonic()
        with pytest.raises(LanguageModelAway, match="is silent for too long"):
            client.ask(QUESTION)

    assert time.monotonic() - begun < 3
    assert len(host.asked) == 1


def test_answer_that_trickles_is_given_up_in_time():
    patience = replace(QUICK, answer_s=0.3)

    with (
        hosting(Reply("x" * 1000, pieces=1, pause_s=0.02)) as host,
        client_of(host, patience) as client,
        pytest.raises(LanguageModelAway, match=r"does not end its answer within 0\.3 s"),
    ):
        client.ask(QUESTION)


def test_server_that_fails_in_a_row_is_left_alone_and_tried_again():
    patience = replace(QUICK, waits_s=(), failures=3, rest_s=0.3)

    with hosting(Reply(status=500)) as host, client_of(host, patience, model=MODEL) as client:
        for _ in range(3):
            with pytest.raises(LanguageModelAway, match="answers 500"):
                client.ask(QUESTION)
        with pytest.raises(LanguageModelAway, match="is left alone"):
            client.ask(QUESTION)
        assert len(host.asked) == 3
        time.sleep(0.35)
        with pytest.raises(LanguageModelAway, match="answers 500"):
            client.ask(QUESTION)
        with pytest.raises(LanguageModelAway, match="is left alone"):
            client.ask(QUESTION)
        host.replies = [Reply(SAID)]
        time.sleep(0.35)

        assert client.ask(QUESTION) == SAID
        assert client.ask(QUESTION) == SAID
    assert len(host.asked) == 6


def test_overload_does_not_count_as_failing():
    patience = replace(QUICK, waits_s=(), failures=2)

    with hosting(Reply(status=429)) as host, client_of(host, patience, model=MODEL) as client:
        for _ in range(4):
            with pytest.raises(LanguageModelAway, match="answers 429"):
                client.ask(QUESTION)

    assert len(host.asked) == 4


def test_no_more_requests_are_in_flight_than_allowed():
    patience = replace(QUICK, in_flight=3)

    with (
        hosting(Reply(SAID, pause_s=0.02)) as host,
        client_of(host, patience) as client,
        ThreadPoolExecutor(12) as pool,
    ):
        answers = list(pool.map(lambda _: client.ask(QUESTION), range(12)))

    assert answers == [SAID] * 12
    assert host.most_at_once == 3


def test_request_that_waits_too_long_for_others_is_given_up():
    patience = replace(QUICK, in_flight=1, line_s=0.05)

    with hosting(Reply(SAID, pause_s=0.1)) as host, client_of(host, patience) as client:
        first = threading.Thread(target=client.ask, args=[QUESTION])
        first.start()
        while not host.asked:
            time.sleep(0.005)
        with pytest.raises(LanguageModelAway, match="too many requests"):
            client.ask(QUESTION)
        first.join()


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (Reply("abc", finish="length"), "was cut off after 3 characters"),
        (Reply(""), "is empty"),
        (Reply(" \n"), "is empty"),
        (Reply(raw=b"data: {nonsense\n\n"), "is not of the chat protocol"),
        (Reply(raw=b"data: [1]\n\n"), "is not of the chat protocol"),
        (Reply(raw=b'data: {"choices": [{"delta": {"content": 3}}]}\n\n'), "is not of the chat"),
        (Reply(raw=b'data: {"choices": "x"}\n\n'), "is not of the chat protocol"),
        (Reply(raw=b"\xff\xfe<html>", headers={"content-type": "text/html"}), "is not of the chat"),
        (Reply(raw=b"x" * (5 << 20)), "is not of the chat protocol"),
    ],
)
def test_answer_of_no_use_says_why(reply, problem):
    with (
        hosting(reply) as host,
        client_of(host) as client,
        pytest.raises(Unusable, match=problem) as caught,
    ):
        client.ask(QUESTION)

    assert not caught.value.is_refusal
    assert len(host.asked) == 1


@pytest.mark.parametrize("is_streamed", [True, False])
@pytest.mark.parametrize(
    "reply",
    [Reply("", refusal="I cannot\nhelp with that."), Reply("Some", finish="content_filter")],
)
def test_refusal_is_told_as_one(reply, is_streamed):
    with (
        hosting(replace(reply, is_streamed=is_streamed)) as host,
        client_of(host) as client,
        pytest.raises(Unusable, match="is a refusal") as caught,
    ):
        client.ask(QUESTION)

    assert caught.value.is_refusal
    assert len(host.asked) == 1


def test_answer_without_an_end_is_left():
    with (
        hosting(Reply("x" * (2 * LONGEST_ANSWER), pieces=5000)) as host,
        client_of(host) as client,
        pytest.raises(Unusable, match="does not end within 200,000 characters"),
    ):
        client.ask(QUESTION)


def test_stream_that_ends_without_its_mark_is_whole_once_it_is_finished():
    chunk = {"choices": [{"delta": {"content": "{}"}, "finish_reason": "stop"}]}

    with (
        hosting(Reply(raw=f"data:{json.dumps(chunk)}".encode())) as host,
        client_of(host) as client,
    ):
        assert client.ask(QUESTION) == "{}"


def test_page_of_another_server_is_told_apart():
    with (
        hosting() as host,
        client_of(f"{host.url}/other", model=MODEL) as client,
        pytest.raises(BadInput, match=r"AUDIOSTORY_CHAT_URL.*answers 404"),
    ):
        client.ask(QUESTION)


def test_redirect_is_not_followed():
    moved = Reply(status=307, headers={"location": "http://127.0.0.1:9/"})

    with (
        hosting(moved) as host,
        client_of(host, model=MODEL, key=KEY) as client,
        pytest.raises(BadInput, match="answers with a redirect"),
    ):
        client.ask(QUESTION)


def test_error_of_a_server_is_told_in_one_short_line():
    long = "line\n\x00\x1b[31m" * 500

    with (
        hosting(Reply(status=500, error=long)) as host,
        client_of(host) as client,
        pytest.raises(LanguageModelAway) as caught,
    ):
        client.ask(QUESTION)

    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()
