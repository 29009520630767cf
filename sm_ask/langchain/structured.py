"""Answers that are held to a schema, and read as what it describes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from operator import itemgetter
from typing import Any, TypeAlias, TypeGuard

from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel

from sm_ask.errors import IncompleteError

#: Which tool is to be called.
Choice: TypeAlias = str | bool | dict[str, Any]


def choice(wanted: Choice, offered: Sequence[dict[str, Any]]) -> str | dict[str, Any]:
    """Say in OpenAI's words which tool the model has to call."""
    if isinstance(wanted, dict):
        return wanted
    if wanted is True or wanted == "any":
        return "required"
    if any(tool["function"]["name"] == wanted for tool in offered):
        return {"type": "function", "function": {"name": wanted}}
    return str(wanted)


def by_tool(
    model: BaseChatModel, schema: dict[str, Any] | type, *, include_raw: bool, strict: bool | None, **kwargs: Any
) -> Runnable[LanguageModelInput, Any]:
    """Have the model call a tool that takes the schema."""
    name = convert_to_openai_tool(schema)["function"]["name"]
    asking = model.bind_tools([schema], tool_choice=name, strict=strict, **kwargs)
    parser: Runnable[Any, Any] = JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)
    if _is_model(schema):
        parser = PydanticToolsParser(tools=[schema], first_tool_only=True)
    return _parsed(asking, parser, include_raw=include_raw)


def by_format(
    model: BaseChatModel,
    schema: dict[str, Any] | type,
    method: str,
    *,
    include_raw: bool,
    strict: bool | None,
    **kwargs: Any,
) -> Runnable[LanguageModelInput, Any]:
    """Have the container let nothing but JSON through, of the schema or of any."""
    shape: dict[str, Any] = {"type": "json_object"}
    if method == "json_schema":
        described = convert_to_json_schema(schema, strict=strict)
        held = {"name": described.get("title", "answer"), "schema": described}
        shape = {"type": "json_schema", "json_schema": held if strict is None else {**held, "strict": strict}}
    asking = model.bind(response_format=shape, **kwargs)
    parser: Runnable[Any, Any] = JsonOutputParser()
    if _is_model(schema):
        parser = PydanticOutputParser(pydantic_object=schema)
    return _parsed(asking, parser, include_raw=include_raw)


def _is_model(schema: dict[str, Any] | type) -> TypeGuard[type[BaseModel]]:
    return isinstance(schema, type) and is_basemodel_subclass(schema)


def _parsed(
    asking: Runnable[LanguageModelInput, Any], parser: Runnable[Any, Any], *, include_raw: bool
) -> Runnable[LanguageModelInput, Any]:
    """Give what the parser makes of the answer, beside the answer and an error of the parser's if that is wanted."""
    # LangChain's parsers make something of half an answer, too.
    parser = RunnableGenerator(_uncut, _uncut_late) | parser
    if not include_raw:
        return asking | parser
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=asking) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def _uncut(pieces: Iterator[BaseMessage]) -> Iterator[BaseMessage]:
    for piece in pieces:
        yield _checked(piece)


async def _uncut_late(pieces: AsyncIterator[BaseMessage]) -> AsyncIterator[BaseMessage]:
    async for piece in pieces:
        yield _checked(piece)


def _checked(piece: BaseMessage) -> BaseMessage:
    """Give a piece of an answer; IncompleteError for the last one of an answer that the token limit cut."""
    if piece.response_metadata.get("finish_reason") == "length":
        raise IncompleteError("the answer stopped at the token limit, within its JSON", hint="raise max_tokens")
    return piece
