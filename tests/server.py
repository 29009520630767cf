"""A loopback SageMaker runtime that answers each request as its script says, down to the byte and the reset."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sm_ask.aws.runtime import Runtime, Target
from sm_ask.aws.session import Access, open_client
from sm_ask.local import frames


@dataclass(frozen=True)
class Recorded:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Conversation:
    """One connection, from the server's side."""

    connection: socket.socket
    stopping: threading.Event
    gone: threading.Event = field(default_factory=threading.Event)
    #: The request that is to be answered.
    request: Recorded | None = None

    def send(self, data: bytes) -> None:
        try:
            self.connection.sendall(data)
        except OSError:
            self.gone.set()
            raise

    def wait(self, seconds: float) -> None:
        self.stopping.wait(seconds)

    def wait_for_the_end(self) -> None:
        """Read until the client has closed its side."""
        with contextlib.suppress(OSError):
            while self.connection.recv(4096):
                pass
        self.gone.set()

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The file that reads requests would keep the socket open.
        socket.close(self.connection.detach())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


def runtime_at(server: Server, **patience: float) -> Runtime:
    """The endpoint behind a server, without the command line."""
    access = Access(region="us-west-2", endpoint_url=server.url, keys=("AKIATESTTESTTESTTEST", "a-secret-of-the-tests"))
    return Runtime(open_client(access, timeout=5), Target("ep"), **patience)


Script: TypeAlias = Callable[[Conversation], None]


class Server:
    """Answers request after request with the next script, and with the last one for ever."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None, port: int = 0, raw: bool = False) -> None:
        """With ``raw``, the first script has each connection as it comes, and no request is read."""
        self.tls, self.raw = tls, raw
        self.scripts = list(scripts)
        self.requests: list[Recorded] = []
        self.connections = 0
        self.conversations: list[Conversation] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Server:  # noqa: PYI034 - Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for conversation in self.conversations:
            conversation.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        if self.tls:
            try:
                connection = self.tls.wrap_socket(connection, server_side=True)
            except OSError:
                return
        conversation = Conversation(connection, self._stopping)
        self.conversations.append(conversation)
        if self.raw:
            with contextlib.suppress(OSError):
                self.scripts[0](conversation)
            return
        with connection.makefile("rb") as source, contextlib.suppress(OSError, ValueError):
            while request := _read(source):
                with self._lock:
                    self.requests.append(request)
                    script = self.scripts[min(len(self.requests), len(self.scripts)) - 1]
                conversation.request = request
                script(conversation)
        if self._stopping.is_set():
            # It may have begun after the others were closed.
            conversation.close()


def _read(source: Any) -> Recorded | None:
    first = source.readline().decode("latin-1").split()
    if len(first) < 2:
        return None
    headers = {}
    while (line := source.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    body = source.read(int(headers.get("content-length", 0)))
    return Recorded(first[0], first[1], headers, body)


def whole(body: bytes | str | Any, status: int = 200, **headers: str) -> bytes:
    """A response with a length, as bytes."""
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = {"Content-Type": "application/json", "x-amzn-RequestId": "req-1", "Content-Length": str(len(data))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + data


def failing(status: int, code: str, message: str, members: dict[str, Any] | None = None, **headers: str) -> Script:
    """An error in AWS's envelope."""
    return says(whole({"Message": message, **(members or {})}, status, x_amzn_ErrorType=code, **headers))


def says(response: bytes) -> Script:
    """Send those bytes and keep the connection open."""
    return lambda conversation: conversation.send(response)


def says_and_closes(response: bytes) -> Script:
    """Send those bytes and end the connection properly."""

    def script(conversation: Conversation) -> None:
        conversation.send(response)
        conversation.close()

    return script


def says_and_resets(response: bytes, after: float = 0.1) -> Script:
    """Send those bytes, let them arrive, and reset the connection."""

    def script(conversation: Conversation) -> None:
        conversation.send(response)
        conversation.wait(after)
        conversation.reset()

    return script


def says_and_stalls(response: bytes, seconds: float = 30) -> Script:
    """Send those bytes, then nothing."""

    def script(conversation: Conversation) -> None:
        conversation.send(response)
        conversation.wait(seconds)

    return script


def says_and_listens(response: bytes) -> Script:
    """Send those bytes, then wait until the client closes its side."""

    def script(conversation: Conversation) -> None:
        conversation.send(response)
        conversation.wait_for_the_end()

    return script


def drips(pieces: Iterable[bytes], every: float) -> Script:
    """Send a piece at a time with a pause after each."""

    def script(conversation: Conversation) -> None:
        for piece in pieces:
            conversation.send(piece)
            conversation.wait(every)

    return script


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """The URL of a port where connections are neither taken nor refused: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """The URL of a port where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\nx-amzn-RequestId: req-1\r\n"
    b"x-Amzn-Invoked-Production-Variant: AllTraffic\r\nX-Amzn-SageMaker-Content-Type: text/event-stream\r\n"
)


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def streamed(parts: Iterable[bytes], framing: str = "chunked") -> bytes:
    """A whole event stream, a frame for each part: chunked, with a length, or ended by the connection's end."""
    return framed([frames.payload_part(part) for part in parts], framing)


def framed(data: Iterable[bytes], framing: str = "chunked") -> bytes:
    """A response whose body holds those frames."""
    if framing == "chunked":
        chunks = b"".join(map(chunk, data))
        return STREAM_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    body = b"".join(data)
    length = b"Content-Length: %d\r\n" % len(body) if framing == "length" else b""
    return STREAM_HEAD + length + b"\r\n" + body


def chat_event(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """One event of an OpenAI-style stream."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': choices, **more})}\n\n".encode()


def chat_parts(*texts: str, finish: str = "stop") -> list[bytes]:
    """A whole OpenAI-style stream, an event to a part."""
    usage = {"prompt_tokens": 7, "completion_tokens": len(texts), "total_tokens": 7 + len(texts)}
    return [
        chat_event({"role": "assistant", "content": ""}),
        *(chat_event({"content": text}) for text in texts),
        chat_event({}, finish),
        chat_event(usage=usage),
        b"data: [DONE]\n\n",
    ]


def chat_stream(*texts: str, finish: str = "stop", framing: str = "chunked") -> bytes:
    """The response of an OpenAI-style container that streams."""
    return streamed(chat_parts(*texts, finish=finish), framing)


def chat_whole(text: str, finish: str = "stop", **headers: str) -> bytes:
    """The response of an OpenAI-style container that answers whole."""
    return whole(
        {
            "object": "chat.completion",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish},
            ],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        },
        **headers,
    )


def tgi_event(text: str, whole: str | None = None, special: bool = False, **details: Any) -> bytes:
    """One event of TGI's stream; the last one has the whole text."""
    token = {"id": 1, "text": text, "logprob": -0.1, "special": special}
    event = {"index": 1, "token": token, "generated_text": whole, "details": details or None}
    return f"data:{json.dumps(event)}\n\n".encode()


def tgi_parts(*texts: str, finish: str = "eos_token") -> list[bytes]:
    """A whole stream of TGI, an event to a part."""
    details = {"finish_reason": finish, "generated_tokens": len(texts), "seed": None, "input_length": 7}
    return [*map(tgi_event, texts), tgi_event("</s>", "".join(texts), special=True, **details)]


def tgi_whole(text: str, finish: str = "eos_token") -> bytes:
    """The response of TGI that answers whole."""
    return whole([{"generated_text": text, "details": {"finish_reason": finish, "generated_tokens": 3}}])
