"""Every exception that botocore and urllib3 have is one of ours, on purpose."""

from __future__ import annotations

import inspect

import botocore.eventstream
import botocore.exceptions as aws
import botocore.parsers
import pytest
import urllib3.exceptions as http

from sm_ask import errors
from sm_ask.aws.failures import MEANINGS, translated

#: Classes that have no meaning of their own, by the reason why none of them comes up to us.
NEVER = {
    "parents of others, never raised themselves": {"BotoCoreError", "StubResponseError"},
    "S3 and its access points": {
        "InvalidDNSNameError",
        "InvalidS3AddressingStyleError",
        "InvalidS3UsEast1RegionalEndpointConfigError",
        "UnsupportedOutpostResourceError",
        "UnsupportedS3AccesspointConfigurationError",
        "UnsupportedS3ArnError",
        "UnsupportedS3ConfigurationError",
        "UnsupportedS3ControlArnError",
        "UnsupportedS3ControlConfigurationError",
    },
    "checksums of bodies, which the runtime's operations do not have": {
        "AwsChunkedWrapperError",
        "FlexibleChecksumError",
        "MD5UnavailableError",
    },
    "pages and waiters, which the runtime does not have": {
        "OperationNotPageableError",
        "PaginationError",
        "WaiterConfigError",
        "WaiterError",
    },
    "botocore's own tests": {"StubAssertionError", "UnStubbedResponseError"},
    "a method or a rule that a client does not have": {"InvalidExpressionError", "UnknownClientMethodError"},
    "Glacier, RDS, the query language of EC2, and DynamoDB": {
        "InvalidEndpointDiscoveryConfigurationError",
        "MissingParametersError",
        "UnknownServiceStyle",
    },
    "adaptive retries, which are off": {"CapacityNotAvailableError"},
    "bodies that are files; ours are bytes": {"UnseekableStreamError"},
}
UNREACHABLE = set().union(*NEVER.values())


def classes(module, *roots):
    """The exceptions that a module defines, warnings left out: nobody raises those."""
    return [
        value
        for _, value in inspect.getmembers(module, inspect.isclass)
        if value.__module__ == module.__name__
        and issubclass(value, roots or Exception)
        and not issubclass(value, Warning)
    ]


def nearest(kind):
    return next((parent for parent in kind.__mro__ if parent in MEANINGS), None)


@pytest.mark.parametrize("kind", classes(aws, aws.BotoCoreError), ids=lambda kind: kind.__name__)
def test_each_exception_of_botocore_has_a_meaning(kind):
    """Or a reason why it does not come: the root's meaning is for what nobody has thought of."""
    assert (nearest(kind) is aws.BotoCoreError) == (kind.__name__ in UNREACHABLE)


def test_the_others_of_botocore_are_known():
    """ClientError is read by its code; the rest tells of a broken model of a service."""
    others = {kind.__name__ for kind in classes(aws) if not issubclass(kind, aws.BotoCoreError)}
    assert others == {"ClientError", "EventStreamError", "UndefinedModelAttributeError", "MissingServiceIdError"}


@pytest.mark.parametrize("module", [botocore.eventstream, botocore.parsers, http], ids=lambda module: module.__name__)
def test_each_exception_of_the_other_libraries_has_a_meaning(module):
    found = classes(module)
    assert found
    assert all(nearest(kind) for kind in found)


def test_no_reason_is_given_for_what_is_not_there():
    """Newer releases add classes; they do not take any away without notice here."""
    assert {kind.__name__ for kind in classes(aws)} >= UNREACHABLE


def raised(error: Exception) -> errors.SmAskError:
    with pytest.raises(errors.SmAskError) as caught, translated(bad_value=errors.ConfigError):
        raise error
    return caught.value


def client_error(code: str, operation: str, status: int = 400, **headers: str) -> aws.ClientError:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    return aws.ClientError({"Error": {"Code": code, "Message": "said"}, "ResponseMetadata": metadata}, operation)


URL = "https://user:secret@runtime.example/path"
CASES = {
    "no credentials": (aws.NoCredentialsError(), errors.CredentialsError),
    "read timeout": (aws.ReadTimeoutError(endpoint_url=URL, error="x"), errors.TimedOutError),
    "read timeout of urllib3": (http.ReadTimeoutError(None, URL, "late"), errors.TimedOutError),
    "closed": (aws.ConnectionClosedError(endpoint_url=URL), errors.ConnectionLostError),
    "broken": (http.ProtocolError("Connection broken", OSError("reset")), errors.ConnectionLostError),
    "TLS": (aws.SSLError(endpoint_url=URL, error="bad certificate"), errors.NetworkError),
    "proxy": (aws.ProxyConnectionError(proxy_url="http://***:***@proxy", error="x"), errors.NetworkError),
    "connect timeout": (aws.ConnectTimeoutError(endpoint_url=URL, error="x"), errors.NetworkError),
    "checksum": (botocore.eventstream.ChecksumMismatch(1, 2), errors.IncompleteError),
    "garbage": (botocore.parsers.ResponseParserError("odd"), errors.UnusableError),
    "bad value": (ValueError("Invalid endpoint: x"), errors.ConfigError),
    "throttled": (client_error("ThrottlingException", "InvokeEndpoint"), errors.ThrottledError),
    "AssumeRole": (client_error("AccessDenied", "AssumeRole", 403), errors.CredentialsError),
    "denied": (client_error("AccessDenied", "InvokeEndpoint", 403), errors.DeniedError),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_raised_is_ours(case):
    error, meaning = CASES[case]
    failure = raised(error)
    assert type(failure) is meaning
    assert failure.__cause__ is error
    assert failure.message
    assert "secret" not in failure.message


def test_a_failure_of_another_operation_is_not_blamed_on_the_endpoint():
    """A role is assumed within the first call, and its refusal surfaces there."""
    assert "SM_ASK" not in raised(CASES["AssumeRole"][0]).message
    assert "InvokeEndpoint" not in (raised(CASES["AssumeRole"][0]).hint or "")


def test_an_error_that_quotes_the_signature_is_not_shown():
    """A key with a newline makes the HTTP library quote the whole header."""
    header = "Invalid header value b'AWS4-HMAC-SHA256 Credential=AKIA/…, Signature=abc'"
    failure = raised(aws.HTTPClientError(error=ValueError(header)))
    assert isinstance(failure, errors.CredentialsError)
    assert "Signature" not in failure.message
    assert "Credential=" not in failure.message


def test_each_error_says_what_a_script_may_do():
    """What may be sent again has not been paid for, unless it says so."""
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    assert len({kind.kind for kind in kinds}) == len(kinds)
    for kind in kinds:
        assert 1 <= kind.code <= 16
        assert kind.__doc__
        assert not (kind.retryable and kind.maybe_charged) or kind is errors.ServiceFailureError
