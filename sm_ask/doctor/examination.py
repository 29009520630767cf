"""The steps of a diagnosis, each with what is known by then."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from sm_ask import connection, profiles
from sm_ask.chat import Message, Request
from sm_ask.doctor.step import SkippedError, Step
from sm_ask.errors import (
    AssumeRoleError,
    ConfigError,
    CredentialsError,
    DeniedError,
    IncompleteError,
    ModelError,
    NoTextError,
    NotReadyError,
    SmAskError,
    ThrottledError,
    UnusableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sm_ask.aws.clock import Watch
    from sm_ask.aws.hops import Assumed
    from sm_ask.aws.identity import Identity
    from sm_ask.aws.session import Entry, Place
    from sm_ask.aws.sources import Left
    from sm_ask.connection import Setup
    from sm_ask.profiles import Profile

_Found = TypeVar("_Found")
#: Seconds that each service may take; a diagnosis that hangs is none.
PATIENCE = 10.0
#: What containers call a number of tokens: only one is to be made.
_LIMIT = r"(?i)(max|min).*(token|length)"
_HERE = "the endpoint on this machine needs none"
_QUESTION = Request((Message("user", "Say hi"),), {"max_tokens": 1})


class Examination:
    """What is known so far; a step that needs more than that is skipped."""

    def __init__(
        self, settle: Callable[[], Setup], region_of: Callable[[Profile], str | None], tell: Callable[[str], None]
    ) -> None:
        """Take what gives the settings and where their region comes from, and who hears of warnings."""
        self._settle, self._region_of, self._tell = settle, region_of, tell
        self._setup: Setup | None = None
        self._place: Place | None = None
        self._entry: Entry | None = None
        self._who: Identity | None = None
        self._watch: Watch | None = None
        self._failure: SmAskError | None = None
        self._answer: str | None = None
        self._unasked = ""
        self._notes: list[str] = []
        self._roles: list[Assumed] = []

    def step(self, name: str, look: Callable[[], str]) -> Step:
        """Take a step; ``look`` gives what it found, or raises SkippedError or SmAskError."""
        self._notes = []
        try:
            return Step(name, "ok", look(), notes=tuple(self._notes))
        except SkippedError as skipped:
            return Step(name, "skipped", str(skipped), statement=skipped.statement, notes=tuple(self._notes))
        except SmAskError as error:
            return Step(name, "failed", error.message, error.hint, self._statement(error), tuple(self._notes), error)

    def configuration(self) -> str:
        """Read the profiles file, the options and the variables."""
        self._setup = self._settle()
        return self._setup.source or "no profiles file; options and variables decide"

    def profile(self) -> str:
        """See whether an endpoint is named."""
        settings = _needed(self._setup, "configuration").settings
        if settings.name != profiles.LOCAL:
            connection.check_named(settings)
        name = f"profile {settings.name}" if settings.name else "no profile"
        return f"{name}: endpoint {settings.endpoint or profiles.LOCAL}"

    def aws_settings(self) -> str:
        """Check AWS's own settings, and settle the region."""
        setup = _needed(self._setup, "configuration")
        from sm_ask.aws import session
        from sm_ask.aws.clock import Watch
        from sm_ask.aws.failures import translated

        self._watch = Watch()
        with translated(bad_value=ConfigError):
            self._place = session.settle(connection.access_to(setup), timeout=PATIENCE, tell=self._tell)
        self._place.session.register("response-received", self._watch.note)
        region = self._place.region
        return f"region {region.value}, from {self._region_of(setup.settings) or region.origin}"

    def credentials(self) -> str:
        """Find the first credentials, before any role, and note why other sources were left."""
        place = _needed(self._place, "AWS settings")
        if place.access.keys:
            self._entry = place.entry(None)
            raise SkippedError(_HERE)
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
        """Assume one of the roles."""
        from sm_ask.aws import sources
        from sm_ask.aws.failures import translated

        place = _needed(self._place, "AWS settings")
        if not self._roles:
            raise SkippedError("there are no credentials to assume it with")
        role = self._roles[number]
        if number and self._roles[number - 1].arn is None:
            raise SkippedError("the role before was not assumed")
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
        """Ask STS who this is, and compare the account with the expected one."""
        entry = self._inside()
        if entry.credentials is None:
            raise SkippedError(_HERE)
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
        """Compare this machine's clock with the date of what AWS has answered."""
        if self._watch is None or self._watch.off is None:
            raise SkippedError("nothing of AWS has answered yet")
        if self._watch.wrong:
            raise CredentialsError(self._watch.wrong, hint="set this machine's clock; AWS takes no such signatures")
        return f"within {max(abs(self._watch.off), 1):.0f} s of AWS's"

    def endpoint(self) -> str:
        """Look at what AWS says of the endpoint, as far as one may see it."""
        entry, settings = self._inside(), _needed(self._setup, "configuration").settings
        if entry.credentials is None:
            raise SkippedError("the endpoint on this machine is no endpoint of AWS")
        if settings.endpoint is None:
            raise SkippedError("no endpoint is named")
        from sm_ask.aws import control, policies
        from sm_ask.doctor.serving import serving

        if not control.is_asked(entry):
            raise SkippedError("it is at an address that is not AWS's, of which AWS knows nothing")
        try:
            found, unseen = serving(control.Control(entry), settings.endpoint, settings.inference_component)
        except DeniedError as error:
            why = "what runs there may not be seen; nothing depends on that if the handler is named"
            raise SkippedError(f"{why}: {error.message}", policies.describe()) from error
        self._notes = unseen
        return found

    def permission(self, *, invoke: bool) -> str:
        """Ask for one token; what comes of it tells whether that is allowed, and in the next step, what came."""
        entry, setup = self._inside(), _needed(self._setup, "configuration")
        if setup.settings.endpoint is None and setup.settings.name != profiles.LOCAL:
            raise SkippedError("no endpoint is named")
        if not invoke:
            self._unasked = "--no-invoke"
            raise SkippedError(self._unasked)
        try:
            self._answer = self._asked(setup, entry)
        except (DeniedError, CredentialsError):
            raise
        except SmAskError as error:
            self._failure = error
            if not _let_in(error):
                raise SkippedError("nothing tells whether it is allowed") from error
        if entry.credentials is None:
            raise SkippedError(_HERE)
        return "sagemaker:InvokeEndpoint is allowed"

    def answer(self) -> str:
        """Say what came of the question."""
        if self._failure is not None:
            raise self._failure
        if self._unasked:
            raise SkippedError(self._unasked)
        return _needed(self._answer, "permission")

    def _asked(self, setup: Setup, entry: Entry) -> str:
        settings = setup.settings._replace(retries=0, timeout=setup.settings.timeout or PATIENCE * 6)
        # The endpoint on this machine has its address only once it is opened.
        setup = setup._replace(settings=settings, entry=None if settings.name == profiles.LOCAL else entry)
        with connection.connect(setup, tell=self._tell) as found:
            others = {name: value for name, value in settings.params.items() if not re.search(_LIMIT, name)}
            request = _QUESTION._replace(params={**others, **_QUESTION.params})
            about = f"from {found.asked().endpoint}, handler {found.handler.name}"
            try:
                answer = found.answer(request)
            except NoTextError:
                return f"one token, which held no text, {about}"
            return f"one token in {answer.timing.total_s:.2f} s {about}"

    def _inside(self) -> Entry:
        if self._entry is None:
            raise SkippedError("there are no credentials to look with")
        return self._entry

    def _statement(self, error: SmAskError) -> Mapping[str, Any] | None:
        from sm_ask.aws import policies

        if isinstance(error, AssumeRoleError):
            role = next((role for role in self._roles if role.arn is None), None)
            return policies.assume(role.hop.role_arn) if role else None
        if not isinstance(error, DeniedError) or self._setup is None:
            return None
        settings = self._setup.settings
        return self._allowing(policies.invoke, str(settings.endpoint), settings.inference_component)

    def _allowing(self, statement: Callable[..., Mapping[str, Any]], *what: str | None) -> Mapping[str, Any] | None:
        """Give a statement for this account and region, once they are known."""
        if self._who is None or self._place is None:
            return None
        return statement(self._who.account, self._place.region.value, self._who.arn.split(":")[1], *what)


def _let_in(error: SmAskError) -> bool:
    """Tell whether a failure shows that the service had let the request in."""
    if isinstance(error, (IncompleteError, UnusableError)):
        return error.request_id is not None
    return isinstance(error, (ModelError, NotReadyError, ThrottledError))


def _needed(value: _Found | None, step: str) -> _Found:
    if value is None:
        raise SkippedError(f"it needs the step {step}")
    return value
