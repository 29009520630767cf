"""What libraries log, on stderr: their warnings, and with ``--debug`` what they do; never bodies, never keys."""

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
        if record.levelno >= logging.WARNING:
            output.note(text)
        else:
            output.note(f"debug: {record.relativeCreated / 1000:.3f} s: {record.name}: {text}")


def listen(*, debug: bool) -> None:
    """Take the place of Python's own last resort, which would write what it is given."""
    root = logging.getLogger()
    if not any(isinstance(handler, _Notes) for handler in root.handlers):
        root.addHandler(_Notes())
    for name in _TOLD:
        logging.getLogger(name).setLevel(logging.DEBUG if debug else logging.NOTSET)
