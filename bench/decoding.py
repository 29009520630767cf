"""Times the reading of a stream, ours and LangChain's, on the same bytes; prints rows for the table of run.py."""

import json
import statistics
import time
from collections.abc import Callable, Iterator

from langchain_aws.llms.sagemaker_endpoint import LineIterator

from sm_ask.chat import Message, Request, Text
from sm_ask.handlers import named

REQUEST = Request((Message("user", "hi"),))
MEGABYTE = 1_000_000
ROUNDS = 9


def events() -> Iterator[bytes]:
    """Yield the events of a vLLM container for ever, a token each."""
    head = {"id": "chatcmpl-4265764d4f5d47d6acb5dc3dd971934b", "object": "chat.completion.chunk"}
    known = {**head, "created": 1712792433, "model": "openai/gpt-oss-20b"}
    number = 0
    while True:
        choice = {"index": 0, "delta": {"content": f" word{number % 10}"}, "logprobs": None, "finish_reason": None}
        yield f"data: {json.dumps({**known, 'choices': [choice]})}\n\n".encode()
        number += 1


def stream(size: int) -> list[bytes]:
    """Give a whole stream of about that size, a part to a token."""
    parts, length, source = [], 0, events()
    while length < size:
        parts.append(next(source))
        length += len(parts[-1])
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return [*parts, f"data: {json.dumps(end)}\n\n".encode(), b"data: [DONE]\n\n"]


def ours(parts: list[bytes]) -> str:
    """Read a stream as the command does."""
    return "".join(delta.text for delta in named("openai-chat").decode(parts, REQUEST) if isinstance(delta, Text))


def theirs(parts: list[bytes]) -> str:
    """Read it with LangChain's iterator, and the least that a content handler for it has to do."""
    return "".join(map(_transform, LineIterator({"PayloadPart": {"Bytes": part}} for part in parts)))


def _transform(line: bytes) -> str:
    if not line.startswith(b"data: {"):
        return ""
    choices = json.loads(line[6:])["choices"]
    return choices[0]["delta"].get("content", "") if choices else ""


def rates(size: int) -> tuple[float, float, float]:
    """Give both rates in MB/s, each the median of some rounds in turn, and the median of the rounds' ratios."""
    parts = stream(size)
    length = sum(map(len, parts))
    if ours(parts) != theirs(parts):
        raise AssertionError("the readers differ")
    rounds = [(_seconds(ours, parts), _seconds(theirs, parts)) for _ in range(ROUNDS)]
    our, their = (length / statistics.median(column) / 1e6 for column in zip(*rounds, strict=True))
    return our, their, statistics.median(mine / other for mine, other in rounds)


def _seconds(read: Callable[[list[bytes]], str], parts: list[bytes]) -> float:
    """Give the time of this process alone, as others may be at work on the machine."""
    started = time.process_time()
    read(parts)
    return time.process_time() - started


def rows() -> Iterator[str]:
    """Give a row for each size: where the time is linear, the rate stays as it is."""
    for megabytes in (1, 8):
        our, their, ratio = rates(megabytes * MEGABYTE)
        yield f"a stream of {megabytes} MB, LangChain's reader | {our:.0f} MB/s | {their:.0f} MB/s | {ratio:.2f}"


if __name__ == "__main__":
    for row in rows():
        print(f"| {row} |", flush=True)
