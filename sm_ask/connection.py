"""Settings → an endpoint to ask."""

from __future__ import annotations

import contextlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from sm_ask import handlers, profiles
from sm_ask.ask import Pause, Policy, ask
from sm_ask.chat import Answer
from sm_ask.choice import Chooser
from sm_ask.envelope import Asked
from sm_ask.errors import ConfigError, SchemaError, UnusableError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from sm_ask.ask import Event, Transport
    from sm_ask.aws.runtime import Runtime, Target
    from sm_ask.aws.s3 import Objects
    from sm_ask.aws.session import Access, Entry
    from sm_ask.chat import Request
    from sm_ask.choice import Choice
    from sm_ask.handlers import Handler
    from sm_ask.profiles import Profile
    from sm_ask.scout import Report

_LOCAL_REGION = "us-east-1"


class Setup(NamedTuple):
    """A profile, and what is decided for one run alone."""

    settings: Profile
    #: The content handlers that the profiles file declares, and that file's name, for errors.
    declared: Mapping[str, Any] = MappingProxyType({})
    source: str = ""
    #: Seconds to wait for an endpoint that is not ready.
    wait: float | None = None
    #: Whether to send again what the model may have run for.
    resend_unsafe: bool = False
    #: Whether AWS's own settings may put another address in the place of a service's.
    override: bool = True
    #: Whether a signed request may go to another machine over plain HTTP.
    allow_http: bool = False
    #: Whether anything is kept on the disk: sessions of roles.
    cache: bool = True
    #: How many requests are under way at once.
    connections: int = 1
    #: A content handler that no profiles file names, before any that one does.
    handler: Handler | None = None
    #: A client or a session of boto3's, in whose name is asked.
    client: object = None
    #: A way into AWS that is open already.
    entry: Entry | None = None
    #: A name of the caller's own for what is asked, which the service notes beside it.
    inference_id: str | None = None


class Connection(NamedTuple):
    """An endpoint, how it is spoken to, and the settings that led there."""

    bare: Runtime
    chooser: Chooser
    policy: Policy
    settings: Profile
    #: Puts something before what carries the bodies, as where many questions are asked at once.
    gate: Callable[[Transport], Transport] | None = None

    @property
    def choice(self) -> Choice:
        """The content handler and how it came to be chosen; AWS may be asked for it, once."""
        return self.chooser.choice

    @property
    def handler(self) -> Handler:
        """The content handler that the next question is asked with."""
        return self.choice.handler

    @property
    def context_window(self) -> int | None:
        """How many tokens the model takes, as the profile says, or else the endpoint; None where neither does."""
        return self.settings.context_window or self.choice.context_window

    @property
    def runtime(self) -> Runtime:
        """The endpoint, with what the content handler wants it to hear beside each request."""
        return _heard(self.bare, self.handler)

    @property
    def region(self) -> str:
        """The region that the client ended up with."""
        return str(self.bare.client.meta.region_name)

    def ask(self, request: Request, *, raw: bool = False) -> Generator[Event, None, None]:
        """Yield what comes of one question, as ``sm_ask.ask`` has it; a stream is asked for where there can be one.

        A container that refuses the body of a content handler that was not named is asked with another one, as it has
        generated nothing.
        """
        while True:
            choice, began = self.choice, False
            try:
                for event in self._once(choice.handler, request, raw=raw):
                    began = began or not isinstance(event, Pause)
                    if isinstance(event, Answer):
                        self.chooser.worked(choice)
                    yield event
            except SchemaError as error:
                if began or error.maybe_charged or not self.chooser.instead(choice, error):
                    raise
            except UnusableError as error:
                self.chooser.doubt(choice, error)
                raise
            else:
                return

    def _once(self, handler: Handler, request: Request, *, raw: bool) -> Iterator[Event]:
        runtime = _heard(self.bare, handler)
        transport = self.gate(runtime) if self.gate else runtime
        return ask(self._fitted(request, handler), handler, transport, self.policy, raw=raw)

    def answer(self, request: Request) -> Answer:
        """Give the whole answer to one question; raises SmAskError."""
        for event in self.ask(request):
            if isinstance(event, Answer):
                return event
        raise UnusableError("the question ended without an answer")

    def fitted(self, request: Request) -> Request:
        """Give the request, for a whole answer where none can come in pieces."""
        return self._fitted(request, self.handler)

    def _fitted(self, request: Request, handler: Handler) -> Request:
        streams = handler.streams and self.bare.target.can_stream
        return request._replace(stream=request.stream and streams)

    def check(self, request: Request) -> None:
        """Raise InputError or UsageError for a request that would never be sent."""
        handler = self.handler
        self.bare.check(handler.encode(self._fitted(request, handler)))

    def asked(self) -> Asked:
        """Say who is asked."""
        target = self.bare.target
        return Asked(target.endpoint, target.inference_component, self.region, self.handler.name)


def _heard(runtime: Runtime, handler: Handler) -> Runtime:
    if not handler.custom_attributes:
        return runtime
    attributes = ";".join(filter(None, (handler.custom_attributes, runtime.target.custom_attributes)))
    return runtime._replace(target=runtime.target._replace(custom_attributes=attributes or None))


@contextlib.contextmanager
def connect(setup: Setup, *, tell: Callable[[str], None], dry_run: bool = False) -> Iterator[Connection]:
    """Open the endpoint, and start the one on this machine where the profile is ``local``; ``tell`` takes warnings."""
    settings = setup.settings
    named = setup.handler
    if named is None and settings.handler not in (None, handlers.AUTO):
        named = handlers.choose(str(settings.handler), setup.declared, setup.source)
    with contextlib.ExitStack() as stack:
        if settings.name == profiles.LOCAL:
            settings = settings._replace(endpoint=settings.endpoint or profiles.LOCAL)
            if settings.endpoint_url is None:
                settings = _local(settings, stack, tell, dry_run=dry_run)
        check_named(settings)
        yield _connection(setup._replace(settings=settings), named, tell, dry_run=dry_run)


def check_named(settings: Profile) -> None:
    """Raise ConfigError where nothing names an endpoint."""
    if settings.endpoint is None:
        hint = "name one with --endpoint, SM_ASK_ENDPOINT, or a profile; `sm-ask profiles init` writes a first one"
        raise ConfigError("no endpoint is named", hint=hint)


def _local(settings: Profile, stack: contextlib.ExitStack, tell: Callable[[str], None], *, dry_run: bool) -> Profile:
    # The model is loaded for this profile alone.
    from sm_ask.local import open_container
    from sm_ask.local.model import CONTEXT
    from sm_ask.local.service import USUAL_URL, Service

    settings = settings._replace(context_window=settings.context_window or CONTEXT)
    if dry_run:
        tell("this endpoint has an address only while it runs; the one shown is that of `sm-ask local serve`")
        return settings._replace(endpoint_url=USUAL_URL)
    service = stack.enter_context(Service(open_container(), name=str(settings.endpoint)))
    return settings._replace(endpoint_url=service.url)


def _connection(setup: Setup, named: Handler | None, tell: Callable[[str], None], *, dry_run: bool) -> Connection:
    # botocore is two thirds of the start-up time; nothing above needs it to report its errors.
    from sm_ask.aws.runtime import Runtime

    settings, defaults = setup.settings, Policy()
    target = _target(setup)
    policy = Policy(
        tries=defaults.tries if settings.retries is None else settings.retries + 1,
        timeout=settings.timeout or defaults.timeout,
        wait=setup.wait or defaults.wait,
        resend_unsafe=setup.resend_unsafe,
    )
    if setup.client is not None:
        from sm_ask.aws.borrowed import borrow

        client, chooser = borrow(setup.client, access_to(setup)), Chooser(named)
    else:
        from sm_ask.aws.session import enter

        entry = setup.entry or enter(access_to(setup), timeout=policy.timeout, signed=not dry_run, tell=tell)
        client, chooser = entry.runtime(), _chooser(named, entry, target, asks=not dry_run)
    patience = settings.idle_timeout
    runtime = Runtime(client, target) if patience is None else Runtime(client, target, patience, patience)
    if setup.connections > 1:
        from sm_ask.aws.calls import Calls

        # A client of the caller's own may have handlers that want to see each call.
        runtime = runtime._replace(reuse=True, calls=None if setup.client else Calls(client))
    return Connection(runtime, chooser, policy, settings)


def _target(setup: Setup) -> Target:
    from sm_ask.aws.runtime import Target

    settings = setup.settings
    return Target(
        endpoint=str(settings.endpoint),
        inference_component=settings.inference_component,
        variant=settings.target_variant,
        model=settings.target_model,
        container=settings.target_container,
        custom_attributes=settings.custom_attributes,
        session_id=settings.session_id,
        inference_id=setup.inference_id,
    ).checked()


def _chooser(named: Handler | None, entry: Entry, target: Target, *, asks: bool) -> Chooser:
    """Give what chooses the content handler; AWS is asked only of endpoints that it can know."""
    if named or entry.access.keys:
        return Chooser(named)
    from sm_ask.aws import control

    if not control.is_asked(entry):
        return Chooser(None)
    from sm_ask.aws import kept

    shelf = kept.shelf(entry, target)
    if not asks:
        return Chooser(None, shelf=shelf, offline=True)

    def look() -> Report:
        from sm_ask import scout  # a known endpoint needs none of it

        return scout.look(control.Control(entry), target)

    return Chooser(None, look, shelf, entry.tell)


def storage(setup: Setup, *, tell: Callable[[str], None]) -> Objects:
    """Open S3 with the credentials of a setup; those of the endpoint on this machine are AWS's own default."""
    from sm_ask.aws.s3 import Objects
    from sm_ask.aws.session import enter

    if setup.settings.name == profiles.LOCAL:
        setup = setup._replace(settings=setup.settings._replace(name=""))
    access = access_to(setup)._replace(endpoint_url=None)
    return Objects(enter(access, timeout=Policy().timeout, tell=tell).s3(), tell)


def access_to(setup: Setup) -> Access:
    """Say where AWS is spoken to, and as whom."""
    from sm_ask.aws.session import Access

    settings = setup.settings
    if settings.name == profiles.LOCAL:
        return Access(
            region=_LOCAL_REGION,
            endpoint_url=settings.endpoint_url,
            keys=("local", "local"),
            connections=setup.connections,
        )
    hops: Any = ()
    if settings.assume_role:
        # The plain path assumes no role.
        from sm_ask.aws.hops import Hop

        hops = tuple(Hop(**role).checked() for role in settings.assume_role)
    return Access(
        region=settings.region,
        aws_profile=settings.aws_profile,
        endpoint_url=settings.endpoint_url,
        hops=hops,
        expect_account=settings.expect_account,
        override=setup.override,
        allow_http=setup.allow_http,
        cache=setup.cache,
        connections=setup.connections,
    )
