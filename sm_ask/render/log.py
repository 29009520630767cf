"""What is logged on the way, on stderr with ``--debug``: what is done, never bodies, never keys."""

from __future__ import annotations

import logging

from sm_ask.render import output

#: Those whose words are about what is done. The others of botocore write down requests and responses, keys and all.
_TOLD = (
    *("sm_ask", "botocore.credentials", "botocore.tokens", "botocore.utils", "botocore.httpsession"),
    *("urllib3.connectionpool", "urllib3.util.retry"),
)


class _Notes(logging.Handler):
    """Writes each record as one line; a traceback, which shows values, is left out."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        output.note(f"debug: {record.relativeCreated / 1000:.3f} s: {record.name}: {text}")


def listen(*, debug: bool) -> None:
    """Show what is logged, or nothing; Python's own last resort would write warnings as they are, values and all."""
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, (_Notes, logging.NullHandler)):
            root.removeHandler(handler)
    root.addHandler(_Notes() if debug else logging.NullHandler())
    for name in _TOLD:
        logging.getLogger(name).setLevel(logging.DEBUG if debug else logging.NOTSET)
