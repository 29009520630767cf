"""Which chain reads which passages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_ask.errors import InputError, NotInDocumentsError
from sm_ask.qa.budget import ASSUMED
from sm_ask.qa.work import too_large

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sm_ask.qa.libraries import Library
    from sm_ask.qa.passages import Passage
    from sm_ask.qa.settings import Chain
    from sm_ask.qa.work import Work

#: No token has more characters than that, in what people write.
_MOST_PER_TOKEN = 40
#: Passages with less than that of the best one's score confuse more than they help.
_SHARE = 0.5
_READ_ALL = "--chain map-reduce reads all"


def choose(work: Work, library: Library, tell: Callable[[str], None]) -> tuple[Chain, Sequence[Passage]]:
    """Settle ``auto``, and gather the passages that the chain reads; raises InputError for what fits in no prompt."""
    chain = work.settings.chain
    if chain in ("auto", "stuff"):
        passages = _everything(work, library)
        if passages is not None:
            return "stuff", passages
        if chain == "stuff":
            raise too_large(work.budget, library.tokens(work.budget.count))
    if chain in ("auto", "retrieve"):
        passages = _best(work, library)
        if chain == "auto":
            tell(_partly(work, library, passages))
        return "retrieve", passages
    return chain, work.cut("map", library.passages(None if work.settings.cite else work.room("map")))


def _everything(work: Work, library: Library) -> Sequence[Passage] | None:
    """Give all that the documents hold, None where it does not fit into one prompt."""
    whole = library.whole()
    unlimited = work.settings.chain == "stuff" and work.budget.window is None
    if whole is None or (not unlimited and library.characters > work.budget.prompt * _MOST_PER_TOKEN):
        return None
    # Whole documents where nothing has to be cited, as they came.
    passages = tuple(library.passages()) if work.settings.cite else whole
    return passages if unlimited or work.fits(work.call("answer", passages)) else None


def _best(work: Work, library: Library) -> Sequence[Passage]:
    found = library.search(work.question, work.settings.passages, _SHARE)
    if not found and work.settings.strict:
        why = "none of the question's words stands in them"
        raise NotInDocumentsError(f"the documents do not hold the answer: {why}", maybe_charged=False)
    if not found:
        raise InputError("none of the question's words stands in the documents", hint=f"{_READ_ALL} of them")
    passages = work.cut("answer", found)
    return work.next_call("answer", passages).passages


def _partly(work: Work, library: Library, passages: Sequence[Passage]) -> str:
    percent = 100 * sum(len(passage.text) for passage in passages) / max(library.characters, 1)
    share = f"{percent:.0f}" if percent >= 1 else f"{percent:.1g}"
    read = f"read {len(passages)} passage{'s' * (len(passages) != 1)}, {share} % of the text; {_READ_ALL} of it"
    if work.budget.window is None:
        return f"{read}; no context window is known, so it is taken for {ASSUMED:,} tokens (--context-window)"
    return read
