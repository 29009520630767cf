"""Every expected failure: its exit code, its kind, and what a script may do about it.

SmAskError                  1   a bug of ours, or a failure that nothing else describes
├── UsageError              2
├── ConfigError             3
├── CredentialsError        4
│   └── AssumeRoleError         the role may not be assumed
├── RefusedError            5   not found, denied, invalid
│   └── DeniedError             the identity may not make the call
├── TemporaryError          6
│   ├── ThrottledError          the model did not run
│   ├── UnavailableError        the model did not run
│   ├── NotReadyError           the model did not run: it is loading, or the endpoint scales up from zero
│   └── ServiceFailureError     nothing tells whether the model ran
├── UnknownOutcomeError     7
│   ├── TimedOutError
│   └── ConnectionLostError
├── NetworkError            8   not processed
│   └── ConnectError            nobody listens: worth another try
├── ModelError              9
│   ├── ContextError            refused: the question is too long for the model
│   └── SchemaError             refused: the container expects another body
├── IncompleteError        10
├── UnusableError          11
│   └── NoTextError             the answer came, and holds no text
├── InputError             12
├── OutputError            13
├── LockedError            14
├── RowsFailedError        15
└── NotInDocumentsError    16
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sm_ask.redaction import redacted

if TYPE_CHECKING:
    from typing import Any


class SmAskError(Exception):
    """A failure with an exit code, a cause in one line, and where there is one, the next step."""

    code: ClassVar[int] = 1
    kind: ClassVar[str] = "unexpected"
    #: The same request may be sent again later.
    retryable: ClassVar[bool] = False
    #: Seconds before the first retry; doubled for each further one.
    backoff: ClassVar[float] = 1.0
    #: The model may have run, and the call may have been paid for.
    maybe_charged: bool = False

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        maybe_charged: bool | None = None,
    ) -> None:
        """Take what happened, what to do next, AWS's request id, and the seconds a service asked to wait."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.request_id = request_id
        self.retry_after = retry_after
        self.attempts = 0
        if maybe_charged is not None:
            self.maybe_charged = maybe_charged

    def __str__(self) -> str:
        """Give the message, with what was added to it on the way, and without secrets."""
        return redacted(self.message)


class UsageError(SmAskError):
    """The command line asks for something that cannot be done."""

    code = 2
    kind = "usage"


class ConfigError(SmAskError):
    """A configuration file, an environment variable or an installation is not right."""

    code = 3
    kind = "configuration"


class CredentialsError(SmAskError):
    """No credentials, or ones that AWS does not accept."""

    code = 4
    kind = "credentials"


class AssumeRoleError(CredentialsError):
    """The identity may not assume a role."""

    kind = "assume_role_denied"


class RefusedError(SmAskError):
    """The service refuses: not found, denied, or invalid."""

    code = 5
    kind = "refused"


class DeniedError(RefusedError):
    """The identity has no permission for the call."""

    kind = "denied"


class TemporaryError(SmAskError):
    """It may work later."""

    code = 6
    kind = "temporary"
    retryable = True


class ThrottledError(TemporaryError):
    """Too many requests; this one was not processed."""

    kind = "throttled"


class UnavailableError(TemporaryError):
    """The service or the container takes no requests now; this one was not processed."""

    kind = "unavailable"


class NotReadyError(TemporaryError):
    """The model is still loading, or its endpoint has no instance yet."""

    kind = "not_ready"


class ServiceFailureError(TemporaryError):
    """The service, or something on the way to it, failed; whether the model ran is not known."""

    kind = "service_failure"
    maybe_charged = True


class UnknownOutcomeError(SmAskError):
    """The request went out and no answer came back."""

    code = 7
    kind = "unknown_outcome"
    maybe_charged = True


class TimedOutError(UnknownOutcomeError):
    """No answer came in time."""

    kind = "timed_out"


class ConnectionLostError(UnknownOutcomeError):
    """The connection broke after the request was sent and before anything came back."""

    kind = "connection_lost"


class NetworkError(SmAskError):
    """The service could not be reached; the request was not processed."""

    code = 8
    kind = "network"


class ConnectError(NetworkError):
    """Nobody answered at the address."""

    kind = "connect"
    retryable = True
    backoff = 0.2


class ModelError(SmAskError):
    """The model's container failed."""

    code = 9
    kind = "model_error"
    maybe_charged = True


class ContextError(ModelError):
    """The question, with room for the answer, is longer than the model's context; the container refused it."""

    kind = "context_too_long"
    maybe_charged = False

    def __init__(self, message: str, *, limit: int | None = None, **known: Any) -> None:  # noqa: ANN401 - as above
        """Take the number of tokens that the container says it takes, besides what every error takes."""
        super().__init__(message, **known)
        self.limit = limit


class SchemaError(ModelError):
    """The container expects a body of another shape; it refused this one, and nothing was generated."""

    kind = "wrong_schema"
    maybe_charged = False

    def __init__(self, message: str, *, presets: tuple[str, ...] = (), **known: Any) -> None:  # noqa: ANN401
        """Take the names of the content handlers that may fit, besides what every error takes."""
        super().__init__(message, **known)
        self.presets = presets


class IncompleteError(SmAskError):
    """The answer is cut short."""

    code = 10
    kind = "incomplete"
    maybe_charged = True


class UnusableError(SmAskError):
    """The response is empty, or is not what the content handler expects."""

    code = 11
    kind = "unusable"
    maybe_charged = True


class NoTextError(UnusableError):
    """The model answered, with no text."""

    kind = "no_text"


class InputError(SmAskError):
    """A prompt or a document cannot be used."""

    code = 12
    kind = "input"


class OutputError(SmAskError):
    """The answer cannot be written."""

    code = 13
    kind = "output"


class LockedError(SmAskError):
    """Another run holds the output."""

    code = 14
    kind = "locked"


class RowsFailedError(SmAskError):
    """A batch came to its end, and some of its rows failed."""

    code = 15
    kind = "rows_failed"


class NotInDocumentsError(SmAskError):
    """The documents do not hold the answer to the question."""

    code = 16
    kind = "not_in_documents"
    maybe_charged = True
