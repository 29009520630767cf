"""Answers without the marks of the documents, which small models repeat; they are ours, and no part of an answer."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, TypeVar

from sm_ask.chat import Answer, Text
from sm_ask.errors import NoTextError, SmAskError
from sm_ask.qa.prompts import mark_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from sm_ask.chat import Request

_Event = TypeVar("_Event")


def whole(answer: Answer, request: Request) -> Answer:
    """Take the marks out of the answer to a request; NoTextError where nothing else is in it."""
    mark = mark_of(request.messages)
    if mark is None or mark not in answer.text:
        return answer
    marks = _Marks(mark)
    text = marks.feed(answer.text) + marks.flush()
    if text == answer.text:
        return answer
    if not text.strip():
        raise NoTextError("the answer holds nothing but the marks of the documents", request_id=answer.request_id)
    return answer._replace(text=text.strip())


def events(found: Generator[_Event, None, None], request: Request) -> Iterator[_Event | Text | Answer]:
    """Do the same while the answer comes; only what may be the beginning of a mark waits for what follows it."""
    marks = _Marks(mark_of(request.messages))
    with contextlib.closing(found):
        try:
            for event in found:
                if isinstance(event, Text) and not event.reasoning:
                    yield from _some(marks.feed(event.text))
                elif isinstance(event, Answer):
                    yield from _some(marks.flush())
                    yield whole(event, request)
                else:
                    yield event
        except SmAskError:
            yield from _some(marks.flush())
            raise


def _some(text: str) -> Iterator[Text]:
    if text:
        yield Text(text)


class _Marks:
    """Takes marks out of a text that comes in pieces: the same for every way to cut it."""

    def __init__(self, mark: str | None) -> None:
        self._held = ""
        self._starts = (f"[{mark}", f"[end {mark}") if mark else ()
        # A place in a mark may begin with a passage's number. Texts, not compiled, as few answers need them.
        place = r"(?:[ ]\[\d+\])?[^\]\n]*"
        self._open = rf"\[(?:end )?{mark}(?:(?:[ ]\[\d*)?|{place}\]?)\Z"
        self._mark = rf"\[(?:end )?{mark}{place}\]\n?"

    def feed(self, text: str) -> str:
        text, self._held = self._held + text, ""
        if self._starts and (at := self._beginning(text)) is not None:
            text, self._held = text[:at], text[at:]
        return self._without(text)

    def flush(self) -> str:
        held, self._held = self._held, ""
        return self._without(held)

    def _without(self, text: str) -> str:
        return re.sub(self._mark, "", text) if any(start in text for start in self._starts) else text

    def _beginning(self, text: str) -> int | None:
        """Find where a mark begins that may not be over yet, or whose line end may follow."""
        at = text.find("[")
        while at >= 0:
            rest = text[at:]
            if any(start.startswith(rest) for start in self._starts):
                return at
            if rest.startswith(self._starts) and re.match(self._open, rest):
                return at
            at = text.find("[", at + 1)
        return None
