"""What each failure of botocore and urllib3 means: the one place where foreign exceptions become ours."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import botocore.eventstream as frames
import botocore.exceptions as aws
import botocore.parsers
import urllib3.exceptions as http

from sm_ask import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

_STREAM = "InvokeEndpointWithResponseStream"
#: What the operations of SageMaker begin with; all others are those of who gives credentials.
_CALLS = ("InvokeEndpoint", "Describe", "List")
#: How much of what the service says is shown.
_LONGEST = 500
_CERTIFICATES = "a company's own certificates go into a file that AWS_CA_BUNDLE names; the proxy may have them, too"
_SEE_CREDENTIALS = "check the credentials: --aws-profile, AWS_PROFILE, or the AWS_ACCESS_KEY_ID family"

#: What an exception means by its class, or else by the nearest of its parents.
MEANINGS: dict[type[Exception], type[errors.SmAskError]] = {
    aws.BotoCoreError: errors.ConfigError,
    aws.NoCredentialsError: errors.CredentialsError,
    aws.PartialCredentialsError: errors.CredentialsError,
    aws.CredentialRetrievalError: errors.CredentialsError,
    aws.NoAuthTokenError: errors.CredentialsError,
    aws.TokenRetrievalError: errors.CredentialsError,
    aws.UnknownTokenProviderError: errors.CredentialsError,
    aws.UnknownCredentialError: errors.CredentialsError,
    aws.RefreshWithMFAUnsupportedError: errors.CredentialsError,
    aws.MetadataRetrievalError: errors.CredentialsError,
    aws.ProfileNotFound: errors.CredentialsError,
    aws.InfiniteLoopConfigError: errors.CredentialsError,
    aws.SSOError: errors.CredentialsError,
    aws.LoginError: errors.CredentialsError,
    aws.ConnectionError: errors.NetworkError,
    aws.HTTPClientError: errors.ConnectionLostError,
    aws.ReadTimeoutError: errors.TimedOutError,
    aws.ConnectTimeoutError: errors.NetworkError,
    aws.ResponseStreamingError: errors.IncompleteError,
    aws.IncompleteReadError: errors.IncompleteError,
    aws.ChecksumError: errors.IncompleteError,
    aws.ParamValidationError: errors.UsageError,
    aws.ValidationError: errors.UsageError,
    # Settings: regions, endpoints, files, and what is installed.
    aws.InvalidRegionError: errors.ConfigError,
    aws.NoRegionError: errors.ConfigError,
    aws.UnknownRegionError: errors.ConfigError,
    aws.ServiceNotInRegionError: errors.ConfigError,
    aws.BaseEndpointResolverError: errors.ConfigError,
    aws.EndpointProviderError: errors.ConfigError,
    aws.InvalidEndpointConfigurationError: errors.ConfigError,
    aws.InvalidHostLabelError: errors.ConfigError,
    aws.InvalidIMDSEndpointError: errors.ConfigError,
    aws.InvalidIMDSEndpointModeError: errors.ConfigError,
    aws.InvalidProxiesConfigError: errors.ConfigError,
    aws.InvalidSTSRegionalEndpointsConfigError: errors.ConfigError,
    aws.InvalidRetryConfigurationError: errors.ConfigError,
    aws.InvalidChecksumConfigError: errors.ConfigError,
    aws.InvalidDefaultsMode: errors.ConfigError,
    aws.InvalidConfigError: errors.ConfigError,
    aws.ConfigNotFound: errors.ConfigError,
    aws.ConfigParseError: errors.ConfigError,
    aws.DataNotFoundError: errors.ConfigError,
    aws.ApiVersionNotFoundError: errors.ConfigError,
    aws.MissingDependencyException: errors.ConfigError,
    aws.UnknownSignatureVersionError: errors.ConfigError,
    aws.UnsupportedSignatureVersionError: errors.ConfigError,
    aws.UnsupportedServiceProtocolsError: errors.ConfigError,
    botocore.parsers.ResponseParserError: errors.UnusableError,
    frames.ParserError: errors.IncompleteError,
    http.HTTPError: errors.ConnectionLostError,
    http.TimeoutError: errors.TimedOutError,
    http.ConnectTimeoutError: errors.NetworkError,
    http.NewConnectionError: errors.NetworkError,
    http.ProxyError: errors.NetworkError,
    http.SSLError: errors.NetworkError,
    http.LocationValueError: errors.ConfigError,
    http.URLSchemeUnknown: errors.ConfigError,
    http.ProxySchemeUnknown: errors.ConfigError,
    http.ProxySchemeUnsupported: errors.ConfigError,
    http.DecodeError: errors.UnusableError,
}

_HINTS: dict[type[errors.SmAskError], str] = {
    errors.CredentialsError: _SEE_CREDENTIALS,
    errors.NetworkError: "check the region, the endpoint URL, and the proxy settings",
    errors.TimedOutError: "it may have run and been charged; look before asking again",
    errors.ConnectionLostError: "it may have been processed and charged; look before asking again",
}


@contextlib.contextmanager
def translated(bad_value: type[errors.SmAskError]) -> Iterator[None]:
    """Turn what botocore and urllib3 raise inside the block into SmAskError; for the reading of a response too.

    Both raise a bare ValueError at times: ``bad_value`` says what it means at this point.
    """
    try:
        yield
    except aws.ClientError as error:
        raise service_error(error) from error
    except (aws.BotoCoreError, frames.ParserError, http.HTTPError, botocore.parsers.ResponseParserError) as error:
        raise _library_error(error) from error
    except ValueError as error:
        raise bad_value(_one_line(error)) from error


def _library_error(error: Exception) -> errors.SmAskError:
    if isinstance(error, aws.EndpointConnectionError):
        return _unreachable(error)
    if isinstance(error, aws.ConnectTimeoutError):
        return _unconnected(error)
    if isinstance(error, aws.HTTPClientError) and b"AWS4-HMAC" in repr(error).encode():
        # The message would quote the Authorization header.
        return errors.CredentialsError("the access key holds a character that no key has, such as a newline")
    if _within_handshake(error):
        return errors.NetworkError(
            f"TLS was not agreed on: {_one_line(_reason(error))}", hint=_HINTS[errors.NetworkError]
        )
    meaning = next(MEANINGS[parent] for parent in type(error).__mro__ if parent in MEANINGS)
    # urllib3 puts its cause into its text once more, as code.
    told = _reason(error) if isinstance(error, http.ProtocolError) else error
    return meaning(_one_line(told), hint=_CERTIFICATES if isinstance(error, aws.SSLError) else _HINTS.get(meaning))


def _within_handshake(error: BaseException | None) -> bool:
    """Tell whether a connection broke, or went silent, before anything could be sent over it."""
    while error is not None and not isinstance(error, (aws.SSLError, http.SSLError)):
        frame = error.__traceback__
        while frame is not None:
            if frame.tb_frame.f_code.co_name == "do_handshake":
                return True
            frame = frame.tb_next
        error = error.__cause__ or error.__context__
    return False


_CONNECT_TIMEOUT = re.compile(r"connect timeout=([\d.]+)")


def _unconnected(error: aws.ConnectTimeoutError) -> errors.SmAskError:
    found = _CONNECT_TIMEOUT.search(str(error.kwargs["error"]))
    time = f"{float(found[1]):g} s" if found else "time"
    host = _host(error.kwargs["endpoint_url"])
    return errors.NetworkError(f"could not connect in {time} to {host}", hint=_HINTS[errors.NetworkError])


def _unreachable(error: aws.EndpointConnectionError) -> errors.SmAskError:
    cause = error.kwargs["error"]
    url = error.kwargs["endpoint_url"]
    if isinstance(cause, http.NameResolutionError):
        return errors.NetworkError(f"the name of {_host(url)} cannot be resolved", hint="check the region")
    return errors.ConnectError(f"nothing answers at {_host(url)}: {_one_line(_reason(cause))}")


def _reason(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2]


_USER_INFO = re.compile(r"://[^/@\s]*@")


def _one_line(error: BaseException) -> str:
    return _USER_INFO.sub("://***@", " ".join(str(error).split())) or type(error).__name__


def service_error(error: aws.ClientError) -> errors.SmAskError:
    """Read an error response of AWS: the code first, then the status, as a proxy's answer has no code."""
    response: dict[str, Any] = dict(error.response)
    code = str(response.get("Error", {}).get("Code", ""))
    metadata = response.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode", 0)
    message = _one_line(ValueError(response.get("Error", {}).get("Message") or f"HTTP {status} with no message"))
    known: dict[str, Any] = {
        "request_id": metadata.get("RequestId"),
        "retry_after": _retry_after(metadata.get("HTTPHeaders", {})),
    }
    operation = error.operation_name
    if not operation.startswith(_CALLS) or code in BAD_CREDENTIALS:
        from sm_ask.aws import clock  # a refusal alone looks at it

        clocks = clock.difference(metadata.get("HTTPHeaders", {}))
        return errors.CredentialsError(f"{code}: {message}", hint=clocks or _SEE_CREDENTIALS, **known)
    if code == "ModelError" or status == 424:  # noqa: PLR2004 - HTTP statuses are best read as they are
        from sm_ask.aws import model_errors  # as rare as they are

        return model_errors.read(response, message, known, streamed=operation == _STREAM)
    if code in _BY_CODE:
        return _by_code(code, message[:_LONGEST], operation, known)
    return _by_status(status, code, message[:_LONGEST], metadata, known)


BAD_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}

_BY_CODE: dict[str, type[errors.SmAskError]] = {
    "ThrottlingException": errors.ThrottledError,
    "Throttling": errors.ThrottledError,
    "ThrottledException": errors.ThrottledError,
    "TooManyRequestsException": errors.ThrottledError,
    "RequestLimitExceeded": errors.ThrottledError,
    "ModelNotReadyException": errors.NotReadyError,
    "ServiceUnavailable": errors.UnavailableError,
    "ServiceUnavailableException": errors.UnavailableError,
    "InternalFailure": errors.ServiceFailureError,
    "InternalDependencyException": errors.ServiceFailureError,
    "AccessDenied": errors.DeniedError,
    "AccessDeniedException": errors.DeniedError,
    "ValidationError": errors.RefusedError,
    "ValidationException": errors.RefusedError,
}


def _by_code(code: str, message: str, operation: str, known: dict[str, Any]) -> errors.SmAskError:
    meaning = _BY_CODE[code]
    hint = None
    if meaning is errors.RefusedError and "no capacity" in message:
        meaning = errors.NotReadyError
    if meaning is errors.NotReadyError:
        hint = "use --wait to wait until the endpoint is ready"
    elif meaning is errors.ServiceFailureError:
        hint = "nothing tells whether the model ran; --retry-unsafe sends such a request again"
    elif meaning is errors.DeniedError:
        needed = "InvokeEndpoint on the endpoint's ARN" if operation.startswith("Invoke") else operation
        hint = f"the identity needs sagemaker:{needed}"
    elif "Inference Component Name header is required" in message:
        hint = "name one with --inference-component; `sm-ask endpoints NAME` lists them"
    elif "not found" in message or message.startswith("Could not find"):
        hint = "check the endpoint's name, the account and the region; `sm-ask endpoints` lists those there are"
    return meaning(f"{code}: {message}", hint=hint, **known)


def _by_status(
    status: int, code: str, message: str, metadata: dict[str, Any], known: dict[str, Any]
) -> errors.SmAskError:
    said = message if code == str(status) or not code else f"{code}: {message}"
    said = said if said.startswith("HTTP ") else f"HTTP {status}: {said}"
    if status in {301, 302, 303, 307, 308}:
        location = _host(metadata.get("HTTPHeaders", {}).get("location", ""))
        return errors.RefusedError(f"HTTP {status}: the service points to {location or 'nowhere'}", **known)
    if status == 429:  # noqa: PLR2004
        return errors.ThrottledError(said, **known)
    if status == 413:  # noqa: PLR2004
        from sm_ask.aws.model_errors import too_large  # as above

        return too_large(said, known)
    if status == 503:  # noqa: PLR2004
        return errors.UnavailableError(said, **known)
    if status >= 500:  # noqa: PLR2004
        hint = "nothing tells whether the model ran; --retry-unsafe sends such a request again"
        return errors.ServiceFailureError(said, hint=hint, **known)
    return errors.RefusedError(said, **known)


_SECONDS = re.compile(r"[0-9]{1,9}")


def _retry_after(headers: dict[str, str]) -> float | None:
    """Seconds that the service asks to wait: its own header counts milliseconds, HTTP's counts seconds."""
    for name, unit in (("x-amz-retry-after", 1000.0), ("retry-after", 1.0)):
        if _SECONDS.fullmatch(value := headers.get(name, "")):
            return int(value) / unit
    return None
