"""What the LLM and the chat model have in common: their fields, and the connection behind them."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.language_models import LangSmithParams
from pydantic import BaseModel, ConfigDict, PrivateAttr

from sm_ask import client, connection
from sm_ask.ask import Event
from sm_ask.chat import Answer, Message, Request, Text, ToolCall
from sm_ask.connection import Connection, Setup
from sm_ask.errors import ConfigError, UsageError
from sm_ask.handlers.foreign import Foreign
from sm_ask.langchain.content_handler import Streamed
from sm_ask.langchain.stop import Stop
from sm_ask.profiles import Profile, Profiles
from sm_ask.qa.tokens import estimate

#: The parameters of the API that may be given, and sm-ask's own names for them.
_PARTS = {
    "InferenceComponentName": "inference_component",
    "TargetVariant": "target_variant",
    "TargetModel": "target_model",
    "TargetContainerHostname": "target_container",
    "CustomAttributes": "custom_attributes",
    "SessionId": "session_id",
    "InferenceId": "inference_id",
}


class _Opened:
    """Connections, each opened when it is first needed, once, and closed with whoever holds them.

    There are several where fields are set anew, and where a shallow copy has other fields.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: dict[object, Connection] = {}

    def connection(self, fields: object, settle: Callable[[], Setup]) -> Connection:
        with self._lock:
            if fields not in self._connections:
                stack = contextlib.ExitStack()
                self._connections[fields] = stack.enter_context(connection.connect(settle(), tell=client.tell))
                weakref.finalize(self, stack.close)
            return self._connections[fields]

    def __reduce__(self) -> tuple[type[_Opened], tuple[()]]:
        """Let copies open a connection of their own: a lock and a socket can be neither copied nor pickled."""
        return _Opened, ()


class Endpoint(BaseModel):
    """An endpoint as LangChain's users describe it; what a field leaves out, sm-ask's profile says, if one is named."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())

    endpoint_name: str = ""
    """The endpoint's name."""
    region_name: str | None = None
    """The AWS region; else that of AWS's own settings."""
    credentials_profile_name: str | None = None
    """A profile of ~/.aws/config."""
    client: Any = None
    """A client, or a session, of boto3, in whose name is asked; it stays as it is."""
    content_handler: Any = None
    """An object that says how the container is asked, as LLMContentHandler does; or else ``handler``."""
    handler: str | None = None
    """The name of a content handler of sm-ask's, or of the profiles file."""
    model_kwargs: dict[str, Any] | None = None
    """The model's parameters."""
    endpoint_kwargs: dict[str, Any] | None = None
    """Parameters of the API: InferenceComponentName, TargetVariant, CustomAttributes, …"""
    streaming: bool = False
    """Whether to ask for a stream even where the whole answer is wanted."""
    endpoint_url: str | None = None
    """Another address than AWS's own."""
    timeout: float | None = None
    """Seconds for the whole answer."""
    max_retries: int | None = None
    """Tries after the first; only what provably did not reach the model is sent again."""
    max_concurrency: int = 8
    """How many questions of a batch are under way at once."""

    _opened: _Opened = PrivateAttr(default_factory=_Opened)

    @property
    def connection(self) -> Connection:
        """The connection, opened when it is first needed; raises SmAskError."""
        fields = [self._named(), self.handler, id(self.content_handler), id(self.client), self.streaming]
        return self._opened.connection(repr([*fields, self._given()]), self._setup)

    def get_num_tokens(self, text: str) -> int:
        """Estimate from above, without a tokenizer of some other model."""
        return estimate(text)

    def _named(self) -> str | None:
        """Give the name of sm-ask's profile."""
        return None

    def _name(self) -> str:
        """Give what LangChain calls the model."""
        return self.endpoint_name or self._named() or ""

    def _identity(self) -> dict[str, Any]:
        """Give what tells this model from others, in caches too."""
        kind = type(self.content_handler)
        named = self._named()
        # A profile's settings decide about the answer, and are not for every trace to see.
        settings = "" if named is None else repr(client.file().choose(named))
        return {
            "endpoint_name": self.endpoint_name,
            "model_kwargs": self.model_kwargs or {},
            "endpoint_kwargs": self.endpoint_kwargs or {},
            "region_name": self.region_name,
            "endpoint_url": self.endpoint_url,
            "credentials_profile_name": self.credentials_profile_name,
            "client": self.client and _holder(self.client),
            "profile": named and f"{named} {hashlib.sha256(settings.encode()).hexdigest()[:12]}",
            "handler": self.handler if self.content_handler is None else f"{kind.__module__}:{kind.__qualname__}",
        }

    def _traced(self, params: LangSmithParams, given: Mapping[str, Any]) -> LangSmithParams:
        """Say in a trace, should the program make one, who is asked and how."""
        asked = {**(self.model_kwargs or {}), **given}
        params["ls_provider"] = "amazon_sagemaker"
        params["ls_model_name"] = str(asked.get("model") or self._name())
        if isinstance(temperature := asked.get("temperature"), (int, float)):
            params["ls_temperature"] = temperature
        if isinstance(limit := asked.get("max_tokens"), int):
            params["ls_max_tokens"] = limit
        return params

    def _setup(self) -> Setup:
        if self.handler is not None and self.content_handler is not None:
            raise ConfigError("both handler and content_handler say how to ask", hint="leave one of them out")
        named = self._named()
        found = Profiles() if named is None and self.handler is None else client.file()
        handler: Any = self.handler
        if self.content_handler is not None:
            kind = Streamed if self.streaming else Foreign
            handler = kind(type(self.content_handler).__name__, self.content_handler, own=True)
        profile = Profile("") if named is None else found.choose(named)
        return client.over(found, profile, handler, **self._given())._replace(client=self.client)

    def _given(self) -> dict[str, Any]:
        """Give what stands before the profile's settings."""
        parts = self.endpoint_kwargs or {}
        if unknown := parts.keys() - _PARTS.keys():
            hint = f"known are {', '.join(_PARTS)}"
            raise ConfigError(f"{min(unknown)} is no parameter that endpoint_kwargs may hold", hint=hint)
        return {
            "endpoint": self.endpoint_name or None,
            "region": self.region_name or None,
            "aws_profile": self.credentials_profile_name,
            "endpoint_url": self.endpoint_url,
            "timeout": self.timeout,
            "retries": self.max_retries,
            **{_PARTS[name]: value for name, value in parts.items()},
        }

    def _events(
        self, messages: Sequence[Message], stop: Sequence[str], given: Mapping[str, Any], *, stream: bool
    ) -> Iterator[Text | ToolCall | Answer]:
        """Ask, and yield what comes up to a stop; the answer is missing where a stop ended it early."""
        if not any(message.content.strip() for message in messages):
            raise UsageError("the question is empty")
        connection = self.connection
        request = self._request(connection, tuple(messages), given, stream=stream)
        # Closed at once, as what nobody reads any more is generated, and paid for, all the same.
        with contextlib.closing(connection.ask(_stopping(connection, request, stop))) as events:
            yield from _until(stop, events)

    def _request(
        self, connection: Connection, messages: tuple[Message, ...], given: Mapping[str, Any], *, stream: bool
    ) -> Request:
        settings = connection.settings
        params = {**settings.params, **(self.model_kwargs or {}), **given}
        tools = tuple(params.pop("tools", None) or ())
        if "response_format" in params and not connection.handler.tools:
            hint = "a handler of the openai-chat family can hold it to one"
            raise UsageError(f"the handler {connection.handler.name} knows no response_format", hint=hint)
        return Request(client.led(messages, settings.system), params, stream, tools)


def _holder(lent: object) -> str:
    from sm_ask.aws.borrowed import holder  # few hand in a client

    return holder(lent)


def _stopping(connection: Connection, request: Request, stop: Sequence[str]) -> Request:
    """Let the container stop by itself, where it can: then it generates nothing that nobody reads."""
    if not stop or isinstance(connection.handler, Foreign):
        return request
    stopping = request._replace(params={**request.params, "stop": list(stop)})
    try:
        connection.handler.encode(stopping)
    except UsageError:
        return request
    return stopping


def _until(stops: Sequence[str], events: Iterator[Event]) -> Iterator[Text | ToolCall | Answer]:
    """Yield what comes, and no text from a stop on; a container that goes on all the same is left there."""
    stop = Stop(stops)
    for event in events:
        if isinstance(event, Text) and not event.reasoning:
            if stop.found:
                return
            if text := stop.pass_on(event.text):
                yield Text(text)
        elif isinstance(event, Answer):
            if held := stop.rest():
                yield Text(held)
            yield event
        elif isinstance(event, (Text, ToolCall)):
            yield event
