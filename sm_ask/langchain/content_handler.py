"""The base class that content handlers of LangChain's users derive from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from sm_ask.chat import Delta, Request
from sm_ask.handlers import named
from sm_ask.handlers.foreign import Foreign


class LLMContentHandler(ABC):
    """How a container is asked and how it answers; the two media types are headers of the request."""

    content_type: str | None = "text/plain"
    accepts: str | None = "text/plain"

    @abstractmethod
    def transform_input(self, prompt: str, model_kwargs: dict[str, Any]) -> bytes:
        """Give the request's body."""

    @abstractmethod
    def transform_output(self, output: bytes) -> str:
        """Give the text of a whole answer; ``output`` has a method ``read``, too."""


class Streamed(Foreign):
    """A content handler whose requests are sent for a stream; its method for whole answers cannot read one.

    What containers send that stream without being told, or because the body says so, is of the families of LMI, TGI or
    OpenAI.
    """

    streams = True

    def decode(self, chunks: Iterable[bytes], request: Request | None = None) -> Iterator[Delta]:
        """Read a stream by its shape."""
        if request is None or not request.stream:
            return super().decode(chunks, request)
        return named("lmi").decode(chunks, request)
