"""How much may stand in one prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sm_ask.errors import ConfigError
from sm_ask.qa.tokens import Counter, counter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_ask.chat import Message
    from sm_ask.qa.settings import Settings

#: Taken where nobody knows the window, by the chains that have to choose: what most models of today have at least.
ASSUMED = 8192
#: What handlers send where nobody says otherwise.
_ANSWER = 512
#: For the chat template of a container, some of which put a system prompt of their own into it.
_TEMPLATE = 48
_MESSAGE = 8
#: The least that a prompt needs: instructions, a question and a few lines.
LEAST = 128


class Budget(NamedTuple):
    """The tokens that a prompt may have, and how they are counted."""

    count: Counter
    #: What is kept free for the answer.
    answer: int
    #: None where nobody knows.
    window: int | None = None

    @property
    def prompt(self) -> int:
        """The tokens that a prompt may have."""
        return (self.window or ASSUMED) - self.answer

    def tokens(self, messages: Iterable[Message]) -> int:
        """Count what messages take, with what a container puts around them."""
        return _TEMPLATE + sum(_MESSAGE + self.count(message.content) for message in messages)

    def shrunk(self, limit: int | None) -> Budget:
        """Give the budget for a container that found a prompt too long: by its own word, or by a third."""
        known = self.window or ASSUMED
        return self._replace(window=limit if limit and limit < known else known * 2 // 3)


def budget(settings: Settings) -> Budget:
    """Give the budget of the settings; ConfigError where the window leaves no room for a prompt."""
    answer = settings.params.get("max_tokens", settings.params.get("max_new_tokens"))
    found = Budget(counter(settings.tokenizer), answer if isinstance(answer, int) else _ANSWER, settings.context_window)
    if found.window is not None and found.prompt < LEAST:
        hint = "lower --max-tokens, or name the right window with --context-window"
        window = f"a context window of {found.window:,} tokens"
        raise ConfigError(f"{window} has no room for a prompt beside an answer of {found.answer:,}", hint=hint)
    return found
