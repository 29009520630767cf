"""An endpoint as a chat model of LangChain's: messages in, a message out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import LangSmithParams, LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, model_validator

from sm_ask.chat import Answer, Text, ToolCall
from sm_ask.langchain import structured
from sm_ask.langchain.batch import bounded
from sm_ask.langchain.endpoint import Endpoint
from sm_ask.langchain.messages import asked, chunks, whole


class ChatSagemakerEndpoint(Endpoint, BaseChatModel):
    """A chat model behind an endpoint.

    Messages go to any container: those that know no roles get their texts, one after the other. Tools and structured
    output need one of the openai-chat family. Errors are those of ``sm_ask.errors``.
    """

    profile_name: str | None = None
    """The name of one of sm-ask's profiles; ``profile="name"`` sets it, too."""
    temperature: float | None = None
    """0 takes the likeliest token each time."""
    max_tokens: int | None = None
    """The answer's token limit."""
    stop: list[str] | None = None
    """Texts to stop at."""

    @model_validator(mode="before")
    @classmethod
    def _take_profile(cls, values: Any) -> Any:
        """Take a text under ``profile`` for a name: what LangChain keeps there is a mapping of what a model can do."""
        if isinstance(values, dict) and isinstance(values.get("profile"), str):
            values = {"profile_name": values["profile"], **values}
            del values["profile"]
        return values

    @property
    def _llm_type(self) -> str:
        return "chat-sagemaker-endpoint"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {**self._identity(), **self._params(), "stop": self.stop}

    def _named(self) -> str | None:
        return self.profile_name

    def _params(self) -> dict[str, Any]:
        given = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        return {name: value for name, value in given.items() if value is not None}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        stops = stop or self.stop or None
        return self._traced(super()._get_ls_params(stop=stops, **kwargs), {**self._params(), **kwargs})

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain tells it of the pieces itself
        **kwargs: Any,
    ) -> ChatResult:
        message = whole(self._asked(messages, stop, kwargs, stream=False), self._name())
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain tells it of the pieces itself
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        return chunks(self._asked(messages, stop, kwargs, stream=True), self._name())

    def _asked(
        self, messages: list[BaseMessage], stop: list[str] | None, given: Mapping[str, Any], *, stream: bool
    ) -> Iterator[Text | ToolCall | Answer]:
        params = {**self._params(), **given}
        params.pop("stream", None)
        stops = self.stop if stop is None else stop
        return self._events(asked(messages), stops or (), params, stream=stream)

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """Ask the inputs, no more than ``max_concurrency`` at once."""
        configs = bounded(config, len(inputs), self.max_concurrency)
        return super().batch(inputs, configs, return_exceptions=return_exceptions, **kwargs)

    async def abatch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """Do the same, without holding up the event loop."""
        configs = bounded(config, len(inputs), self.max_concurrency)
        return await super().abatch(inputs, configs, return_exceptions=return_exceptions, **kwargs)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: structured.Choice | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools.

        ``tool_choice`` is a tool's name, "any" or True for one of them, "auto", "none", or what OpenAI's API takes.
        """
        offered = [convert_to_openai_tool(tool, strict=strict) for tool in tools]
        if tool_choice:
            kwargs["tool_choice"] = structured.choice(tool_choice, offered)
        return self.bind(tools=offered, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: Literal["json_schema", "function_calling", "json_mode"] = "json_schema",
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """Hold the answer to a schema, and give what it says.

        By ``json_schema``, which containers enforce while they generate; by a tool that takes it; or, with
        ``json_mode``, by any JSON, where the prompt speaks of the schema.
        """
        if method == "function_calling":
            return structured.by_tool(self, schema, include_raw=include_raw, strict=strict, **kwargs)
        return structured.by_format(self, schema, method, include_raw=include_raw, strict=strict, **kwargs)
