"""What the network does to a call: rows N of the fault matrix, with the requests counted."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import ssl
import sys
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server import (
    Conversation,
    Server,
    black_hole,
    chat_stream,
    chat_whole,
    drips,
    nobody,
    says,
    says_and_closes,
    says_and_resets,
    says_and_stalls,
    whole,
)

OPERATIONS = ["--stream", "--no-stream"]
TO = ["-e", "ep", "--region", "us-west-2", "--endpoint-url"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nobody_listens(cli, operation):
    """Row N1."""
    started = time.monotonic()
    with nobody() as url:
        done = cli("prompt", "hi", operation, *TO, url)
    assert (done.code, done.out) == (8, b"")
    assert url.removeprefix("http://") in done.err
    assert "tried 4 times" in done.err
    assert time.monotonic() - started < 10


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_nobody_answers_the_first_packet(cli, operation):
    """Row N2: nothing was sent, so nothing was paid for, and there is no second wait."""
    started = time.monotonic()
    with black_hole() as url:
        done = cli("prompt", "hi", operation, "--timeout", "1", *TO, url)
    assert (done.code, done.out) == (8, b"")
    assert "could not connect in 1 s" in done.err
    assert time.monotonic() - started < 10


BROKEN = {"closed": says_and_closes(b""), "reset": says_and_resets(b""), "no HTTP": says_and_closes(b"220 smtp\r\n")}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("how", BROKEN)
def test_the_connection_breaks_before_the_response(cli, serve, operation, how):
    """Row N8."""
    server = serve(BROKEN[how])
    done = cli("prompt", "hi", operation, "--json", server=server)
    error = json.loads(done.err.splitlines()[-1])
    assert (done.code, done.out, len(server.requests)) == (7, b"", 1)
    assert "may have been processed" in error["hint"]
    assert (error["retryable"], error["maybe_charged"]) == (False, True)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_retry_unsafe_asks_again_after_a_broken_connection(cli, serve, operation):
    """Row N8."""
    answer = {"--stream": chat_stream("Hello"), "--no-stream": chat_whole("Hello")}[operation]
    server = serve(BROKEN["reset"], says(answer))
    done = cli("prompt", "hi", operation, "--retry-unsafe", server=server)
    assert (done.code, done.text, len(server.requests)) == (0, "Hello\n", 2)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_answer_in_time(cli, serve, operation):
    """Row N9."""
    server = serve(says_and_stalls(b""))
    started = time.monotonic()
    done = cli("prompt", "hi", operation, "--timeout", "0.5", server=server)
    assert (done.code, done.out, len(server.requests)) == (7, b"", 1)
    assert "not whole after 0." in done.err
    assert "may have run and been charged" in done.err
    assert time.monotonic() - started < 10


def test_no_byte_of_a_stream_in_time(cli, serve):
    """Row N9."""
    server = serve(says_and_stalls(b""))
    done = cli("prompt", "hi", "--idle-timeout", "0.5", server=server)
    assert (done.code, done.out, len(server.requests)) == (7, b"", 1)
    assert "nothing came for 0.5 s" in done.err


@pytest.mark.parametrize("end", [says_and_closes, says_and_resets])
@pytest.mark.parametrize("at", [3, 120, -60, -20, -1])
def test_a_whole_answer_that_is_cut(cli, serve, end, at):
    """Row N10: for the other bytes, see the sweep in test_streams."""
    server = serve(end(chat_whole("Hello, world")[:at]))
    done = cli("prompt", "hi", "--no-stream", server=server)
    assert (done.code, done.out, len(server.requests)) == (7 if at == 3 else 10, b"", 1)
    assert at == 3 or "the answer is incomplete after 0 characters" in done.err


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(cli, serve, operation, status):
    """Row N11: the prompt and the signature are for nobody else."""
    elsewhere = serve(says(chat_stream("stolen")))
    server = serve(says(whole("", status, Location=f"{elsewhere.url}/endpoints/ep/invocations")))
    done = cli("prompt", "hi", operation, server=server)
    assert (done.code, done.out, len(server.requests)) == (5, b"", 1)
    assert elsewhere.url.removeprefix("http://") in done.err
    assert (elsewhere.connections, elsewhere.requests) == (0, [])


PORTAL = b"<html><form>Please sign in</form></html>"


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("media", ["text/html", "Text/HTML; charset=utf-8"])
@pytest.mark.parametrize("framing", ["length", "close"])
def test_a_captive_portal_is_no_model(cli, serve, operation, media, framing):
    """Row N12."""
    length = f"Content-Length: {len(PORTAL)}\r\n" if framing == "length" else ""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media}\r\n{length}\r\n"
    server = serve(says_and_closes(head.encode() + PORTAL))
    done = cli("prompt", "hi", operation, server=server)
    assert (done.code, done.out, len(server.requests)) == (11, b"", 1)
    assert "text/html" in done.err
    assert "Please sign in" not in done.err


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> tuple[ssl.SSLContext, str]:
    """A server's side of TLS, and the bundle that trusts it."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(encoding) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, str(path)


OVER_TLS = {
    "whole": (says(chat_stream("Hello", " world")), 0, "Hello world\n"),
    "closed before": (says_and_closes(b""), 7, ""),
    "reset before": (says_and_resets(b""), 7, ""),
    "closed within": (says_and_closes(chat_stream("Hello", " world")[:-300]), 10, "Hello world\n"),
    "reset within": (says_and_resets(chat_stream("Hello", " world")[:-300]), 10, "Hello world\n"),
    "stalled": (says_and_stalls(chat_stream("Hello", " world")[:-300]), 10, "Hello world\n"),
    "dripping": (drips([chat_stream("Hello")[:-300], *[b"0"] * 100], 0.1), 10, "Hello\n"),
}


@pytest.mark.parametrize("how", OVER_TLS)
def test_the_same_over_tls(cli, monkeypatch, tls, how):
    """Rows N8, N9, N10, T1, T9, T10: encryption changes no exit code."""
    context, bundle = tls
    monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
    script, code, text = OVER_TLS[how]
    with Server(script, tls=context) as server:
        done = cli("prompt", "hi", "--timeout", "1", server=server)
        assert (done.code, done.text, len(server.requests)) == (code, text, 1)


def test_a_dripping_answer_over_tls_ends_at_its_deadline(cli, monkeypatch, tls):
    """Row T10, for a whole answer."""
    context, bundle = tls
    monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
    response = chat_whole("Hello")
    with Server(drips([response[:-50], *(response[-50:-i] for i in range(50, 0, -1))], 0.1), tls=context) as server:
        done = cli("prompt", "hi", "--no-stream", "--timeout", "1", server=server)
        assert (done.code, done.out, len(server.requests)) == (7, b"", 1)
    assert "not whole after" in done.err


@pytest.mark.parametrize(
    "answer",
    [says_and_closes(whole("", 400)), says_and_resets(b""), says_and_stalls(b"")],
    ids=["complains", "hangs up", "waits"],
)
def test_tls_to_a_port_that_speaks_http(cli, answer):
    """Row N13: it complains in clear, hangs up, or waits for a line that does not come; nothing could be processed."""

    def raw(conversation: Conversation) -> None:
        conversation.connection.recv(1000)
        answer(conversation)

    with Server(raw, raw=True) as server:
        url = server.url.replace("http://", "https://")
        done = cli("prompt", "hi", *TO, url, "--idle-timeout", "1", "--retries", "0")
    assert (done.code, done.out) == (8, b""), done.err


def test_http_to_a_port_that_speaks_tls(cli, tls):
    """Row N13: no request was understood there, which from here looks like any connection that breaks."""
    with Server(says(chat_stream("Hello")), tls=tls[0]) as server:
        done = cli("prompt", "hi", *TO, server.url.replace("https://", "http://"), "--retries", "0")
        assert (done.out, server.requests) == (b"", [])
    assert done.code in (7, 8), done.err
