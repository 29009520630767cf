"""Messages of LangChain's → sm-ask's, and pieces of an answer → messages of LangChain's."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

from sm_ask.chat import Answer, Message, Role, Text, ToolCall
from sm_ask.errors import InputError
from sm_ask.langchain.facts import counted, facts

_ROLES: Mapping[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
#: Parts of a message that stand elsewhere, or that no container takes back.
_ASIDE = ("tool_use", "tool_call", "tool_call_chunk", "invalid_tool_call", "reasoning", "thinking", "redacted_thinking")


def asked(messages: Iterable[BaseMessage]) -> list[Message]:
    """Give the conversation; InputError for what is no text."""
    return [_message(message) for message in messages]


def _message(message: BaseMessage) -> Message:
    text = _text(message.content)
    if isinstance(message, HumanMessage):
        return Message("user", text)
    if isinstance(message, SystemMessage):
        return Message("system", text)
    if isinstance(message, ToolMessage):
        return Message("tool", text, call_id=message.tool_call_id)
    if isinstance(message, AIMessage):
        return Message("assistant", text, tuple(_calls(message)))
    if isinstance(message, ChatMessage) and message.role in _ROLES:
        return Message(_ROLES[message.role], text)
    role = message.role if isinstance(message, ChatMessage) else message.type
    raise InputError(f"a message of the role {role!r} cannot be asked", hint=f"the roles are {', '.join(_ROLES)}")


def _text(content: str | Sequence[str | Mapping[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "".join(_part(part) for part in content)


def _part(part: str | Mapping[str, Any]) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type")
    if kind == "text":
        return str(part.get("text", ""))
    if kind in _ASIDE:
        return ""
    raise InputError(f"only text can be asked about; a message holds a part of the type {kind!r}")


def _calls(message: AIMessage) -> Iterator[ToolCall]:
    valid = [(call["id"], call["name"], json.dumps(call["args"], ensure_ascii=False)) for call in message.tool_calls]
    invalid = [(call["id"], call["name"], call["args"]) for call in message.invalid_tool_calls]
    for place, (identity, name, arguments) in enumerate([*valid, *invalid]):
        yield ToolCall(place, identity, name, arguments or "")


def whole(events: Iterable[Text | ToolCall | Answer], endpoint: str) -> AIMessage:
    """Give the answer in one message; a call whose arguments are no JSON is kept apart, and not guessed at."""
    answer: Answer | None = None
    text: dict[bool, list[str]] = {False: [], True: []}
    for event in events:
        if isinstance(event, Answer):
            answer = event
        elif isinstance(event, Text):
            text[event.reasoning].append(event.text)
    message = AIMessage(
        content="".join(text[False]),
        additional_kwargs={"reasoning_content": "".join(text[True])} if text[True] else {},
        response_metadata=facts(answer, endpoint),
        usage_metadata=counted(answer),
    )
    for call in map(_identified, answer.calls if answer else ()):
        arguments = _arguments(call)
        if arguments is None:
            invalid = invalid_tool_call(name=call.name, args=call.arguments, id=call.id, error="no JSON object")
            message.invalid_tool_calls.append(invalid)
        else:
            message.tool_calls.append(tool_call(name=call.name or "", args=arguments, id=call.id))
    return message


def _arguments(call: ToolCall) -> dict[str, Any] | None:
    try:
        found = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def chunks(events: Iterable[Text | ToolCall | Answer], endpoint: str) -> Iterator[ChatGenerationChunk]:
    """Yield the pieces of an answer as they come, and at the end what is known of it."""
    answer: Answer | None = None
    begun: set[int] = set()
    for event in events:
        if isinstance(event, Answer):
            answer = event
        elif isinstance(event, Text):
            yield _chunk(event.text) if not event.reasoning else _chunk(reasoning=event.text)
        else:
            yield _chunk(call=event if event.place in begun else _identified(event))
            begun.add(event.place)
    known = facts(answer, endpoint)
    last = AIMessageChunk(content="", response_metadata=known, usage_metadata=counted(answer), chunk_position="last")
    yield ChatGenerationChunk(message=last, generation_info={"finish_reason": known.get("finish_reason")})


def _chunk(text: str = "", *, reasoning: str = "", call: ToolCall | None = None) -> ChatGenerationChunk:
    calls = [tool_call_chunk(name=call.name, args=call.arguments, id=call.id, index=call.place)] if call else []
    extra = {"reasoning_content": reasoning} if reasoning else {}
    return ChatGenerationChunk(message=AIMessageChunk(content=text, additional_kwargs=extra, tool_call_chunks=calls))


def _identified(call: ToolCall) -> ToolCall:
    """Give the call a name of its own where the container gives it none, as its answer has to name it."""
    return call if call.id else call._replace(id=f"call_{uuid.uuid4().hex}")
