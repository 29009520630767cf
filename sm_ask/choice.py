"""Which content handler speaks to an endpoint: one that is named, or found out, kept for a day, and put right."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from sm_ask import handlers
from sm_ask.errors import ConfigError, CredentialsError, NoTextError, SchemaError, SmAskError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_ask.aws.kept import Shelf
    from sm_ask.errors import UnusableError
    from sm_ask.handlers import Handler
    from sm_ask.scout import Report

#: What is tried where nobody says what runs behind an endpoint, one after the other.
ASSUMED = ("openai-chat", "tgi")

Origin: TypeAlias = Literal["named", "kept", "found", "assumed"]


class Choice(NamedTuple):
    """A content handler, how it came to be chosen, and what else is known of the endpoint."""

    handler: Handler
    origin: Origin
    reason: str
    context_window: int | None = None
    #: Other presets that may fit.
    candidates: tuple[str, ...] = ()


class Chooser:
    """Chooses when it is first asked, once for all threads, and again where a container refuses the choice."""

    def __init__(
        self,
        named: Handler | None,
        look: Callable[[], Report] | None = None,
        shelf: Shelf | None = None,
        tell: Callable[[str], None] = lambda _: None,
        *,
        offline: bool = False,
    ) -> None:
        """Take the handler that is named; else what finds one out, if anything may, and where that is kept.

        ``offline`` says that only this run finds nothing out.
        """
        self.offline = offline
        self._look, self._shelf, self._tell = look, shelf, tell
        self._choice = Choice(named, "named", "it is named") if named else None
        self._refused: set[str] = set()
        self._unkept: Choice | None = None
        self._lock = threading.Lock()

    @property
    def choice(self) -> Choice:
        """The choice; raises SmAskError where there is no such endpoint, or no preset fits what runs behind it."""
        with self._lock:
            if self._choice is None:
                self._choice = self._kept() or self._looked()
            return self._choice

    def worked(self, choice: Choice) -> None:
        """Hear that an answer came, and keep a choice that only the answer confirms."""
        if self._unkept is not choice:
            return
        with self._lock:
            if self._unkept is choice:
                self._unkept = None
                self._keep(choice)

    def doubt(self, choice: Choice, error: UnusableError) -> None:
        """Hear that an answer was of no known shape, and find out anew next time; this one has been paid for."""
        if isinstance(error, NoTextError):
            # Its shape was known.
            return
        with self._lock:
            if choice.origin == "kept" and self._choice is choice:
                self._choice = None
            self._drop()

    def _drop(self) -> None:
        if self._shelf:
            self._shelf.drop()

    def instead(self, refused: Choice, error: SchemaError) -> bool:
        """Choose anew after a refusal that shows a wrong schema; False where nothing else is left to try."""
        with self._lock:
            if self._choice is not refused:
                # The refusal of another thread's request came first.
                return True
            if refused.origin == "named":
                return False
            self._refused.add(refused.handler.name)
            fresh = self._again(refused, error)
            if fresh is None:
                return False
            self._tell(f"the container refused {refused.handler.name}, and is asked as {fresh.handler.name}")
            self._choice = fresh
            return True

    def _again(self, refused: Choice, error: SchemaError) -> Choice | None:
        if refused.origin == "kept":
            self._drop()
            self._choice = refused = self._looked()
            if refused.handler.name not in self._refused:
                return refused
        # What the container's own words say goes first, if it may be.
        likely = [preset for preset in error.presets if refused.origin == "assumed" or preset in refused.candidates]
        rest = ASSUMED if refused.origin == "assumed" else ()
        name = next((name for name in (*likely, *rest) if name not in self._refused), None)
        if name is None:
            return None
        said = f"the container refused {refused.handler.name}"
        self._unkept = refused._replace(handler=handlers.named(name), reason=said)
        return self._unkept

    def _kept(self) -> Choice | None:
        kept = self._shelf.get() if self._shelf else None
        if kept is None or kept.preset not in handlers.NAMES:
            return None
        return Choice(handlers.named(kept.preset), "kept", kept.reason, kept.context_window)

    def _looked(self) -> Choice:
        if self._look is None:
            return self._assumed("nobody is asked what runs behind the endpoint")
        try:
            found, window = self._look()
        except (ConfigError, CredentialsError):
            raise
        except SmAskError as error:
            from sm_ask.aws.control import MissingError  # it has been imported by now

            if isinstance(error, MissingError):
                raise
            self._tell(f"AWS does not say what runs behind the endpoint ({error.message}); {ASSUMED[0]} is assumed")
            self._unkept = self._assumed("AWS does not say what runs behind the endpoint")
            return self._unkept
        if found.preset is None:
            names = ", ".join(found.candidates)
            hint = f"name one that may fit with --handler: {names}" if names else "name one with --handler"
            raise ConfigError(f"no content handler is known to fit: {found.reason}", hint=hint)
        choice = Choice(handlers.named(found.preset), "found", found.reason, window, found.candidates)
        if choice.handler.name not in self._refused:
            self._keep(choice)
        return choice

    def _assumed(self, reason: str) -> Choice:
        return Choice(handlers.named(ASSUMED[0]), "assumed", reason)

    def _keep(self, choice: Choice) -> None:
        if self._shelf:
            from sm_ask.aws.kept import Kept

            self._shelf.put(Kept(choice.handler.name, choice.reason, choice.context_window))
