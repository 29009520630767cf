"""The passages that an answer names, and the words that it quotes: which of them there are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_ask.chat import Source
    from sm_ask.qa.passages import Passage

#: Numbers in brackets, as in [2], [2, 5] and [2-5]; after a word they are an index into something.
_CITATION = re.compile(r"[ \t]?(?<![\w\]])\[(\d{1,6}(?:\s*[,;\u2013-]\s*\d{1,6})*)\]|(?<=\])\[(\d{1,6})\]")
_QUOTATION = re.compile('"([^"\n]+)"|\u201c([^\u201d\n]+)\u201d')
_LEAST_QUOTED = 3


class Checked(NamedTuple):
    """An answer whose citations have been checked."""

    text: str
    sources: tuple[Source, ...]
    #: What is wrong with its citations and quotations, a line each.
    faults: tuple[str, ...]


def bare(text: str) -> str:
    """Give a text without its citations."""
    return _CITATION.sub("", text)


def check(text: str, passages: Mapping[int, Passage]) -> Checked:
    """Take citations of passages that do not exist out of an answer, and look for its quotations in the passages."""
    cited: list[int] = []
    unknown: list[int] = []

    def kept(found: re.Match[str]) -> str:
        numbers = _numbers(found[1] or found[2])
        known = [number for number in numbers if number in passages]
        cited.extend(known)
        unknown.extend(number for number in numbers if number not in passages)
        if known == numbers:
            return found[0]
        space = found[0][: found[0].index("[")]
        return space + "".join(f"[{number}]" for number in known) if known else ""

    cleaned = _CITATION.sub(kept, text)
    quotes, unquoted = _quotations(cleaned, passages)
    faults = [f"[{number}] is no passage, and is taken out of the answer" for number in dict.fromkeys(unknown)]
    faults += [f"the answer quotes {quote!r}, which stands in no passage" for quote in unquoted]
    if not cited:
        faults.append("the answer cites no passage, so what it rests on is not known")
    sources = [passage.source(cited=number in cited, quote=quotes.get(number)) for number, passage in passages.items()]
    return Checked(cleaned, tuple(sources), tuple(faults))


def _numbers(text: str) -> list[int]:
    numbers: list[int] = []
    for part in re.split(r"[,;]", text):
        first, *rest = (int(number) for number in re.findall(r"\d+", part))
        # A range of passages, unless it is one that nobody can mean.
        meant = rest and first <= rest[-1] <= first + 100
        numbers += range(first, rest[-1] + 1) if meant else [first, *rest]
    return numbers


def _quotations(text: str, passages: Mapping[int, Passage]) -> tuple[dict[int, str], list[str]]:
    """Find the passage of each quotation, and the quotations that have none."""
    held = {number: _plain(passage.text) for number, passage in passages.items()}
    quotes: dict[int, str] = {}
    unquoted: list[str] = []
    for found in _QUOTATION.finditer(text):
        quote = found[1] or found[2]
        if len(quote.split()) < _LEAST_QUOTED:
            continue
        number = next((number for number, words in held.items() if _plain(quote).rstrip(".,;") in words), None)
        if number is None:
            unquoted.append(quote)
        else:
            quotes.setdefault(number, quote)
    return quotes, unquoted


_ALIKE = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u00a0": " "})


def _plain(text: str) -> str:
    """Make line ends and the kinds of quotation marks alike; nothing else."""
    return " ".join(text.translate(_ALIKE).split())
