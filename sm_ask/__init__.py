"""Ask a language model behind an Amazon SageMaker endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sm_ask.chat import Answer, Message
    from sm_ask.client import Client, Stream, connect

__version__ = "0.1.0"
__all__ = ["Answer", "Client", "Message", "Stream", "connect"]

_HOMES = {"Answer": "chat", "Message": "chat", "Client": "client", "Stream": "client", "connect": "client"}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for, as `sm-ask --version` needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
