"""From the configuration to one real token: each step to an answer, what it found, and what it takes where it fails."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar

from sm_ask import connection, profiles
from sm_ask.chat import Message, Request
from sm_ask.errors import (
    AssumeRoleError,
    ConfigError,
    CredentialsError,
    DeniedError,
    NetworkError,
    NoTextError,
    SmAskError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sm_ask.aws.clock import Watch
    from sm_ask.aws.hops import Assumed
    from sm_ask.aws.identity import Identity
    from sm_ask.aws.session import Entry, Place
    from sm_ask.aws.sources import Left
    from sm_ask.connection import Setup

_Found = TypeVar("_Found")
Status: TypeAlias = Literal["ok", "failed", "skipped"]

#: Seconds that each service may take; a diagnosis that hangs is none.
PATIENCE = 10.0
_HERE = "the endpoint on this machine needs none"
_QUESTION = Request((Message("user", "Say hi"),), {"max_tokens": 1})


class Step(NamedTuple):
    """One step: what was found, or why it failed or was left out, and what to do about it."""

    name: str
    status: Status
    found: str
    #: A command to run, or what to change.
    fix: str | None = None
    #: A statement that is missing in an IAM policy.
    statement: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    error: SmAskError | None = None


class _SkippedError(Exception):
    """A step cannot be taken, or need not be; the text says why."""


def examine(settle: Callable[[], Setup], *, invoke: bool, tell: Callable[[str], None]) -> Iterator[Step]:
    """Yield each step as soon as it is taken; ``invoke`` allows the one that costs a token, ``tell`` takes warnings."""
    look = _Examination(settle, tell)
    yield look.step("configuration", look.configuration)
    yield look.step("profile", look.profile)
    yield look.step("region", look.region)
    yield look.step("credentials", look.credentials)
    for number in range(look.roles):
        yield look.step(f"role {number + 1}", functools.partial(look.assume, number))
    yield look.step("identity", look.identity)
    yield look.step("clock", look.clock)
    yield look.step("permission", functools.partial(look.permission, invoke=invoke))
    yield look.step("answer", look.answer)


class _Examination:
    """What is known so far; a step that needs more than that is skipped."""

    def __init__(self, settle: Callable[[], Setup], tell: Callable[[str], None]) -> None:
        self._settle, self._tell = settle, tell
        self._setup: Setup | None = None
        self._place: Place | None = None
        self._entry: Entry | None = None
        self._who: Identity | None = None
        self._watch: Watch | None = None
        self._failure: SmAskError | None = None
        self._answer: str | None = None
        self._notes: list[str] = []
        self._roles: list[Assumed] = []

    def step(self, name: str, look: Callable[[], str]) -> Step:
        self._notes = []
        try:
            return Step(name, "ok", look(), notes=tuple(self._notes))
        except _SkippedError as skipped:
            return Step(name, "skipped", str(skipped), notes=tuple(self._notes))
        except SmAskError as error:
            return Step(name, "failed", error.message, error.hint, self._statement(error), tuple(self._notes), error)

    def configuration(self) -> str:
        self._setup = self._settle()
        return self._setup.source or "no profiles file; options and variables decide"

    def profile(self) -> str:
        settings = _needed(self._setup, "configuration").settings
        if settings.endpoint is None and settings.name != profiles.LOCAL:
            hint = "name one with --endpoint, SM_ASK_ENDPOINT, or a profile; `sm-ask profiles init` writes a first one"
            raise ConfigError("no endpoint is named", hint=hint)
        name = f"profile {settings.name}" if settings.name else "no profile"
        return f"{name}: endpoint {settings.endpoint or profiles.LOCAL}"

    def region(self) -> str:
        setup = _needed(self._setup, "configuration")
        from sm_ask.aws import session
        from sm_ask.aws.clock import Watch
        from sm_ask.aws.failures import translated

        self._watch = Watch()
        with translated(bad_value=ConfigError):
            self._place = session.settle(connection.access_to(setup), timeout=PATIENCE, tell=self._tell)
        self._place.session.register("response-received", self._watch.note)
        origin = self._place.region.origin
        told = "--region, SM_ASK_REGION or the profile"
        return f"{self._place.region.value}, from {told if origin == 'given' else origin}"

    def credentials(self) -> str:
        place = _needed(self._place, "region")
        if place.access.keys:
            self._entry = place.entry(None)
            raise _SkippedError(_HERE)
        lacking: dict[str, list[str]] = {}
        try:
            return self._found(place, lambda source, lacks: lacking.setdefault(source, []).append(lacks))
        finally:
            self._notes = [f"{source}: {', '.join(lacks)}" for source, lacks in lacking.items()]

    def _found(self, place: Place, left: Left) -> str:
        from sm_ask.aws import identity, origins, sources
        from sm_ask.aws.failures import translated

        with translated(bad_value=CredentialsError):
            first = place.first(left)
            last = place.last(first)
            roles = identity.hops(last)
            sources.settle(place.session, roles[0].source if roles else first)
        self._roles = roles
        if not roles:
            self._entry = place.entry(last)
        return origins.credentials(place.session, first)

    @property
    def roles(self) -> int:
        """How many roles are on the way: those found, or else those that were named."""
        return len(self._roles or (self._place.access.hops if self._place else ()))

    def assume(self, number: int) -> str:
        from sm_ask.aws import sources
        from sm_ask.aws.failures import translated

        place = _needed(self._place, "region")
        if not self._roles:
            raise _SkippedError("there are no credentials to assume it with")
        role = self._roles[number]
        if number and self._roles[number - 1].arn is None:
            raise _SkippedError("the role before was not assumed")
        try:
            with translated(bad_value=CredentialsError):
                sources.settle(place.session, role)
        except SmAskError as error:
            if role.hop.role_arn not in error.message:
                error.message = f"{role.hop.role_arn}: {error.message}"
            raise
        if role is self._roles[-1]:
            self._entry = place.entry(role)
        kept = " (kept from before)" if role.cached else ""
        return f"{role.arn} until {role.expires:%Y-%m-%d %H:%M:%S} UTC{kept}"

    def identity(self) -> str:
        entry = self._inside()
        if entry.credentials is None:
            raise _SkippedError(_HERE)
        from sm_ask.aws import identity

        self._who = identity.ask(entry.sts)
        if entry.access.expect_account:
            try:
                identity.expect(entry.access.expect_account, self._who.account)
            except SmAskError:
                # Nothing is asked under another account.
                self._entry = None
                raise
        return f"{self._who.arn} in account {self._who.account}"

    def clock(self) -> str:
        if self._watch is None or self._watch.off is None:
            raise _SkippedError("nothing of AWS has answered yet")
        if self._watch.wrong:
            raise CredentialsError(self._watch.wrong, hint="set this machine's clock; AWS takes no such signatures")
        return f"within {max(abs(self._watch.off), 1):.0f} s of AWS's"

    def permission(self, *, invoke: bool) -> str:
        """Ask for one token; what comes of it tells whether that is allowed, and in the next step, what came."""
        entry, setup = self._inside(), _needed(self._setup, "configuration")
        if setup.settings.endpoint is None and setup.settings.name != profiles.LOCAL:
            raise _SkippedError("no endpoint is named")
        if not invoke:
            raise _SkippedError("--no-invoke")
        try:
            self._answer = self._asked(setup, entry)
        except (DeniedError, CredentialsError):
            raise
        except NetworkError as error:
            self._failure = error
            raise _SkippedError("the endpoint was not reached") from error
        except SmAskError as error:
            self._failure = error
        if entry.credentials is None:
            raise _SkippedError(_HERE)
        return "sagemaker:InvokeEndpoint is allowed"

    def answer(self) -> str:
        if self._failure is not None:
            raise self._failure
        return _needed(self._answer, "permission")

    def _asked(self, setup: Setup, entry: Entry) -> str:
        settings = setup.settings._replace(retries=0, timeout=setup.settings.timeout or PATIENCE * 6)
        # The endpoint on this machine has its address only once it is opened.
        setup = setup._replace(settings=settings, entry=None if settings.name == profiles.LOCAL else entry)
        with connection.connect(setup, tell=self._tell) as found:
            request = _QUESTION._replace(params={**settings.params, **_QUESTION.params})
            about = f"from {found.asked().endpoint}, handler {found.handler.name}"
            try:
                answer = found.answer(request)
            except NoTextError:
                return f"one token, which held no text, {about}"
            return f"one token in {answer.timing.total_s:.2f} s {about}"

    def _inside(self) -> Entry:
        if self._entry is None:
            raise _SkippedError("there are no credentials to look with")
        return self._entry

    def _statement(self, error: SmAskError) -> Mapping[str, Any] | None:
        if not isinstance(error, (AssumeRoleError, DeniedError)):
            return None
        from sm_ask.aws import policies

        if isinstance(error, AssumeRoleError):
            role = next((role for role in self._roles if role.arn is None), None)
            return policies.assume(role.hop.role_arn) if role else None
        if self._who is None or self._place is None or self._setup is None:
            return None
        settings, partition = self._setup.settings, self._who.arn.split(":")[1]
        at = (self._who.account, self._place.region.value, partition)
        return policies.invoke(*at, str(settings.endpoint), settings.inference_component)


def _needed(value: _Found | None, step: str) -> _Found:
    if value is None:
        raise _SkippedError(f"it needs the step {step}")
    return value
