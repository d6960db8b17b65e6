"""A server that fails: what passes is waited for within a bounded time, what does not is one clear error, and no key is shown."""

import json
import time

import httpx
import pytest

from data_specs.errors import EngineError, SpecError
from data_specs.specs.captions import CaptionsSpec
from models.captioner import openai, server_check
from models.captioner.build import build_captioner, identify_captioner, require_captioner
from models.captioner.fake import FakeCaptioner
from models.captioner.openai import OpenAiCaptioner
from models.captioner.protocol import FILTERED, Ask, Turn
from models.captioner.server import KEYS, SERVER, _served, access, is_elsewhere
from models.captioner.server_check import CHECK_PAUSES, CHECK_TEXT
from support.command_line import free_port
from support.completions_server import MODEL, Fault, completions

SECRET = "sk-never-to-be-seen"


def test_a_key_with_white_space_is_used_without_and_one_that_is_no_header_is_refused_unseen():
    spec = CaptionsSpec(engine="openai", model="m", revision="1", server="http://127.0.0.1:9/v1")
    assert access(spec, {"SYNCLR_API_KEY": f" {SECRET}\n"}).headers["Authorization"].endswith(SECRET)
    for odd in (f"{SECRET}\nX: y", f"{SECRET}é", " "):
        with pytest.raises(SpecError, match="SYNCLR_API_KEY is not a key") as refused:
            access(spec, {"SYNCLR_API_KEY": odd})
        assert SECRET not in str(refused.value)


ASKS = [Ask(f"fox => A fox.\n\nthing {number} =>", 2**62 + number) for number in range(12)]
WANTED = FakeCaptioner().complete(ASKS)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in (SERVER, *KEYS):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    monkeypatch.setattr(openai, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(server_check, "CHECK_PAUSES", (0.0, 0.01, 0.01))


@pytest.fixture
def server():
    with completions() as served:
        yield served


def spec(server, **settings):
    url = server if isinstance(server, str) else server.url
    return CaptionsSpec(engine="openai", model=MODEL, revision="2026-11", server=url, concurrency=4, **settings)


def captioner(server, patience=5.0, **settings):
    asked = spec(server, **settings)
    return OpenAiCaptioner(identify_captioner(asked), asked, patience)


def test_what_the_recipe_says_is_what_is_asked_with_a_seed_for_each(server):
    assert captioner(server, max_tokens=20, temperature=0.7, top_p=0.8).complete(ASKS) == WANTED
    by_seed = sorted(server.asked, key=lambda asked: asked["seed"])
    assert by_seed == [
        {
            "model": MODEL, "prompt": ask.prompt, "seed": ask.seed, "temperature": 0.7, "top_p": 0.8, "max_tokens": 20,
            "stop": ["\n"],
        }
        for ask in ASKS
    ]  # fmt: skip


def test_so_many_requests_are_in_flight_and_no_more(server):
    server.slow = 0.3
    captioner(server).complete(ASKS)
    assert server.most_at_once == 4


def choice(text, ended, **counted):
    return json.dumps({"choices": [{"text": text, "finish_reason": ended}], **counted})


def used(tokens):
    return {"usage": {"completion_tokens": tokens}}


def message(content, ended="stop", **more):
    return json.dumps(
        {"choices": [{"message": {"role": "assistant", "content": content, **more}, "finish_reason": ended}]}
    )


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (choice(" A fox.", "stop"), " A fox.\n"),
        (choice(" A fox in the", "length"), " A fox in the"),
        (choice(" A fox.\n", "stop_sequence"), " A fox.\n"),  # servers that send the break
        (choice(" A fox.\nowl => An owl.", "length"), " A fox.\n"),  # and such that hear no `stop`
        (choice("", "stop"), "\n"),
        (choice("\n A fox.", "stop"), " A fox.\n"),  # chat models open so
        (choice("\n \r\n A fox.\n\nowl =>", "length"), " A fox.\n"),
        (choice("\n", "length"), ""),
        (choice(f"{ASKS[0].prompt} A fox.", "stop"), " A fox.\n"),  # an echo
        (choice(" A fox.", "eos_token"), " A fox.\n"),
        (choice(" A fox in", "MAX_TOKENS"), " A fox in"),
        (choice(" A fox.", None), " A fox.\n"),
        (choice(" A fox in the", None), " A fox in the"),
        (choice(" A fox in the", None, **used(20)), " A fox in the\n"),
        (choice(" A fox.", None, **used(32)), " A fox."),
        ('{"choices": [{"text": " A fox."}]}', " A fox.\n"),
        ('{"choices": [{"text": " A fox."}, {"text": " An owl."}], "usage": null}', " A fox.\n"),
        (choice(None, "content_filter"), FILTERED),
        (choice(" A f", "SAFETY"), FILTERED),
        (choice(None, "stop"), "\n"),
        (choice(" A \ud83d fox.", "stop"), " A \ufffd fox.\n"),
        (message(" A fox.\n\nowl"), " A fox.\n"),  # a message where a text was asked for
    ],
)
def test_a_completion_that_ended_ends_in_a_line_break_and_one_that_was_cut_does_not(server, body, wanted):
    server.faults = [Fault(body=body)]
    assert captioner(server).complete(ASKS[:1]) == [wanted]


@pytest.mark.parametrize(
    "faults",
    [
        [Fault(500, '{"error": {"message": "out of luck"}}')] * 2,
        [Fault(503), Fault(502, "<html>bad gateway</html>")],
        [Fault(429, headers={"Retry-After": "0"})] * 3,
        [Fault(body="<html>no JSON at all</html>")],
        [Fault(body='{"choices": []}')],
        [Fault(body='{"choices": ["A f"]}'), Fault(body=choice(" A", "abort")), Fault(body='[{"choices": 1}]')],
        [Fault(body='{"error": {"message": "overloaded", "code": 529}}')],
    ],
    ids=["500 twice", "gateway", "429", "garbage", "fewer choices than asked", "unfinished", "an error that says 200"],
)
def test_what_passes_is_asked_again_and_nothing_is_lost_or_mixed_up(server, faults):
    server.faults = list(faults)
    assert captioner(server).complete(ASKS) == WANTED
    assert len(server.asked) == len(ASKS) + len(faults)


def test_a_request_that_hangs_is_given_up_and_sent_again(server):
    server.faults = [Fault(hang=30.0)]
    assert captioner(server, patience=30, timeout=1.0).complete(ASKS) == WANTED


@pytest.mark.parametrize("after", ["1", None])
def test_a_server_is_left_alone_for_as_long_as_it_asks(server, after):
    if after is None:  # a date, with whole seconds
        after = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))
    server.faults = [Fault(429, headers={"Retry-After": after})]
    started = time.monotonic()
    assert captioner(server).complete(ASKS[:1]) == WANTED[:1]
    assert time.monotonic() - started >= 0.95


@pytest.mark.parametrize(
    ("fault", "timeout", "said"),
    [
        (Fault(500, '{"detail": "out of luck"}'), 30, "500 out of luck"),
        (Fault(body="<html>"), 30, "no completion: <html>"),
        (Fault(hang=30.0), 0.2, r"no answer within 0.2 s \(captions.timeout\)"),
    ],
)
def test_patience_ends_in_an_error_that_is_retried_later(server, fault, timeout, said):
    server.faults = [fault] * 1000
    started = time.monotonic()
    with pytest.raises(EngineError, match=said):
        captioner(server, patience=0.3, timeout=timeout).complete(ASKS)
    assert time.monotonic() - started < 25


def test_a_pause_longer_than_patience_is_not_waited_for(server):
    server.faults = [Fault(429, '{"error": {"message": "slow down"}}', {"Retry-After": "3600"})] * 12
    with pytest.raises(EngineError, match="next try is due in 3600 s; lastly: 429 slow down"):
        captioner(server).complete(ASKS)


def test_a_connection_refused_is_waited_for_and_then_an_engine_error():
    with pytest.raises(EngineError, match="127.0.0.1.* failed .* times"):
        captioner(f"http://127.0.0.1:{free_port()}/v1", patience=0.3).complete(ASKS)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(400, '{"error": {"message": "maximum context length is 1024 tokens"}}'), "refused .*400.*1024 tokens"),
        (Fault(404, '{"error": {"message": "The model `x` does not exist."}}'), "does not exist"),
        (Fault(422, '{"detail": "no such field"}'), "no such field"),
        (
            Fault(status=308, headers={"Location": "https://127.0.0.1/v1/completions"}),
            "refused the request .308.: it has moved to https://127.0.0.1/v1/completions",
        ),
    ],
)
def test_a_request_that_is_wrong_is_refused_at_once_in_the_server_s_words(server, fault, said):
    server.faults = [fault] * 4
    with pytest.raises(SpecError, match=said):
        captioner(server).complete(ASKS[:1])
    assert len(server.asked) == 1


def test_the_key_comes_from_the_environment_ours_first_and_is_never_shown(server, monkeypatch):
    server.key = SECRET
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert captioner(server).complete(ASKS[:1]) == WANTED[:1]
    monkeypatch.setenv("SYNCLR_API_KEY", "sk-of-somebody-else")
    for refusing in (lambda: captioner(server).complete(ASKS), lambda: require_captioner(spec(server))):
        with pytest.raises(SpecError, match=r"refuses the key in SYNCLR_API_KEY: .*\*\*\*") as refused:
            refusing()
        assert "sk-" not in str(refused.value) + repr(refused.value.__cause__)
    assert "sk-" not in repr(captioner(server)._access) + spec(server).model_dump_json()
    monkeypatch.delenv("SYNCLR_API_KEY")
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(SpecError, match=r"without a key \(SYNCLR_API_KEY or OPENAI_API_KEY\)"):
        require_captioner(spec(server))


def test_several_servers_share_the_work_and_stand_in_for_one_another(server):
    with completions() as second:
        both = f"{server.url}, {second.url}/"
        assert captioner(both).complete(ASKS) == WANTED
        assert len(server.asked) == len(second.asked) == len(ASKS) // 2
    assert captioner(both).complete(ASKS) == WANTED  # the second is gone
    with pytest.raises(SpecError, match="nothing answers at"):
        require_captioner(spec(both))


def test_before_work_a_server_must_be_there_and_serve_the_model(server):
    require_captioner(spec(server))
    with pytest.raises(SpecError, match=f"does not serve 'other'; it serves '{MODEL}'"):
        require_captioner(spec(server).model_copy(update={"model": "other"}))
    with pytest.raises(SpecError, match=r"no OpenAI-compatible server \(GET /models: 404 Not Found\).*/v1"):
        require_captioner(spec(server.url.removesuffix("/v1")))
    with pytest.raises(SpecError, match="nothing answers at .*start it"):
        require_captioner(spec(f"http://127.0.0.1:{free_port()}/v1"))
    assert [asked["prompt"] for asked in server.asked] == [CHECK_TEXT.prompt], "one short completion, of the right one"


@pytest.mark.parametrize(
    ("fault", "chat", "said"),
    [
        (
            Fault(body="<html>Welcome!</html>"),
            False,
            "POST /completions with no completion, 3 times: <html>Welcome!</html>",
        ),
        (Fault(body='{"choices": []}'), True, r'POST /chat/completions with no completion, 3 times: {"choices": \[\]}'),
        (Fault(body='{"error": "no such thing"}'), False, "no completion, 3 times: no such thing"),
        (Fault(404, '{"detail": "Not Found"}'), True, r"\(404\): Not Found; captions.chat=false"),
        (Fault(400, '{"message": "you must provide a chat template"}'), True, "captions.chat=false"),
        (Fault(404, '{"error": {"message": "This is a chat model"}}'), False, "captions.chat=true"),
        (Fault(400, '{"error": {"message": "unknown field seed"}}'), False, "unknown field seed"),
    ],
)
def test_a_server_that_will_never_complete_is_refused_before_work(server, fault, chat, said):
    server.faults = [fault] * len(CHECK_PAUSES)
    with pytest.raises(SpecError, match=said) as refused:
        require_captioner(spec(server, chat=chat))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "faults",
    [
        [Fault(body="<html>starting</html>")] * 2,
        [Fault(503)],
        [Fault(429)],
        [Fault(400, '{"error": {"code": "content_filter", "message": "no"}}')],
        [Fault(body='{"choices": [{"text": "A fox."}]}')],
        [Fault(body=choice(None, "content_filter"))],
    ],
)
def test_a_server_that_is_busy_or_just_came_up_is_let_pass(server, faults):
    server.faults = list(faults)
    require_captioner(spec(server))
    assert not server.faults


CHATS = [
    Ask(
        (Turn("system", "Answer."), Turn("user", "owl"), Turn("assistant", "An owl."), Turn("user", f"thing {number}")),
        2**62 + number,
    )
    for number in range(12)
]
ANSWERED = [f"{text.strip()}\n" for text in FakeCaptioner().complete(CHATS)]


def test_a_chat_is_asked_as_messages_with_no_stop_and_its_whole_answer_comes_back(server):
    assert captioner(server, chat=True, max_tokens=20).complete(CHATS) == ANSWERED
    assert set(server.paths) == {"/v1/chat/completions"}
    by_seed = sorted(server.asked, key=lambda asked: asked["seed"])
    assert by_seed[3] == {
        "model": MODEL, "seed": CHATS[3].seed, "temperature": 0.8, "top_p": 0.9, "max_tokens": 20,
        "messages": [
            {"role": "system", "content": "Answer."}, {"role": "user", "content": "owl"},
            {"role": "assistant", "content": "An owl."}, {"role": "user", "content": "thing 3"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (message("A fox."), "A fox.\n"),
        (message("Sure!\n\nA fox.\n"), "Sure!\n\nA fox.\n"),
        (message("A fox in", "length"), "A fox in"),
        (message("<think>\nA fox? Yes.\n</think>\n\nA fox."), "A fox.\n"),
        (message("A fox? Yes.</think>A fox."), "A fox.\n"),
        (message("[THINK]A fox?[/THINK]A fox."), "A fox.\n"),
        (message("<think>A fox, so", "length"), ""),
        (message("<think>A fox."), "\n"),
        (message(None, "length", reasoning_content="A fox, so"), ""),
        (message("A fox.", reasoning_content="So, a fox."), "A fox.\n"),
        (message([{"type": "text", "text": "A "}, {"type": "text", "text": "fox."}]), "A fox.\n"),
        (message([{"type": "thinking", "thinking": "So"}, {"type": "text", "text": "A fox."}, " "]), "A fox.\n"),
        (message(None, refusal="I'm sorry, I can't help."), "I'm sorry, I can't help.\n"),
        (message(None, "content_filter"), FILTERED),
        (message("A fox.", None), "A fox.\n"),
        (choice("A fox.", "stop"), "A fox.\n"),  # a text where a message was asked for
    ],
)
def test_an_answer_to_a_chat_is_read_in_whatever_form_it_comes(server, body, wanted):
    server.faults = [Fault(body=body)]
    assert captioner(server, chat=True).complete(CHATS[:1]) == [wanted]


def test_a_prompt_that_a_filter_refuses_is_one_slot_s_and_ends_nothing(server):
    server.faults = [Fault(400, '{"error": {"code": "content_filter", "message": "policy"}}')]
    texts = captioner(server).complete(ASKS)
    assert texts.count(FILTERED) == 1 and sum(one == other for one, other in zip(texts, WANTED, strict=True)) == 11


@pytest.mark.parametrize(
    "said", ["System role not supported", "Conversation roles must alternate user/assistant/user/..."]
)
def test_a_template_without_a_system_role_gets_the_system_prompt_in_the_first_question(server, said):
    refusal = Fault(400, json.dumps({"error": {"message": said}}))
    server.faults = [refusal]
    asking = captioner(server, chat=True)
    first = asking.complete(CHATS[:1])
    asking.complete(CHATS[1:2])
    assert [len(asked["messages"]) for asked in server.asked] == [4, 3, 3]
    assert server.asked[1]["messages"][0] == {"role": "user", "content": "Answer.\n\nowl"}
    assert first == captioner(server, chat=True).complete(
        [Ask((Turn("user", "Answer.\n\nowl"), *CHATS[0].prompt[2:]), CHATS[0].seed)]
    )
    server.faults = [refusal] * 2
    with pytest.raises(SpecError, match=said[:20]):
        captioner(server, chat=True).complete(CHATS[:1])


@pytest.mark.parametrize("listed", [{"models": [{"name": MODEL}]}, {"data": [{"id": MODEL}], "models": []}])
def test_servers_with_a_list_of_models_of_their_own_are_understood(listed):
    assert _served(httpx.Response(200, json=listed)) == [MODEL]
    assert _served(httpx.Response(200, json=[1])) is None and _served(httpx.Response(404, json=listed)) is None


def test_the_server_may_be_left_to_the_environment(server, monkeypatch):
    nowhere = spec(server).model_copy(update={"server": None})
    identify_captioner(nowhere)  # whoever only looks needs none
    for act in (require_captioner, build_captioner):
        with pytest.raises(SpecError, match="captions.server=http.*SYNCLR_API_SERVER"):
            act(nowhere)
    monkeypatch.setenv(SERVER, server.url)
    require_captioner(nowhere)
    assert build_captioner(nowhere).complete(ASKS) == WANTED
    monkeypatch.setenv(SERVER, f"http://user:{SECRET}@host/v1")
    with pytest.raises(SpecError, match=SERVER) as refused:
        require_captioner(nowhere)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://host/v1", "http://a/v1?key=b", "http://a:b@c/v1", "http://a:port/v1"]
)
def test_an_address_that_cannot_be_or_holds_a_secret_is_refused(url):
    with pytest.raises(ValueError, match="server"):
        spec(url)


def test_what_a_server_serves_is_taken_at_the_recipe_s_word_and_says_so(server):
    assert identify_captioner(spec(server)).revision == "served:2026-11"
    with pytest.raises(SpecError, match="captions.revision: name the weights"):
        identify_captioner(spec(server).model_copy(update={"revision": None}))
    ours = spec(server).model_copy(update={"model": "smollm2-135m", "revision": None})
    assert identify_captioner(ours).revision.startswith("served:sha256:")


@pytest.mark.parametrize(
    "environment",
    [
        {"HTTP_PROXY": "http://127.0.0.1:9"},
        {"ALL_PROXY": "socks5://127.0.0.1:9"},
        {"HTTP_PROXY": "socks4://127.0.0.1:9"},
        {"NO_PROXY": "fe80::/10", "HTTP_PROXY": "http://127.0.0.1:9"},
        {"SSL_CERT_FILE": "/nowhere/ca.pem"},
    ],
    ids=lambda given: " ".join(given),
)
def test_a_server_on_this_machine_is_asked_past_whatever_the_environment_names(server, environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    require_captioner(spec(server))
    assert captioner(server).complete(ASKS) == WANTED


@pytest.mark.parametrize("where", ["10.0.0.1", "models.example", "127.example.org", "[fe80::1]"])
def test_a_server_elsewhere_is_asked_through_the_proxy_of_the_environment(where):
    assert is_elsewhere(f"http://{where}:8000/v1")


@pytest.mark.parametrize("where", ["127.0.0.1", "127.1.2.3", "localhost", "LOCALHOST", "[::1]", "0.0.0.0"])
def test_a_server_here_is_asked_without_a_proxy(where):
    assert not is_elsewhere(f"http://{where}:8000/v1")


@pytest.mark.parametrize(
    "environment",
    [
        {"ALL_PROXY": f"socks5://me:{SECRET}@127.0.0.1:9"},
        {"HTTP_PROXY": f"ftp://me:{SECRET}@127.0.0.1:9"},
        {"HTTP_PROXY": f"http://me:{SECRET}@proxy:{SECRET}"},
        {"SSL_CERT_FILE": "/nowhere/ca.pem"},
    ],
    ids=lambda given: " ".join(given),
)
def test_an_environment_by_which_nobody_can_be_asked_is_one_line(environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    asked = spec("http://models.example:8000/v1")
    for ask in (
        lambda: require_captioner(asked),
        lambda: OpenAiCaptioner(identify_captioner(asked), asked).complete(ASKS),
    ):
        with pytest.raises(
            SpecError, match=r"captions.server: http://models.example:8000/v1 cannot be asked by"
        ) as refused:
            ask()
        assert SECRET not in str(refused.value) and "\n" not in str(refused.value)


def test_where_a_proxy_may_be_what_does_not_answer_it_is_said(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(
        SpecError, match=r"nothing answers at http://llm.invalid/v1, asked by the proxy of HTTP_PROXY, or"
    ):
        require_captioner(spec("http://llm.invalid/v1"))
    with pytest.raises(SpecError, match=r"nothing answers at http://127.0.0.1:\d+/v1 \("):
        require_captioner(spec(f"http://127.0.0.1:{free_port()}/v1"))
