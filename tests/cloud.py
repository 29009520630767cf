"""A loopback stand-in for what moto cannot do: STS and instance metadata that fail, and a runtime that records keys."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import ipaddress
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server import Recorded, chat_stream, whole

ROLE = "arn:aws:iam::123456789012:role/ask"
SECOND = "arn:aws:iam::210987654321:role/far"
USER = "arn:aws:iam::111111111111:user/ana"
_STS = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'


class Cloud:
    """Every service of AWS that sm-ask speaks to, at one address; each answer can be replaced."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.lifetime = 3600.0
        self.answers: dict[str, Callable[[Recorded], bytes]] = {}
        self._lock = threading.Lock()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def calls(self, name: str) -> list[Recorded]:
        """The requests of one kind: an action of STS or SageMaker, `invoke`, `token`, `roles`, `role` or `zone`."""
        return [request for request in self.requests if kind(request) == name]

    def asked(self, name: str) -> list[dict[str, str]]:
        """The parameters of the calls of one of STS's actions."""
        return [dict(parse_qsl(call.body.decode())) for call in self.calls(name)]

    def keys(self) -> list[str]:
        """The access keys that signed the requests to the model."""
        return [key(call) for call in self.calls("invoke")]

    def answer(self, request: Recorded) -> bytes:
        with self._lock:
            self.requests.append(request)
            number = len(self.calls("AssumeRole"))
        name = kind(request)
        if name in self.answers:
            return self.answers[name](request)
        if name == "AssumeRole":
            return self.session(request, f"ASIAHOP{number}", self.lifetime)
        if name == "AssumeRoleWithWebIdentity":
            return self.session(request, "ASIAWEB", self.lifetime)
        if name == "GetCallerIdentity":
            return xml("GetCallerIdentity", f"<Arn>{USER}</Arn><UserId>A</UserId><Account>111111111111</Account>")
        if "x-amz-target" in request.headers:
            return described(name, json.loads(request.body))
        return {
            "invoke": chat_stream("Hello"),
            "token": whole("a-token", Content_Type="text/plain"),
            "roles": whole("node", Content_Type="text/plain"),
            "role": whole(instance_keys(6)),
            "zone": whole("eu-west-1b", Content_Type="text/plain"),
        }[name]

    def session(self, request: Recorded, access_key: str, lifetime: float) -> bytes:
        asked = dict(parse_qsl(request.body.decode()))
        arn = asked["RoleArn"].replace(":iam:", ":sts:").replace("role/", "assumed-role/")
        ends = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=lifetime)
        return xml(
            asked["Action"],
            f"<Credentials><AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>s3</SecretAccessKey>"
            f"<SessionToken>t0ken</SessionToken><Expiration>{ends.isoformat()}</Expiration></Credentials>"
            f"<AssumedRoleUser><AssumedRoleId>A:B</AssumedRoleId><Arn>{arn}/{asked['RoleSessionName']}</Arn></AssumedRoleUser>",
        )

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        cloud = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.wfile.write(cloud.answer(Recorded(self.command, self.path, headers, body)))

            do_GET = do_PUT = do_POST = _any  # noqa: N815 - the names are http.server's

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def kind(request: Recorded) -> str:
    if target := request.headers.get("x-amz-target"):
        return target.removeprefix("SageMaker.")
    if found := re.search(rb"Action=(\w+)", request.body):
        return found[1].decode()
    if "/endpoints/" in request.path:
        return "invoke"
    for path, name in (("/api/token", "token"), ("/security-credentials/", "roles"), ("-zone/", "zone")):
        if request.path.endswith(path):
            return name
    return "role"


IMAGE = "111122223333.dkr.ecr.us-west-2.amazonaws.com/vllm:v0.10.2"
_VARIANT = {"VariantName": "AllTraffic", "DeployedImages": [{"SpecifiedImage": IMAGE}]}
#: What an endpoint of any name is, unless a test says otherwise.
DESCRIBED: dict[str, dict[str, Any]] = {
    "DescribeEndpoint": {
        "EndpointConfigName": "config",
        "EndpointStatus": "InService",
        "ProductionVariants": [_VARIANT],
    },
    "DescribeEndpointConfig": {"ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": "model"}]},
    "DescribeModel": {"PrimaryContainer": {"Image": IMAGE, "Environment": {}}},
    "DescribeInferenceComponent": {
        "InferenceComponentArn": "arn:aws:sagemaker:us-west-2:111111111111:inference-component/x",
        "Specification": {"ModelName": "model"},
    },
}


def described(name: str, asked: dict[str, str], **more: Any) -> bytes:
    """What the control plane answers."""
    known = {"EndpointName": "ep", "EndpointArn": "arn:aws:sagemaker:us-west-2:111111111111:endpoint/ep", **asked}
    return whole({**known, **DESCRIBED.get(name, {}), **more}, Content_Type="application/x-amz-json-1.1")


def key(request: Recorded) -> str:
    """The access key that signed a request."""
    return request.headers["authorization"].split("Credential=")[1].split("/")[0]


def xml(action: str, content: str) -> bytes:
    text = f"<{action}Response {_STS}><{action}Result>{content}</{action}Result></{action}Response>"
    return whole(text, Content_Type="text/xml")


def refusal(code: str, message: str, status: int = 403, **headers: str) -> Callable[[Recorded], bytes]:
    text = f"<ErrorResponse {_STS}><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    return lambda _: whole(text, status, Content_Type="text/xml", **headers)


def instance_keys(hours: float) -> str:
    ends = dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=hours)
    known = {"AccessKeyId": "ASIAINSTANCE", "SecretAccessKey": "s", "Token": "t", "Code": "Success"}
    return json.dumps(known | {"Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ")})


@contextlib.contextmanager
def mute() -> Iterator[tuple[str, list[socket.socket]]]:
    """The URL of a port that takes connections and never answers, and the connections."""
    taken: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                taken.append(listener.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", taken
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in taken:
            connection.close()


def self_signed(folder: Path, host: str = "127.0.0.1") -> tuple[ssl.SSLContext, str]:
    """A server's side of TLS for that address, and the bundle that trusts it."""
    path = folder / "certificate.pem"
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now, day = dt.datetime.now(dt.timezone.utc), dt.timedelta(days=1)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
    builder = x509.CertificateBuilder(
        name, name, private.public_key(), x509.random_serial_number(), now - day, now + day
    )
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem = serialization.Encoding.PEM
    kept = private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(builder.sign(private, hashes.SHA256()).public_bytes(pem) + kept)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, str(path)
