"""The words of a text that say what it is about."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+")
#: Scripts that put no spaces between words; each character is taken for one.
_SPACELESS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

#: English words that say nothing about what a text is about; other languages' are so common that they weigh little.
_STOP = frozenset(
    _WORD.findall(
        "a about after all also am an and any are as at be because been before being between but by can could did do "
        "does doing during each either else ever every few for from had has have having he her here hers him his how i "
        "if in into is it its itself just let long many may me might more most much must my no nor not of off often on "
        "once one only or other our ours out over own per please say says shall she should since so some such take "
        "takes tell than that the their theirs them then there these they this those through to too under until up us "
        "use used very was we were what when where whether which while who whom whose why will with within without "
        "would you your yours s t d ll m re ve"
    )
)


def terms(text: str) -> list[str]:
    """Give the words of a question that are worth looking for, each once; all of them where none is."""
    found = [word.lower() for word in _WORD.findall(apart(text))]
    telling = [word for word in found if word not in _STOP]
    return list(dict.fromkeys(telling or found))


def apart(text: str) -> str:
    """Put spaces around each character of a script that has none."""
    return _SPACELESS.sub(r" \g<0> ", text)


def spoken(text: str) -> str:
    """Take the words of a program's names apart."""
    return _CAMEL.sub(" ", text)
