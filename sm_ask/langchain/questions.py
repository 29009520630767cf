"""Chains for questions about documents, called as LangChain's ``load_qa_chain`` has it: the chains of ``sm-ask qa``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from langchain_core.callbacks import CallbackManagerForChainRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.prompt_values import PromptValue
from langchain_core.prompts import BasePromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig

from sm_ask import qa
from sm_ask.chat import Answer, Message, Request, Timing, Usage
from sm_ask.client import tell
from sm_ask.documents import Document
from sm_ask.errors import ConfigError
from sm_ask.langchain.endpoint import Endpoint
from sm_ask.langchain.messages import asked
from sm_ask.qa.tokens import estimate

ChainType: TypeAlias = Literal["stuff", "map_reduce", "refine", "map_rerank"]


class _Kind(NamedTuple):
    """A chain: sm-ask's name for it, and for each keyword that takes a prompt, the step that is and its documents."""

    chain: Literal["stuff", "map-reduce", "refine", "map-rerank"]
    prompts: Mapping[str, tuple[str, str]]


_KINDS: Mapping[str, _Kind] = {
    "stuff": _Kind("stuff", {"prompt": ("answer", "context")}),
    "map_reduce": _Kind(
        "map-reduce", {"question_prompt": ("map", "context"), "combine_prompt": ("reduce", "summaries")}
    ),
    "refine": _Kind(
        "refine", {"question_prompt": ("answer", "context_str"), "refine_prompt": ("refine", "context_str")}
    ),
    "map_rerank": _Kind("map-rerank", {"prompt": ("rate", "context")}),
}
_INPUTS = ("input_documents", "question")
_WORKERS = 8


def load_qa_chain(
    llm: Runnable[Any, Any],
    chain_type: ChainType = "stuff",
    *,
    verbose: bool | None = None,
    **prompts: BasePromptTemplate[Any],
) -> QuestionChain:
    """Make a chain that answers questions from documents.

    Prompts of one's own are ``prompt`` for stuff and map_rerank, ``question_prompt`` and ``combine_prompt`` for
    map_reduce, ``question_prompt`` and ``refine_prompt`` for refine. ConfigError for one that leaves the documents out.
    ``verbose`` is there for the original's callers; prompts are shown by callbacks alone.
    """
    del verbose
    if chain_type not in _KINDS:
        raise ConfigError(f"there is no chain {chain_type!r}", hint=f"the chains are {', '.join(_KINDS)}")
    kind = _KINDS[chain_type]
    for name, prompt in prompts.items():
        if name not in kind.prompts:
            raise ConfigError(f"the chain {chain_type} takes no {name}", hint=f"it takes {', '.join(kind.prompts)}")
        if kind.prompts[name][1] not in prompt.input_variables:
            raise ConfigError(f"the {name} says nowhere where the documents go: {{{kind.prompts[name][1]}}}")
    return QuestionChain(llm, kind, prompts)


class QuestionChain(Runnable[dict[str, Any], dict[str, Any]]):
    """Takes ``input_documents`` and a ``question``, gives the ``output_text``."""

    def __init__(self, llm: Runnable[Any, Any], kind: _Kind, prompts: Mapping[str, BasePromptTemplate[Any]]) -> None:
        """Take the model, the chain, and prompts in the place of sm-ask's own."""
        self._llm = llm
        self._kind = kind
        self._prompts = prompts

    def invoke(self, input: dict[str, Any], config: RunnableConfig | None = None, **_: Any) -> dict[str, Any]:  # noqa: A002 - as inherited
        """Answer one question; raises what the model raises, SmAskError in the case of sm-ask's own."""
        return self._call_with_config(self._answered, input, config)

    def __call__(self, inputs: dict[str, Any], *, return_only_outputs: bool = False, **config: Any) -> dict[str, Any]:
        """Do the same; the inputs are part of what it gives, unless the outputs alone are wanted."""
        found = self.invoke(inputs, RunnableConfig(**config))  # type: ignore[typeddict-item]
        return found if return_only_outputs else {**inputs, **found}

    def _answered(
        self,
        inputs: dict[str, Any],
        run_manager: CallbackManagerForChainRun,  # noqa: ARG002 - its callbacks are in the configuration
        config: RunnableConfig,
    ) -> dict[str, Any]:
        if missing := [name for name in _INPUTS if name not in inputs]:
            raise ConfigError(f"the chain was given no {' and no '.join(missing)}")
        library = qa.Library(_documents(inputs["input_documents"]))
        more = {name: value for name, value in inputs.items() if name not in _INPUTS}
        settings = self._settings(more, config)
        found = qa.answer(str(inputs["question"]), library, settings, qa.Asker(self._asking(config), tell=tell))
        return {"output_text": found.answer.text}

    def _settings(self, more: Mapping[str, Any], config: RunnableConfig) -> qa.Settings:
        steps = {self._kind.prompts[name][0]: _prompt(prompt, more) for name, prompt in self._prompts.items()}
        if "reduce" in steps:
            # Where all documents fit into one prompt, they are put together without a note of each.
            steps["answer"] = steps["reduce"]
        settings = qa.Settings(self._kind.chain, qa.Prompts(**steps), workers=config.get("max_concurrency") or _WORKERS)
        if not isinstance(self._llm, Endpoint) or settings.chain == "stuff":
            # What does not fit is the container's to refuse.
            return settings
        connection = self._llm.connection
        return settings._replace(
            context_window=connection.context_window,
            tokenizer=connection.settings.tokenizer,
            workers=config.get("max_concurrency") or self._llm.max_concurrency,
        )

    def _asking(self, config: RunnableConfig) -> Callable[[Request], Answer]:
        def ask(request: Request) -> Answer:
            started = time.monotonic()
            said = self._llm.invoke(_Conversation(turns=request.messages), config)
            return _answer(said, request, time.monotonic() - started)

        return ask


class _Conversation(PromptValue):
    """Messages for a chat model, and their texts alone for a model that takes text."""

    turns: Sequence[Message]

    def to_string(self) -> str:
        """Give the texts."""
        return "\n\n".join(turn.content for turn in self.turns)

    def to_messages(self) -> list[BaseMessage]:
        """Give the messages."""
        kinds = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
        return [kinds[turn.role](turn.content) for turn in self.turns]


def _documents(found: Iterable[LangChainDocument]) -> Iterable[Document]:
    for number, document in enumerate(found, 1):
        yield Document(str(document.metadata.get("source") or f"document {number}"), document.page_content)


def _prompt(prompt: BasePromptTemplate[Any], more: Mapping[str, Any]) -> qa.Prompt:
    """Make a prompt of one of LangChain's: under each name that its documents have there."""

    def filled(material: qa.Material) -> tuple[Message, ...]:
        documents = "\n\n".join(passage.text for passage in material.passages)
        known = {
            **more,
            **dict.fromkeys(("context", "summaries", "context_str"), documents),
            "question": material.question,
            "existing_answer": material.answer,
        }
        if missing := [name for name in prompt.input_variables if name not in known]:
            raise ConfigError(f"the prompt wants {' and '.join(missing)}, which the chain was not given")
        named = {name: known[name] for name in prompt.input_variables}
        return tuple(asked(prompt.format_prompt(**named).to_messages()))

    return filled


def _answer(said: Any, request: Request, seconds: float) -> Answer:
    """Take what a model gave, a text or a message, for an answer."""
    message = said if isinstance(said, BaseMessage) else AIMessage(str(said))
    [whole] = asked([message])
    counted = getattr(message, "usage_metadata", None)
    if counted:
        usage = Usage(counted["input_tokens"], counted["output_tokens"])
    else:
        usage = Usage(sum(estimate(turn.content) for turn in request.messages), estimate(whole.content), estimated=True)
    reason = message.response_metadata.get("finish_reason")
    return Answer(whole.content, "", reason, usage, Timing(None, seconds), 1, None, None)
