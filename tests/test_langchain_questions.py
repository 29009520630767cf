"""Chains for questions about documents, as LangChain's users call them."""

from __future__ import annotations

import asyncio
import threading

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.language_models import FakeListLLM
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate

from server import chat_whole, failing, says
from sm_ask.errors import ConfigError, InputError, UnavailableError
from sm_ask.langchain import ChatSagemakerEndpoint, SagemakerEndpoint, load_qa_chain

PROMPT = PromptTemplate.from_template("Read {context} and say {question}")
DOCUMENTS = [Document(page_content="alpha", metadata={"source": "a.md"}), Document(page_content="beta")]
LONG = [Document(page_content=f"{name} " * 3000) for name in ("alpha", "beta", "gamma")]
ASKED = {"input_documents": DOCUMENTS, "question": "Why?"}


def llm(server, kind=SagemakerEndpoint, **fields):
    fields = {"endpoint_name": "ep", "region_name": "us-west-2", "max_retries": 0, **fields}
    return kind(endpoint_url=server.url, **fields)


def prompts(server):
    return [request.json["messages"][-1]["content"] for request in server.requests]


@pytest.mark.parametrize("kind", [SagemakerEndpoint, ChatSagemakerEndpoint])
def test_documents_are_stuffed_into_a_prompt(serve, kind):
    server = serve(says(chat_whole("So.")))
    assert load_qa_chain(llm(server, kind), prompt=PROMPT).invoke(ASKED) == {"output_text": "So."}
    assert prompts(server) == ["Read alpha\n\nbeta and say Why?"]


def test_sm_ask_s_own_prompt_names_the_documents(serve):
    server = serve(says(chat_whole("So.")))
    load_qa_chain(llm(server)).invoke(ASKED)
    [prompt] = prompts(server)
    assert "a.md]\nalpha\n" in prompt
    assert "document 2]\nbeta\n" in prompt
    assert prompt.endswith("Question: Why?\nAnswer:")


def test_it_is_called_as_in_the_notebook(serve):
    chain = load_qa_chain(llm(serve(says(chat_whole("So.")))), prompt=PROMPT)
    assert chain(ASKED, return_only_outputs=True) == {"output_text": "So."}
    assert chain(ASKED) == {**ASKED, "output_text": "So."}
    assert asyncio.run(chain.ainvoke(ASKED)) == {"output_text": "So."}
    assert (chain | (lambda found: found["output_text"])).invoke(ASKED) == "So."


def test_a_chat_prompt_keeps_its_roles(serve):
    server = serve(says(chat_whole("So.")))
    prompt = ChatPromptTemplate([("system", "Read {context}"), ("human", "{question} {language}")])
    load_qa_chain(llm(server, ChatSagemakerEndpoint), prompt=prompt).invoke({**ASKED, "language": "In French."})
    assert [(turn["role"], turn["content"]) for turn in server.requests[0].json["messages"]] == [
        ("system", "Read alpha\n\nbeta"),
        ("user", "Why? In French."),
    ]
    load_qa_chain(llm(server, handler="openai-completions"), prompt=prompt).invoke({**ASKED, "language": "x"})
    assert server.requests[1].json["prompt"] == "Read alpha\n\nbeta\n\nWhy? x"


def test_map_reduce_asks_of_each_part_at_once(serve):
    running, most, lock = 0, 0, threading.Lock()

    def answer(conversation):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        conversation.wait(0.2)
        with lock:
            running -= 1
        conversation.send(chat_whole("So."))

    server = serve(answer)
    own = {
        "question_prompt": PromptTemplate.from_template("Note of {context} on {question}"),
        "combine_prompt": PromptTemplate.from_template("From {summaries} say {question}"),
    }
    chain = load_qa_chain(llm(server), "map_reduce", **own)
    assert chain.invoke({"input_documents": LONG, "question": "Why?"}) == {"output_text": "So."}
    *notes, last = prompts(server)
    assert (len(notes), most) == (3, 3)
    assert sorted(note[:13] for note in notes) == ["Note of alpha", "Note of beta ", "Note of gamma"]
    assert last == "From So.\n\nSo.\n\nSo. say Why?"


def test_map_reduce_of_what_fits_into_one_prompt(serve):
    server = serve(says(chat_whole("So.")))
    own = {
        "question_prompt": PromptTemplate.from_template("Note of {context} on {question}"),
        "combine_prompt": PromptTemplate.from_template("From {summaries} say {question}"),
    }
    load_qa_chain(llm(server), "map_reduce", **own).invoke(ASKED)
    assert prompts(server) == ["From alpha\n\nbeta say Why?"]


def test_refine_goes_on_from_the_answer_before(serve):
    server = serve(says(chat_whole("So.")))
    own = {
        "question_prompt": PromptTemplate.from_template("Read {context_str} and say {question}"),
        "refine_prompt": PromptTemplate.from_template("Not {existing_answer}: {context_str}, {question}"),
    }
    load_qa_chain(llm(server), "refine", **own).invoke({"input_documents": LONG, "question": "Why?"})
    assert [prompt[:15] for prompt in prompts(server)] == ["Read alpha alph", "Not So.: beta b", "Not So.: gamma "]


def test_map_rerank_takes_the_best(serve):
    server = serve(*(says(chat_whole(f"So {score}\nScore: {score}")) for score in (20, 90, 50)))
    chain = load_qa_chain(llm(server, max_concurrency=1), "map_rerank", prompt=PROMPT)
    assert chain.invoke({"input_documents": LONG, "question": "Why?"}) == {"output_text": "So 90"}


def test_any_model_of_langchain_s_answers():
    assert load_qa_chain(FakeListLLM(responses=["So."])).invoke(ASKED) == {"output_text": "So."}


def test_errors_pass_and_callbacks_hear(serve):
    class Heard(BaseCallbackHandler):
        def __init__(self):
            self.names = []

        def on_chain_start(self, *_, **__):
            self.names.append("chain")

        def on_llm_start(self, *_, **__):
            self.names.append("llm")

        def on_llm_error(self, *_, **__):
            self.names.append("error")

    heard = Heard()
    chain = load_qa_chain(llm(serve(failing(503, "ServiceUnavailable", "no"))))
    with pytest.raises(UnavailableError):
        chain.invoke(ASKED, {"callbacks": [heard]})
    with pytest.raises(UnavailableError):
        chain(ASKED, callbacks=[heard])
    assert heard.names == ["chain", "llm", "error"] * 2


@pytest.mark.parametrize(
    ("kind", "own", "words"),
    [
        ("stuf", {}, "stuf"),
        ("stuff", {"question_prompt": PROMPT}, "question_prompt"),
        ("stuff", {"prompt": PromptTemplate.from_template("{question}")}, "{context}"),
        ("map_reduce", {"combine_prompt": PROMPT}, "{summaries}"),
    ],
)
def test_a_wrong_chain_is_named(serve, kind, own, words):
    with pytest.raises(ConfigError) as caught:
        load_qa_chain(llm(serve(says(b""))), kind, **own)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        ({"question": "Why?"}, ConfigError),
        ({"input_documents": [], "question": "Why?"}, InputError),
        (ASKED, ConfigError),
    ],
    ids=["no documents", "no document", "no language"],
)
def test_what_is_missing_is_named(serve, inputs, error):
    server = serve(says(b""))
    prompt = PromptTemplate.from_template("{context} {question} {language}")
    with pytest.raises(error, match=r"document|language"):
        load_qa_chain(llm(server), prompt=prompt, verbose=True).invoke(inputs)
    assert not server.requests
