"""An endpoint on loopback that thinks for a while before each answer; prints its address and serves until it is ended.

One process, one thread and no HTTP library, so that the clients that are compared are what is slow.
"""

import asyncio
import json
import sys

from sm_ask.local import frames

ANSWER = "The answer is forty-two. " * 8
USAGE = {"prompt_tokens": 20, "completion_tokens": 40}
_HEAD = "HTTP/1.1 200 OK\r\nx-amzn-RequestId: 0000\r\nx-Amzn-Invoked-Production-Variant: AllTraffic\r\n"


def _response(body: bytes, media: str) -> bytes:
    return f"{_HEAD}Content-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _whole() -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}
    return _response(json.dumps({"choices": [choice], "usage": USAGE}).encode(), "application/json")


def _stream() -> bytes:
    deltas = [({"content": ANSWER}, None), ({}, "stop")]
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} for delta, reason in deltas]
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in [*chunks, {"choices": [], "usage": USAGE}]]
    body = b"".join(frames.payload_part(event.encode()) for event in [*events, "data: [DONE]\n\n"])
    return _response(body, "application/vnd.amazon.eventstream")


class Connection(asyncio.Protocol):
    """Answers each request when its time has come; a client sends the next one only then."""

    def __init__(self, latency: float) -> None:
        """Take the seconds that each answer takes."""
        self.latency = latency
        self.received = b""
        self.answers = {False: _whole(), True: _stream()}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if found and len(body) >= length:
            self.received = b""
            answer = self.answers[b"response-stream" in lines[0]]
            asyncio.get_running_loop().call_later(self.latency, self.transport.write, answer)


async def main() -> None:
    """Serve on any free port."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(float(sys.argv[1])), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
