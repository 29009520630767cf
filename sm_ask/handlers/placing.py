"""Where the messages stand in a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sm_ask.chat import Message


def joined(messages: Iterable[Message]) -> str:
    """Give one text, for containers that know no roles: the messages, with a blank line between them."""
    return "\n\n".join(message.content for message in messages)


def under(key: str) -> Callable[[Sequence[Message]], dict[str, Any]]:
    """Make a request with the joined text under one key."""
    return lambda messages: {key: joined(messages)}


def chat(messages: Sequence[Message]) -> dict[str, Any]:
    """Make a request in the OpenAI chat format."""
    return {"messages": _roles(messages)}


def dialogs(messages: Sequence[Message]) -> dict[str, Any]:
    """Make a request with a batch of one conversation."""
    return {"inputs": [_roles(messages)]}


def pipeline(messages: Sequence[Message]) -> dict[str, Any]:
    """Make a request for a pipeline: a text, which all of them take, unless there is a conversation to tell apart."""
    conversation = any(message.role == "assistant" for message in messages)
    return {"inputs": _roles(messages) if conversation else joined(messages)}


def cohere(messages: Sequence[Message]) -> dict[str, Any]:
    """Make a request with the last message apart from those before it."""
    *earlier, last = [message for message in messages if message.role != "system"] or messages
    names = {"user": "User", "assistant": "Chatbot"}
    history = [{"role": names[message.role], "message": message.content} for message in earlier]
    request: dict[str, Any] = {"message": last.content}
    if history:
        request["chat_history"] = history
    if preamble := joined(message for message in messages if message.role == "system" and message is not last):
        request["preamble"] = preamble
    return request


def _roles(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [_turn(message) for message in messages]


def _turn(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.calls:
        functions = [(call.id, {"name": call.name, "arguments": call.arguments}) for call in message.calls]
        turn["tool_calls"] = [{"id": id_, "type": "function", "function": function} for id_, function in functions]
    if message.call_id is not None:
        turn["tool_call_id"] = message.call_id
    return turn
