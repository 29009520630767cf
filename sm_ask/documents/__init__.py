"""Paths and bytes → documents: text that is certain to be what the file holds, or an error that names the byte.

``find`` says which files are meant, ``read`` gives a file's documents, whatever its kind, and ``load`` the text of one
that is to stay as it is.
"""

from __future__ import annotations

from sm_ask.documents.document import Document
from sm_ask.documents.files import LARGEST, Found, below, find, load, read
from sm_ask.documents.kinds import parse
from sm_ask.documents.text import decode, filled

#: What names stdin where a path may stand.
STDIN = "-"

__all__ = ["LARGEST", "STDIN", "Document", "Found", "below", "decode", "filled", "find", "load", "parse", "read"]
