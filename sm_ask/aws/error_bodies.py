"""The body of an error response → one that botocore can parse: it fails on all but objects with texts in them."""

from __future__ import annotations

import json
from typing import Any

#: From here on, botocore takes a response for an error.
FIRST_ERROR_STATUS = 300


def readable(response_dict: dict[str, Any], **_: object) -> None:
    """Rewrite the body of an error response in place; a handler of botocore's event before-parse."""
    if response_dict["status_code"] < FIRST_ERROR_STATUS:
        return
    text = response_dict["body"].decode(errors="replace").strip()
    known = {name: str(value) for name, value in _fields(text).items() if value is not None}
    if not known.get("OriginalStatusCode", "").isdecimal():
        known.pop("OriginalStatusCode", None)
    response_dict["body"] = json.dumps(known).encode()


def _fields(text: str) -> dict[str, Any]:
    """Give an object's fields; of anything else, a message."""
    if text.startswith("<"):
        return {"message": "the body is a page of HTML, as of a proxy or a load balancer"}
    try:
        body = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {"message": text}
    return body if isinstance(body, dict) else {"message": text}
