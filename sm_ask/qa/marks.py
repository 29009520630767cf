"""The marks that documents stand between."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def mark(parts: Sequence[str]) -> str:
    """Make a mark that no part holds or can foretell; the same parts give the same one, for prefix caches."""
    whole = "\0".join(parts)
    digest = hashlib.sha256(whole.encode(errors="surrogatepass"))
    while (found := digest.hexdigest()[:16]) in whole:
        digest.update(b"again")
    return found
