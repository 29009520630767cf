"""What tests of batches share: inputs, endpoints that answer by the question, and the command in a process."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from conftest import SM_ASK, at
from server import Conversation, Script, Server, chat_whole

#: Whole answers are the simplest to write down.
WHOLE = ["--no-stream"]


def questions(path: Path, rows: int | Iterable[dict[str, Any]]) -> Path:
    """An input of JSON Lines; a number makes so many questions q0, q1, …"""
    if isinstance(rows, int):
        rows = [{"id": f"q{number}", "prompt": f"question {number}"} for number in range(rows)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answers(path: Path) -> list[dict[str, Any]]:
    """The rows of an output, each line of which is whole."""
    data = path.read_bytes()
    assert not data or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def asked(conversation: Conversation) -> str:
    """The question that a request asks."""
    return conversation.request.json["messages"][-1]["content"]


def replies(answer: Callable[[str], bytes | Script | None], seconds: float = 0.0) -> Script:
    """Answer each question with what the function gives for it: a response, a script, or None for an answer."""

    def script(conversation: Conversation) -> None:
        conversation.wait(seconds)
        found = answer(asked(conversation))
        if callable(found):
            found(conversation)
        else:
            conversation.send(found or chat_whole(f"answer to {asked(conversation)}"))

    return script


def echo(seconds: float = 0.0) -> Script:
    """Answer each question after some time."""
    return replies(lambda _: None, seconds)


def started(*arguments: str, server: Server, **streams: Any) -> subprocess.Popen[bytes]:
    """Start a batch in a process of its own."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([SM_ASK, "batch", *arguments, *WHOLE, *at(server)], **(pipes | streams))


def invocations(server: Server) -> Counter[str]:
    """How often each question was asked."""
    return Counter(request.json["messages"][-1]["content"] for request in server.requests)


def mode(path: Path) -> int:
    """The permissions of a file."""
    return os.stat(path).st_mode & 0o777
