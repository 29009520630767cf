"""How many tokens a text has: an estimate from above, or a tokenizer's own count."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, TypeAlias

from sm_ask.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Counts the tokens of a text.
Counter: TypeAlias = "Callable[[str], int]"

_SMALL = string.ascii_lowercase.encode()
_WORDS = bytes(byte if byte in _SMALL else ord(" ") for byte in range(256))


def estimate(text: str) -> int:
    """Estimate from above, for tokenizers that know English best, and short words best of all.

    Whatever is no small letter, each byte of other scripts among it, counts as a token. So does a word of four letters,
    and each letter that words have beyond that on average: this tells English from languages and codes that such
    tokenizers cut into pieces.
    """
    data = text.encode(errors="surrogatepass")
    words = len(data.translate(_WORDS).split())
    spaces = data.count(b" ")
    letters = len(data) - len(data.translate(None, _SMALL))
    count = max(words, letters - 3 * words) + (len(data) - letters - spaces) + spaces // 4
    return count + count // 16


def counter(tokenizer: str | None) -> Counter:
    """Give the counter of a tokenizer.json, or the estimate; ConfigError where none can be read."""
    if tokenizer is None:
        return estimate
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        hint = "pip install 'sm-ask[tokenizers]'"
        raise ConfigError("counting with a tokenizer.json needs the extra `tokenizers`", hint=hint) from error
    try:
        found = Tokenizer.from_file(tokenizer)
    except Exception as error:
        raise ConfigError(f"{tokenizer!r} is no tokenizer.json: {error}") from error
    found.no_truncation()
    return lambda text: len(found.encode(text, add_special_tokens=False).ids)
