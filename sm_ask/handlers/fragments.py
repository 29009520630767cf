"""The text inside a JSON document that is still on its way: LMI up to 0.28 streams like that."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

from sm_ask import wire
from sm_ask.errors import IncompleteError, UnusableError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

_HEAD = rb'[ \t\r\n]*\{[ \t\r\n]*"generated_text"[ \t\r\n]*:[ \t\r\n]*"'
_HEAD_WITHOUT_SPACE = b'{"generated_text":"'
#: Up to where a text can be read by itself: no escape, no pair of surrogates and no character is cut.
_READABLE = (
    rb'(?:[^"\\\x80-\xff]+|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}'
    rb"|\\[^u]|\\u(?![dD][89abAB])[0-9a-fA-F]{4}"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}(?=[^\\]|\\[^u]|\\u[0-9a-fA-F]{4}))*"
)
#: Two escapes; what is longer and still cannot be read never will be.
_LONGEST_CUT = 12


def records(chunks: Iterable[bytes]) -> Iterator[Any]:
    """Yield what ``wire.records`` does; a text under ``generated_text`` that comes first, as tokens while it comes."""
    source = iter(chunks)
    body = b""
    for chunk in source:
        body += chunk
        if head := re.match(_HEAD, body):
            rest = yield from _tokens(body[head.end() :], source)
            # What stands behind the text, as a document of its own.
            beginning = b'{"token": {"text": ""}, "generated_text": "'
            yield from wire.records(itertools.chain([beginning, rest], source))
            return
        if not _HEAD_WITHOUT_SPACE.startswith(b"".join(body.split())):
            break
    yield from wire.records(itertools.chain([body], source))


def _tokens(body: bytes, source: Iterator[bytes]) -> Generator[Any, None, bytes]:
    """Yield the text up to its quote, and return what follows."""
    while True:
        end = re.match(_READABLE, body).end()  # type: ignore[union-attr]  # it matches nothing, too
        if end:
            yield {"token": {"text": _unescaped(body[:end])}}
        body = body[end:]
        if body.startswith(b'"'):
            return body
        if len(body) > _LONGEST_CUT:
            raise UnusableError(f"the response is not JSON: {wire.excerpt(body)}")
        more = next(source, None)
        if more is None:
            raise IncompleteError("the stream ends within its text")
        body += more


def _unescaped(text: bytes) -> str:
    try:
        return str(json.loads(b'"' + text + b'"'))
    except ValueError as error:
        raise UnusableError(f"the response is not JSON: {wire.excerpt(text)}") from error
