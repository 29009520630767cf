"""An endpoint on loopback whose container answers at once; prints its address and serves until it is ended."""

import json
import threading

from sm_ask.local.container import Body, Invocation, Reply
from sm_ask.local.service import Service

WORDS = ["The", " answer", " is", " forty", "-two", "."]


class Instant:
    """An OpenAI-style container without a model."""

    def ping(self) -> bool:
        return True

    def invoke(self, call: Invocation) -> Reply:
        if json.loads(call.body).get("stream"):
            return Reply(200, "text/event-stream", _parts(*self._events()))
        choice = {"index": 0, "message": {"role": "assistant", "content": "".join(WORDS)}, "finish_reason": "stop"}
        return Reply(200, "application/json", _parts(json.dumps({"choices": [choice]}).encode()))

    def close(self) -> None:
        pass

    def _events(self) -> list[bytes]:
        deltas = [({"content": word}, None) for word in WORDS] + [({}, "stop")]
        chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} for delta, reason in deltas]
        return [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks] + [b"data: [DONE]\n\n"]


def _parts(*parts: bytes) -> Body:
    return Body(iter(parts), lambda: None)


if __name__ == "__main__":
    with Service(Instant(), name="bench") as service:
        print(service.url, flush=True)
        threading.Event().wait()
