"""Objects in S3: listed and fetched with the credentials that the endpoint is asked with."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from sm_ask.aws.failures import BAD_CREDENTIALS, service_error, translated
from sm_ask.errors import InputError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.client import BaseClient

    from sm_ask.errors import SmAskError

SCHEME = "s3://"
#: What one prefix may lead to; beyond that a mistake is likelier than a question.
MOST_OBJECTS = 10_000
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]|arn:[\w:/.-]+")
_MISSING = ("NoSuchKey", "NoSuchBucket", "404")


class Place(NamedTuple):
    """A bucket, and a key or the beginning of keys in it."""

    bucket: str
    key: str

    @property
    def url(self) -> str:
        """The place as it is written."""
        return f"{SCHEME}{self.bucket}/{self.key}"


def place(url: str) -> Place:
    """Take an ``s3://`` URL apart; InputError if it names no bucket."""
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise InputError(f"{url!r} names no bucket", hint="s3://bucket/key, or s3://bucket/prefix/ for all below it")
    return Place(bucket, key)


class Objects:
    """What a client may read."""

    def __init__(self, client: BaseClient, tell: Callable[[str], None]) -> None:
        """Take a client for S3, and who hears what is fetched."""
        # botocore makes its methods at run time.
        self._client: Any = client
        self._tell = tell

    def find(self, where: Place) -> list[Place]:
        """Give the object of that key, or else all below it, where it is a prefix; InputError where nothing is."""
        if where.key and not where.key.endswith("/"):
            if self._is_object(where):
                return [where]
            where = where._replace(key=f"{where.key}/")
        found = list(self._below(where))
        if not found:
            raise InputError(f"there is nothing at {where.url}")
        size = sum(size for _, size in found)
        self._tell(f"{where.url}: {len(found):,} objects, {size:,} bytes")
        return [place for place, _ in found]

    def read(self, where: Place, largest: int) -> bytes:
        """Fetch an object; InputError for one that is not there, or too large."""
        with _explained(where, "s3:GetObject"):
            response = self._client.get_object(Bucket=where.bucket, Key=where.key)
            with response["Body"] as body:
                size = response["ContentLength"]
                if size > largest:
                    raise InputError(f"{where.url!r} has {size:,} bytes; {largest:,} are read at most")
                data: bytes = body.read()
                return data

    def _is_object(self, where: Place) -> bool:
        try:
            with _explained(where, "s3:GetObject"):
                self._client.head_object(Bucket=where.bucket, Key=where.key)
        except InputError:
            return False
        return True

    def _below(self, where: Place) -> Iterator[tuple[Place, int]]:
        """Yield the objects below a prefix, and their sizes, page by page."""
        more: dict[str, str] = {}
        count = 0
        while True:
            with _explained(where, "s3:ListBucket"):
                page = self._client.list_objects_v2(Bucket=where.bucket, Prefix=where.key, **more)
            for found in page.get("Contents", ()):
                # What looks like a folder is an object without content.
                if not found["Key"].endswith("/"):
                    count += 1
                    yield where._replace(key=found["Key"]), found["Size"]
            if count > MOST_OBJECTS:
                hint = "name a longer prefix"
                raise InputError(f"{where.url} has more than {MOST_OBJECTS:,} objects", hint=hint)
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}


@contextlib.contextmanager
def _explained(where: Place, permission: str) -> Iterator[None]:
    """Say what a failure of S3 means for a document."""
    with translated(bad_value=InputError):
        try:
            yield
        except ClientError as error:
            raise _meaning(error, where, permission) from error


def _meaning(error: ClientError, where: Place, permission: str) -> SmAskError:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    request_id = error.response.get("ResponseMetadata", {}).get("RequestId")
    if code in _MISSING:
        return InputError(f"there is nothing at {where.url}", request_id=request_id)
    if code in BAD_CREDENTIALS:
        return service_error(error)
    if status == 403:  # noqa: PLR2004 - HTTP statuses are best read as they are
        hint = f"the identity needs {permission}; an object that is not there can look like this, too"
        return RefusedError(f"{where.url} may not be read: {code}", hint=hint, request_id=request_id)
    if status >= 500:  # noqa: PLR2004
        return UnavailableError(f"S3 does not give {where.url}: {code}", request_id=request_id)
    return RefusedError(f"S3 refuses {where.url}: {code}", request_id=request_id)
