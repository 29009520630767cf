"""The budget: no prompt is ever longer than the model takes, by its own tokenizer's count."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from server import Server, chat_stream, whole
from sm_ask.qa.tokens import estimate

HANDBOOK = sorted((Path(__file__).parent / "data" / "handbook").glob("*.md"))
CHAINS = ["auto", "retrieve", "map-reduce", "refine", "map-rerank"]
#: What a chat template adds to each message here, and at the beginning.
TEMPLATE, TURN = 30, 5


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A byte-level BPE as models have it, which knows the handbook's words as they know everybody's."""
    found = Tokenizer(models.BPE())
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=4000, initial_alphabet=alphabet, show_progress=False)
    found.train([str(path) for path in HANDBOOK], trainer)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    found.save(str(path))
    return found, str(path)


class Strict(Server):
    """An endpoint that refuses a prompt which is one token too long for its window."""

    def __init__(self, tokenizer, window):
        super().__init__(self.reply)
        self.tokenizer = tokenizer
        self.window = window
        self.used = []
        self.refused = 0

    def reply(self, conversation):
        with self._lock:
            body = self.requests[len(self.used)].json
            prompt = sum(TURN + len(self.tokenizer.encode(message["content"])) for message in body["messages"])
            self.used.append(TEMPLATE + prompt + body["max_tokens"])
            used = self.used[-1]
        if used <= self.window:
            conversation.send(chat_stream("It takes four hours."))
            return
        self.refused += 1
        message = f"This model's maximum context length is {self.window} tokens. However, you requested {used} tokens."
        error = {"object": "error", "message": message, "type": "BadRequestError", "code": 400}
        members = {"OriginalStatusCode": 400, "OriginalMessage": json.dumps(error)}
        text = f'Received client error (400) from primary with message "{json.dumps(error)}". See … for more'
        conversation.send(whole({"Message": text, **members}, 424, x_amzn_ErrorType="ModelError"))


def ask(cli, server, *arguments):
    question = ["qa", "How long does a full restore of the order database take?", "--workers", "1", "--no-stdin"]
    documents = [word for path in HANDBOOK for word in ("--doc", str(path))]
    return cli(*question, *documents, *arguments, server=server)


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("exact", [False, True])
def test_the_budget_is_never_exceeded(cli, tokenizer, chain, exact):
    found, path = tokenizer
    options = ["--chain", chain, "--context-window", "2000", "--max-tokens", "200", *(["--tokenizer", path] * exact)]
    with Strict(found, 2000) as server:
        done = ask(cli, server, *options)
    assert (done.code, server.refused) == (0, 0), done.err
    assert max(server.used) <= 2000
    if exact and chain not in ("auto", "retrieve"):
        assert max(server.used) > 1500


def test_an_exact_count_fits_more_into_a_prompt(cli, tokenizer):
    found, path = tokenizer
    calls = []
    for options in ([], ["--tokenizer", path]):
        with Strict(found, 1500) as server:
            ask(cli, server, "--chain", "map-rerank", "--context-window", "1500", "--max-tokens", "100", *options)
        calls.append(len(server.used))
    assert calls[1] < calls[0]


def test_a_container_that_takes_less_shrinks_the_budget_once(cli, tokenizer):
    """The window is not known, and the container refuses what was thought to fit."""
    found, _ = tokenizer
    with Strict(found, 3000) as server:
        done = ask(cli, server, "--chain", "auto", "--max-tokens", "200", "--context-window", "100000")
    assert (done.code, server.refused, len(server.used)) == (0, 1, 2), done.err
    assert "the prompt was too long for the model; asking once more within 3,000 tokens" in done.err
    assert server.used[1] <= 3000


def test_a_profile_says_how_large_the_window_is(cli, tokenizer, tmp_path):
    found, path = tokenizer
    config = tmp_path / "profiles.yaml"
    settings = f"{{context_window: 1200, tokenizer: {path}, params: {{max_tokens: 99}}}}"
    config.write_text(f"default: a\nprofiles: {{a: {settings}}}")
    with Strict(found, 1200) as server:
        done = ask(cli, server, "--chain", "map-rerank", "--config", str(config))
    assert (done.code, server.refused) == (0, 0)
    assert 900 < max(server.used) <= 1200


@pytest.mark.parametrize("content", ["nonsense", "{}", None])
def test_a_tokenizer_that_is_none_is_named(cli, tmp_path, serve, content):
    if content is not None:
        (tmp_path / "t.json").write_text(content)
    server = serve()
    done = ask(cli, server, "--tokenizer", str(tmp_path / "t.json"))
    assert (done.code, server.requests) == (3, [])
    assert "t.json' is no tokenizer.json" in done.err


def test_the_estimate_is_from_above(tokenizer):
    found, _ = tokenizer
    for path in HANDBOOK:
        text = path.read_text()
        assert estimate(text) >= len(found.encode(text))


@pytest.mark.model
def test_the_estimate_is_above_the_count_of_the_built_in_model():
    """Its tokenizer knows English alone, so it is as bad as any for other languages, and for what is no language."""
    from sm_ask.local.llama import Llama
    from sm_ask.local.model import find_model

    random.seed(5)
    texts = {
        "prose": Path(HANDBOOK[0]).read_text(),
        "code": Path(__file__).read_text(),
        "capitals": Path(HANDBOOK[1]).read_text().upper(),
        "hex": random.randbytes(1000).hex(),
        "random words": " ".join("".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(200)),
        "table": "| a | 12 | 13.5 | x |\n" * 50,
        "german": "Überschreitungen der Krankenversicherungsbeiträge müssen ärztlich bescheinigt werden. " * 9,
        "finnish": "Sairaalahoitojakso kesti kolme vuorokautta epäonnistuneen kotiuttamisyrityksen jälkeen. " * 9,
        "chinese": "彼得和伊丽莎白乘出租车去参加城里的晚会。" * 9,
        "emoji": "👍🏽🎉🚀😀" * 9,
    }
    llama = Llama(find_model("smollm2"), name="m", context=512)
    try:
        for name, text in texts.items():
            count = len(llama.ask("/tokenize", {"content": text})["tokens"])
            assert 0.99 * count <= estimate(text) <= 2.6 * count, name
    finally:
        llama.close()
