"""One question: a handler, a transport and a retry policy → pieces of text, then the answer."""

from __future__ import annotations

import random
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from sm_ask.chat import Answer, Finish, Request, Text, Timing, ToolCall, Usage
from sm_ask.errors import (
    IncompleteError,
    NoTextError,
    NotReadyError,
    SmAskError,
    UnknownOutcomeError,
    UnusableError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_ask.handlers import Handler

_LONGEST_PAUSE = 20.0
_LOOK_AGAIN = 10.0
#: An honest guess where a container does not count: English has about four characters to a token.
_CHARACTERS_PER_TOKEN = 4


class Reply(Protocol):
    """A response whose body has not been read yet."""

    @property
    def chunks(self) -> Iterator[bytes]:
        """The container's bytes as they arrive; raises SmAskError where they end too early."""

    @property
    def request_id(self) -> str | None:
        """The service's id of the request."""

    @property
    def variant(self) -> str | None:
        """The production variant that answered."""

    def finish(self) -> None:
        """Get ready for another request, once the answer is whole."""

    def close(self) -> None:
        """Drop the rest."""


class Transport(Protocol):
    """What carries a body to an endpoint."""

    def send(self, body: bytes, *, content_type: str, accept: str, stream: bool, deadline: float) -> Reply:
        """Send it once; raises SmAskError, retryable where the model did not run."""


class Policy(NamedTuple):
    """How long to try, in seconds, and how often.

    ``wait`` is how long to wait for an endpoint that is not ready, besides the tries. Only ``resend_unsafe`` sends
    again what the model may have run for.
    """

    tries: int = 4
    timeout: float = 600.0
    wait: float = 0.0
    resend_unsafe: bool = False


class Pause(NamedTuple):
    """A pause before the request is sent again: why, and for how many seconds still."""

    error: SmAskError
    seconds: float


Event: TypeAlias = Text | ToolCall | bytes | Pause | Answer


def ask(
    request: Request, handler: Handler, transport: Transport, policy: Policy, *, raw: bool = False
) -> Iterator[Event]:
    """Yield the answer's text and calls of tools as they come, pauses as they pass, and at the end one Answer.

    With ``raw``, the container's bytes stand in the text's place, and a shape that the handler does not know is no
    error. Raises SmAskError; IncompleteError where only a part of the answer came.
    """
    _refuse_tools(request, handler)
    body = handler.encode(request)
    tries = _Tries(policy)
    while True:
        exchange = _Exchange(request, handler, tries.begin(), raw=raw)
        try:
            yield from exchange.run(transport, body, tries.deadline)
        except SmAskError as error:
            pause = None if exchange.began else tries.pause_after(error)
            if pause is None:
                told = tries.told(exchange.judged(error))
                # An error that is its own cause has no end for whoever follows the causes.
                raise told from (error.__cause__ if told is error else error)
            failure = error
        else:
            return
        yield from _sleep(failure, pause)


def _refuse_tools(request: Request, handler: Handler) -> None:
    """Raise UsageError where tools would be left out of the request in silence."""
    said = any(message.calls or message.role == "tool" for message in request.messages)
    if (request.tools or said) and not handler.tools:
        raise UsageError(f"the handler {handler.name} knows no tools", hint="openai-chat does, as does its family")


def _sleep(error: SmAskError, seconds: float) -> Iterator[Pause]:
    """Yield once a second, so that a countdown can be shown."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        yield Pause(error, left)
        time.sleep(min(left, 1.0))


class _Tries:
    """Counts tries and decides about the next one."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.number = 0
        self.failed = 0
        self.started = time.monotonic()
        self.deadline = self.started + policy.timeout

    def begin(self) -> int:
        self.number += 1
        return self.number

    def pause_after(self, error: SmAskError) -> float | None:
        """Give the seconds to wait before the next try, None where there is none."""
        now = time.monotonic()
        if isinstance(error, NotReadyError) and now - self.started < self.policy.wait:
            pause = min(error.retry_after or _LOOK_AGAIN, self.policy.wait - (now - self.started))
            # An endpoint that was waited for has the whole time from then on.
            self.deadline = now + pause + self.policy.timeout
            return pause
        self.failed += 1
        may = error.retryable and not error.maybe_charged
        if self.policy.resend_unsafe:
            may = error.retryable or isinstance(error, UnknownOutcomeError)
        longest = min(error.backoff * 2 ** (self.failed - 1), _LONGEST_PAUSE)
        # Full jitter, so that many callers that were throttled together do not come back together.
        pause = max(random.uniform(0, longest), error.retry_after or 0)  # noqa: S311 - no secret hangs on it
        return pause if may and self.failed < self.policy.tries and now + pause < self.deadline else None

    def told(self, error: SmAskError) -> SmAskError:
        """Say on the error how often it was tried."""
        error.attempts = self.number
        if self.number > 1:
            error.message += f" (tried {self.number} times in {time.monotonic() - self.started:.1f} s)"
        return error


class _Exchange:
    """One request and its response."""

    def __init__(self, request: Request, handler: Handler, attempt: int, *, raw: bool) -> None:
        self.request = request
        self.handler = handler
        self.attempt = attempt
        self.raw = raw
        self.began = False
        self.size = 0
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.calls: dict[int, ToolCall] = {}
        self.finish = Finish(None, None)
        self.first_token: float | None = None
        self.started = time.monotonic()

    def run(self, transport: Transport, body: bytes, deadline: float) -> Iterator[Text | ToolCall | bytes | Answer]:
        handler = self.handler
        reply = transport.send(
            body,
            content_type=handler.content_type,
            accept=handler.accept,
            stream=self.request.stream,
            deadline=deadline,
        )
        try:
            yield from self._raw(reply.chunks) if self.raw else self._texts(reply.chunks)
            reply.finish()
        except SmAskError as error:
            error.request_id = error.request_id or reply.request_id
            raise
        finally:
            reply.close()
        yield self._answer(reply)

    def _texts(self, chunks: Iterator[bytes]) -> Iterator[Text | ToolCall]:
        for delta in self.handler.decode(chunks, self.request):
            if isinstance(delta, Finish):
                self.finish = delta
            elif isinstance(delta, Text) or self.request.tools:
                self._note(delta)
                yield delta
        if not ("".join(self.text).strip() or self.calls):
            why = f" (finish reason: {self.finish.reason})" if self.finish.reason else ""
            raise NoTextError(f"the model answered with no text{why}")

    def _note(self, delta: Text | ToolCall) -> None:
        self.began = True
        if self.first_token is None:
            self.first_token = time.monotonic() - self.started
        if isinstance(delta, ToolCall):
            self.calls[delta.place] = _joined(self.calls.get(delta.place), delta)
            return
        if not delta.reasoning and not self.raw:
            self.size += len(delta.text)
        (self.reasoning if delta.reasoning else self.text).append(delta.text)

    def _raw(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the bytes as they came, and let the handler look for errors and the end mark on the way."""
        taken: deque[bytes] = deque()

        def noted() -> Iterator[bytes]:
            for chunk in chunks:
                self.began = True
                self.size += len(chunk)
                taken.append(chunk)
                yield chunk

        failure = None
        try:
            for delta in self.handler.decode(noted(), self.request):
                while taken:
                    yield taken.popleft()
                if isinstance(delta, Finish):
                    self.finish = delta
                else:
                    self._note(delta)
        except SmAskError as error:
            failure = error
        yield from taken
        if failure is not None and not (isinstance(failure, UnusableError) and self.began):
            raise failure
        yield from chunks

    def _answer(self, reply: Reply) -> Answer:
        text, reasoning = "".join(self.text), "".join(self.reasoning)
        return Answer(
            text=text,
            reasoning=reasoning,
            finish_reason=self.finish.reason,
            usage=self._usage(len(text) + len(reasoning) + sum(len(call.arguments) for call in self.calls.values())),
            timing=Timing(self.first_token, time.monotonic() - self.started),
            attempts=self.attempt,
            request_id=reply.request_id,
            variant=reply.variant,
            calls=tuple(self.calls[place] for place in sorted(self.calls)),
        )

    def _usage(self, characters: int) -> Usage:
        """Give the container's own count, and an estimate where it has none."""
        known = self.finish.usage or Usage(None, None)
        if known.input_tokens is not None and known.output_tokens is not None:
            return known
        asked = sum(len(message.content) for message in self.request.messages)
        inputs = _tokens(asked) if known.input_tokens is None else known.input_tokens
        outputs = _tokens(characters) if known.output_tokens is None else known.output_tokens
        return Usage(inputs, outputs, estimated=True)

    def judged(self, error: SmAskError) -> SmAskError:
        """Say of an error in mid-answer how much had come; then it is an incomplete answer, whatever broke it."""
        cut = isinstance(error, IncompleteError) or (self.began and isinstance(error, UnknownOutcomeError))
        if not cut:
            return error
        came = f"{self.size:,} {'bytes' if self.raw else 'characters'}"
        message = f"the answer is incomplete after {came}: {error.message}"
        return IncompleteError(message, hint=error.hint, request_id=error.request_id)


def _joined(call: ToolCall | None, more: ToolCall) -> ToolCall:
    if call is None:
        return more
    return ToolCall(call.place, call.id or more.id, call.name or more.name, call.arguments + more.arguments)


def _tokens(characters: int) -> int:
    return -(-characters // _CHARACTERS_PER_TOKEN)
