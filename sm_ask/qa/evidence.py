"""Whether an answer rests on the passages that were read: by their words, not by what they mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sm_ask.qa import refusals
from sm_ask.qa.index import Index
from sm_ask.qa.words import terms

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sm_ask.qa.passages import Passage

#: Words with which an answer speaks of itself.
_ABOUT = frozenset(
    re.findall(
        r"\w+",
        "according answer answers based because context document documents following hence however information "
        "mentioned no not passage passages provided question said says sentence since stated states text therefore "
        "thus yes",
    )
)
_COUNTS = "one two three four five six seven eight nine ten eleven twelve"
_DIGITS = {word: str(value) for value, word in enumerate(re.findall(r"\w+", _COUNTS), start=1)}
_SPELLED = {digits: word for word, digits in _DIGITS.items()}
#: A name: a capital letter where no sentence begins.
_NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][\w-]*")
#: So many words in a row, word for word, are no accident.
_RUN = 4


def missing(question: str, text: str, passages: Iterable[Passage]) -> str | None:
    """Say what an answer to the question has that the passages do not bear out; None where there is nothing.

    The numbers and names in it must stand in the passages, or in the question, and so must half of its other words.
    And the passages must hold half of the question's own words, unless the answer repeats them word for word.
    """
    read = list(passages)
    if refusals.is_refusal(text):
        return "the model finds no answer in them"
    index = Index()
    index.add(read)
    asked = terms(question)
    added = [term for term in terms(text) if term not in asked and term not in _ABOUT]
    absent = [term for term in added if not _holds(index, term)]
    firm = [term for term in absent if term.isdecimal() or term in _DIGITS or term in _names(text)]
    if firm or len(absent) * 2 > len(added):
        return f"they do not say {_listed(firm or absent)}"
    unknown = [term for term in asked if not index.holds(term)]
    if len(unknown) * 2 > len(asked) and not _repeats(text, read, asked):
        return f"they do not speak of {_listed(unknown)}"
    return None


def by_support(question: str, text: str, passages: Iterable[Passage]) -> list[Passage]:
    """Put the passages first that hold most of an answer's words, and then most of the question's."""
    asked = set(terms(question))
    added = set(terms(text)) - asked

    def support(passage: Passage) -> int:
        held = set(_words(passage.text))
        return 2 * len(held & added) + len(held & asked)

    return sorted(passages, key=support, reverse=True)


def _holds(index: Index, term: str) -> bool:
    other = _SPELLED.get(term) or _DIGITS.get(term)
    return index.holds(term) or (other is not None and index.holds(other))


def _names(text: str) -> set[str]:
    return {part.lower() for name in _NAME.findall(text) for part in re.findall(r"[^\W_]+", name)}


def _repeats(text: str, passages: Iterable[Passage], asked: Collection[str]) -> bool:
    """Tell whether some words in a row, not all of them the question's, stand in a passage as they do in the text."""
    words = _words(text)
    held = [" ".join(_words(passage.text)) for passage in passages]
    for start in range(len(words) - _RUN + 1):
        run = words[start : start + _RUN]
        if not set(terms(" ".join(run))) <= set(asked) and any(f" {' '.join(run)} " in f" {text} " for text in held):
            return True
    return False


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _listed(words: list[str], most: int = 3) -> str:
    return ", ".join(repr(word) for word in words[:most]) + (" …" if len(words) > most else "")
