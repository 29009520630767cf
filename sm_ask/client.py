"""The plain Python face: a client of one endpoint, as ``sm_ask.connect`` gives it."""

from __future__ import annotations

import contextlib
import logging
import os
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sm_ask import connection, profiles, slips
from sm_ask.chat import Answer, Message, Request, Text
from sm_ask.connection import Setup
from sm_ask.errors import InputError, UnusableError, UsageError
from sm_ask.profiles import Profile, Profiles
from sm_ask.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from types import TracebackType

    from sm_ask.ask import Event
    from sm_ask.batch.record import Outcome
    from sm_ask.batch.rows import Form, Row
    from sm_ask.connection import Connection
    from sm_ask.documents import Document
    from sm_ask.handlers import Handler
    from sm_ask.qa import Grounded, Library, Settings

_LOG = logging.getLogger("sm_ask")
#: What may be given beside a profile's own keys; they mean what the command line's options mean.
_CHOICES = {
    "wait": "wait",
    "retry_unsafe": "resend_unsafe",
    "endpoint_override": "override",
    "allow_http": "allow_http",
    "cache": "cache",
    "connections": "connections",
    "inference_id": "inference_id",
}
_CONNECTIONS = 32


def connect(
    profile: str | None = None,
    *,
    config: str | None = None,
    client: object = None,
    handler: object = None,
    **more: object,
) -> Client:
    """Open an endpoint: that of a profile, or of the keywords.

    ``more`` are a profile's keys (endpoint, region, params, system, timeout, …), which count before the profile's own,
    and the command line's wait, retry_unsafe, endpoint_override, allow_http, cache. Without a name the profile is that
    of SM_ASK_PROFILE, or the file's default; ``config`` or SM_ASK_CONFIG names the file.

    ``client`` is a client or a session of boto3, in whose name is asked. ``handler`` is a handler's name, or an object
    in the shape of LangChain's content handlers. Raises SmAskError.
    """
    found = file(config)
    chosen = found.choose(profile or os.environ.get("SM_ASK_PROFILE"))
    for slip in found.slips.get(chosen.name, ()):
        tell(slip)
    setup = over(found, chosen, handler, **more)
    return Client(setup._replace(client=client))


def file(config: str | None = None) -> Profiles:
    """Give what the profiles file holds."""
    config = config or os.environ.get("SM_ASK_CONFIG")
    found = profiles.load(profiles.location(config, os.environ), required=bool(config))
    for warning in found.warnings:
        tell(warning)
    return found


def over(found: Profiles, profile: Profile, handler: object = None, **more: object) -> Setup:
    """Put keywords over a profile's settings; TypeError for one that nobody knows."""
    keys = {name for name in Profile._fields if name not in ("name", "handler")}
    for name in more:
        if name not in keys and name not in _CHOICES:
            near = slips.meant(name, [*keys, *_CHOICES])
            raise TypeError(f"there is no setting {name!r}" + (f"; did you mean {near}?" if near else ""))
    given: dict[str, Any] = {name: value for name, value in more.items() if name in keys and value is not None}
    if isinstance(role := given.get("assume_role"), Mapping):
        given["assume_role"] = (role,)
    if isinstance(handler, str):
        given["handler"], handler = handler, None
    setup = Setup(
        profile._replace(**given),
        found.handlers,
        str(found.path or ""),
        connections=_CONNECTIONS,
        handler=None if handler is None else object_handler(handler),
    )
    chosen: dict[str, Any] = {_CHOICES[name]: value for name, value in more.items() if name in _CHOICES}
    return setup._replace(**chosen)


def object_handler(found: Any) -> Handler:  # noqa: ANN401 - an object of somebody else's class
    """Give a handler that is an object, or a class, of the caller's own; ConfigError if it is none."""
    if all(hasattr(found, name) for name in ("encode", "decode", "accept")):
        return found  # type: ignore[no-any-return]
    from sm_ask.handlers.foreign import Foreign

    return Foreign(getattr(found, "__name__", type(found).__name__), found, own=True)


def tell(warning: str) -> None:
    """Log a warning; where no logging is set up, Python shows it on stderr."""
    _LOG.warning("sm-ask: %s", redacted(warning))


class Client:
    """An endpoint to ask; shared by threads, and closed after use.

    Parameters are those of ``sm-ask prompt -o``: max_tokens, temperature, top_p, stop, … or a container's own.
    """

    def __init__(self, setup: Setup) -> None:
        """Open the endpoint; raises SmAskError."""
        stack = contextlib.ExitStack()
        #: How the endpoint is spoken to.
        self.connection: Connection = stack.enter_context(connection.connect(setup, tell=tell))
        # Whoever forgets to close it need not: it is closed with the object, or before the process ends its threads.
        self._end = weakref.finalize(self, stack.close)

    def ask(self, prompt: str | Sequence[Message], *, system: str | None = None, **params: object) -> Answer:
        """Give the whole answer to a prompt, or to a conversation; raises SmAskError."""
        with self.stream(prompt, system=system, **params) as found:
            for _ in found:
                pass
        return found.answer

    def stream(self, prompt: str | Sequence[Message], *, system: str | None = None, **params: object) -> Stream:
        """Give the answer's text as it comes; closing the stream early ends the generation."""
        return Stream(self.connection.ask(self.request(prompt, system=system, **params)))

    def request(self, prompt: str | Sequence[Message], *, system: str | None = None, **params: object) -> Request:
        """Give the request that asks a prompt: after the profile's own words, with its parameters under these."""
        messages = (Message("user", prompt),) if isinstance(prompt, str) else tuple(prompt)
        if not any(message.content.strip() for message in messages):
            raise UsageError("the prompt is empty")
        settings = self.connection.settings
        return Request(led(messages, settings.system if system is None else system), {**settings.params, **params})

    def answer(
        self,
        question: str,
        documents: Library | Iterable[Any] | os.PathLike[str],
        *,
        settings: Settings | None = None,
        system: str | None = None,
        **params: object,
    ) -> Grounded:
        """Answer a question from documents: texts, paths of files, or objects with ``page_content`` and ``metadata``.

        ``settings`` is a qa.Settings: the chain, prompts of one's own, whether to cite. A qa.Library in the documents'
        place is read and indexed once for all questions.
        """
        from sm_ask import qa

        library = documents if isinstance(documents, qa.Library) else qa.Library(_documents(documents))
        own, chosen = self.connection.settings, settings or qa.Settings()
        chosen = chosen._replace(
            system=chosen.system or (own.system if system is None else system),
            params={**own.params, **chosen.params, **params},
            context_window=chosen.context_window or self.connection.context_window,
            tokenizer=chosen.tokenizer or own.tokenizer,
        )
        return qa.answer(question, library, chosen, qa.Asker(self.connection.answer, tell=tell))

    def batch(
        self,
        rows: Iterable[str | Mapping[str, Any]],
        *,
        workers: int = 8,
        rate: float | None = None,
        docs_root: str | None = None,
        system: str | None = None,
        **params: object,
    ) -> Iterator[Outcome]:
        """Ask many questions at once and yield what becomes of each, in the order in which that happens.

        A row is a prompt, or a mapping as a line of ``sm-ask batch``. An outcome has the ``row`` and its ``result``: an
        answer, or the error. ``rate`` is how many questions a second are asked at most; ``docs_root`` the folder that
        the rows' documents are to be below. Closing the iterator ends the asking.
        """
        from sm_ask import qa
        from sm_ask.batch.rows import Form
        from sm_ask.batch.run import outcomes
        from sm_ask.batch.shelf import Shelf

        own = self.connection.settings
        form = Form(system=own.system if system is None else system, params={**own.params, **params})
        shelf = Shelf(docs_root, qa.Settings(context_window=own.context_window, tokenizer=own.tokenizer))
        workers = min(workers, _CONNECTIONS)
        return outcomes(_rows(rows, form), self.connection, workers=workers, rate=rate, shelf=shelf)

    def close(self) -> None:
        """End what runs on this machine for the endpoint."""
        self._end()

    def __enter__(self) -> Client:  # noqa: PYI034 - Self is newer than Python 3.10
        """Give the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def _documents(given: Iterable[Any] | os.PathLike[str]) -> Iterator[Document]:
    from sm_ask import documents

    # One text is one document, not as many as it has letters.
    for number, found in enumerate([given] if isinstance(given, (str, os.PathLike)) else given, 1):
        if isinstance(found, documents.Document):
            yield found
        elif isinstance(found, os.PathLike):
            yield from documents.read(os.fspath(found))
        elif isinstance(found, str):
            yield documents.Document(f"document {number}", found)
        else:
            # One of LangChain's, or of any library that has taken its attributes over.
            yield documents.Document(str(found.metadata.get("source") or f"document {number}"), found.page_content)


def _rows(rows: Iterable[str | Mapping[str, Any]], form: Form) -> Iterator[Row]:
    from sm_ask.batch.rows import faulty

    for number, given in enumerate(rows, 1):
        fields = {"prompt": given} if isinstance(given, str) else given
        try:
            yield form.row(fields, number)
        except InputError as error:
            yield faulty(fields, number, error)


def led(messages: tuple[Message, ...], system: str | None) -> tuple[Message, ...]:
    """Put a system prompt before a conversation that has none."""
    if not system or any(message.role == "system" for message in messages):
        return messages
    return (Message("system", system), *messages)


class Stream:
    """An answer's text while it comes; when it is over, ``answer`` is the whole answer."""

    def __init__(self, events: Generator[Event, None, None]) -> None:
        """Take the events of one question."""
        self._events = events
        self._answer: Answer | None = None

    def __iter__(self) -> Iterator[str]:
        """Yield the text in pieces; raises SmAskError, IncompleteError where only a part of it came."""
        for event in self._events:
            if isinstance(event, Text) and not event.reasoning:
                yield event.text
            elif isinstance(event, Answer):
                self._answer = event

    @property
    def answer(self) -> Answer:
        """The whole answer, once its text has come."""
        if self._answer is None:
            raise UnusableError("the answer is not over")
        return self._answer

    def close(self) -> None:
        """Drop the rest, so that nothing more is generated."""
        self._events.close()

    def __enter__(self) -> Stream:  # noqa: PYI034 - as above
        """Give the stream."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop the rest."""
        self.close()
