"""PDF → a document for each page that has text, by pypdf."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

from sm_ask.documents.document import Document
from sm_ask.errors import ConfigError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypdf import PdfReader


def read(data: bytes, name: str, encoding: str | None = None) -> Iterator[Document]:
    """Yield the pages, counted from 1; InputError where the file is broken, locked, or holds pictures alone."""
    del encoding
    # It warns of everything that other programs wrote wrong.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    pages = _pages(data, name)
    if not pages:
        hint = "its pages may be pictures; make them text first, with ocrmypdf for example"
        raise InputError(f"{name!r} is a PDF without text", hint=hint)
    yield from pages


def _pages(data: bytes, name: str) -> list[Document]:
    import pypdf
    from pypdf.errors import DependencyError, WrongPasswordError

    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        _unlock(reader, name)
        texts = [page.extract_text() for page in reader.pages]
    except InputError:
        raise
    except DependencyError as error:
        hint = "pip install 'sm-ask[documents]'"
        raise ConfigError(f"{name!r} is encrypted, which needs the extra `documents`", hint=hint) from error
    except WrongPasswordError as error:
        raise _locked(name) from error
    except Exception as error:
        raise InputError(f"{name!r} cannot be read as PDF: {error}") from error
    return [
        Document(name, _clean(text), page=number) for number, text in enumerate(texts, start=1) if _clean(text).strip()
    ]


def _unlock(reader: PdfReader, name: str) -> None:
    # Many files are encrypted with an empty password, only to forbid printing.
    if reader.is_encrypted and not reader.decrypt(""):
        raise _locked(name)


def _locked(name: str) -> InputError:
    return InputError(f"{name!r} is a PDF with a password", hint="save it without one first")


def _clean(text: str) -> str:
    """Take away what is no text: NULs, and halves of characters."""
    return text.replace("\0", "").encode(errors="replace").decode()
