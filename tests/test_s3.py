"""Documents in S3, with the credentials that the endpoint is asked with; S3 is played by moto."""

from __future__ import annotations

import json
from collections.abc import Iterator

import botocore.session
import pytest
from moto.server import ThreadedMotoServer

from server import chat_stream, failing, says, whole
from sm_ask.aws.s3 import Objects, Place, place
from sm_ask.errors import InputError


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    server.stop()


@pytest.fixture
def bucket(moto, monkeypatch):
    """Put objects into a bucket that commands find by AWS's own variable."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto)
    client = botocore.session.get_session().create_client("s3", region_name="us-west-2", endpoint_url=moto)
    client.create_bucket(Bucket="notes", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})

    def put(**objects):
        for name, data in objects.items():
            client.put_object(Bucket="notes", Key=name.replace("__", "/").replace("_", "."), Body=data)

    yield put
    for found in client.list_objects_v2(Bucket="notes").get("Contents", ()):
        client.delete_object(Bucket="notes", Key=found["Key"])
    client.delete_bucket(Bucket="notes")


@pytest.fixture
def ask(cli, serve):
    server = serve(says(chat_stream("ok")))

    def run(url, *more):
        done = cli("qa", "Who?", "--doc", url, "--json", *more, server=server)
        prompt = server.requests[-1].json["messages"][0]["content"] if server.requests else None
        return done, prompt

    return run


def test_an_object_is_a_document(bucket, ask):
    bucket(docs__a_txt="Anna")
    done, prompt = ask("s3://notes/docs/a.txt")
    assert "s3://notes/docs/a.txt]\nAnna\n[end" in prompt
    assert json.loads(done.out)["sources"][0]["path"] == "s3://notes/docs/a.txt"


@pytest.mark.parametrize("url", ["s3://notes/docs/", "s3://notes/docs"])
def test_a_prefix_means_all_below_it_and_is_announced(bucket, ask, url):
    bucket(docs__a_txt="Anna", docs__b__c_md="Tom", other_txt="Ole", docs__="")
    done, prompt = ask(url)
    assert ("Anna" in prompt, "Tom" in prompt, "Ole" in prompt) == (True, True, False)
    assert "s3://notes/docs/: 2 objects, 7 bytes" in done.err


def test_globs_and_what_is_no_document(bucket, ask):
    bucket(a_txt="Anna", b__c_md="Tom", d_md=b"\x89PNG")
    done, prompt = ask("s3://notes", "--glob", "*.md")
    assert ("Anna" in prompt, "Tom" in prompt) == (False, True)
    assert "1 of 2 files in folders are left out" in done.err


def test_many_objects_are_listed_page_by_page(bucket, moto):
    bucket(**{f"n__{number:02}_txt": "x" for number in range(7)})
    client = botocore.session.get_session().create_client("s3", region_name="us-west-2", endpoint_url=moto)
    client.meta.events.register("provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 3})
    pages = []
    client.meta.events.register("after-call.s3.ListObjectsV2", lambda **_: pages.append(1))
    found = Objects(client, lambda _: None).find(Place("notes", "n/"))
    assert [each.key for each in found] == [f"n/{number:02}.txt" for number in range(7)]
    assert len(pages) == 3


@pytest.mark.parametrize(
    "url", ["s3://notes/no.txt", "s3://notes/no/", "s3://no-such-bucket-here/a", "s3://no-such-bucket-here"]
)
def test_what_is_not_there_is_named(bucket, ask, url):
    """Row D1."""
    bucket(other_txt="x")
    done, prompt = ask(url)
    assert (done.code, done.out, prompt) == (12, b"", None)
    assert f"there is nothing at {url.removesuffix('/')}" in done.err


@pytest.mark.parametrize("url", ["s3://", "s3:///a", "s3://A_B/c"])
def test_a_url_without_a_bucket_is_refused(url):
    with pytest.raises(InputError, match="names no bucket"):
        place(url)


def test_an_object_that_is_too_large_is_not_fetched(bucket, moto):
    bucket(a_txt="x" * 100)
    client = botocore.session.get_session().create_client("s3", region_name="us-west-2", endpoint_url=moto)
    with pytest.raises(InputError, match="has 100 bytes; 99 are read at most"):
        Objects(client, lambda _: None).read(Place("notes", "a.txt"), 99)


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        (failing(403, "AccessDenied", "no"), 5, "the identity needs s3:GetObject"),
        (failing(503, "SlowDown", "no"), 6, "S3 does not give s3://notes/a"),
        (says(whole(b"", 400)), 5, "S3 refuses s3://notes/a"),
    ],
)
def test_a_refusal_says_what_is_missing(serve, ask, monkeypatch, script, code, words):
    storage = serve(script)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", storage.url)
    done, prompt = ask("s3://notes/a")
    assert (done.code, prompt) == (code, None)
    assert words in done.err
    assert {request.method for request in storage.requests} == {"HEAD"}


def test_the_local_profile_reads_s3_with_aws_s_own_credentials(bucket, cli, monkeypatch):
    """What opens the endpoint on this machine opens nothing in AWS."""
    bucket(a_txt="Anna")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    done = cli("qa", "Who?", "--doc", "s3://notes/a.txt", "-p", "local", "--dry-run", "--no-stdin")
    assert done.code == 0
    assert b"s3://notes/a.txt]" in done.out
