"""The client: the same addresses and signatures as botocore's own, for a fraction of its start-up time."""

from __future__ import annotations

import json
import subprocess
import sys

import botocore.loaders
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from conftest import at
from server import chat_stream, says
from sm_ask.aws import session
from sm_ask.aws.session import Access, enter, open_client
from sm_ask.errors import ConfigError, CredentialsError

REGIONS = ["us-east-1", "us-west-2", "eu-central-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "eusc-de-east-1"]
#: Keeps the descriptions of services; each session would read its own.
LOADER = botocore.loaders.create_loader()


def made_by_botocore(service, region):
    made = botocore.session.Session()
    made.register_component("data_loader", LOADER)
    return made.create_client(service, region_name=region)


def sent(client) -> tuple[str, str]:
    """Where a call would go, and the scope that it is signed for."""
    seen = []

    def keep(request, **_):
        seen.append(request)
        return AWSResponse(request.url, 200, {}, None)

    client.meta.events.register_first("before-send", keep)
    client.invoke_endpoint_with_response_stream(EndpointName="ep", Body=b"")
    authorization = seen[0].headers["Authorization"]
    text = authorization.decode() if isinstance(authorization, bytes) else authorization
    return seen[0].url, text.split("Credential=")[1].split("/", 2)[2].split(",")[0]


def outcome(client) -> tuple[str, str] | str:
    """Where a client would send, or that it refuses: not every region has every variant."""
    try:
        return sent(client())
    except (BotoCoreError, ConfigError):
        return "refused"


@pytest.fixture(autouse=True)
def _patient():
    session.read_timeout.set(5)


@pytest.mark.parametrize("variant", ["", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
@pytest.mark.parametrize("region", REGIONS)
def test_addresses_and_scopes_are_botocores_own(region, variant, monkeypatch):
    if variant:
        monkeypatch.setenv(variant, "true")
    theirs = outcome(lambda: made_by_botocore("sagemaker-runtime", region))
    ours = outcome(lambda: open_client(Access(region=region), timeout=5))
    assert ours == theirs


def test_one_config_for_every_client_and_no_retries_of_its_own(monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "7")
    config: Config = open_client(Access(region="us-west-2"), timeout=5).meta.config
    assert config.retries == {"mode": "standard", "total_max_attempts": 1}
    assert (config.connect_timeout, config.tcp_keepalive) == (5, True)


def test_aws_region_counts_and_wins(monkeypatch):
    """Rows R2 and R3."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert open_client(Access(), timeout=5).meta.region_name == "us-east-1"
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert open_client(Access(), timeout=5).meta.region_name == "eu-west-1"
    assert open_client(Access(region="us-west-2"), timeout=5).meta.region_name == "us-west-2"


@pytest.mark.parametrize("region", ["", "US-EAST-1", "us-east-1a", " us-east-1", "us-east-1.evil.com"])
def test_a_malformed_region_is_refused_before_any_look_up(region):
    """Rows R1 and R4."""
    with pytest.raises(ConfigError):
        open_client(Access(region=region), timeout=5)


def test_an_aws_profile_wins_over_keys_in_the_environment(tmp_path, monkeypatch):
    """Row K5."""
    file = tmp_path / "credentials"
    file.write_text("[ml]\naws_access_key_id = AKIAOFTHEPROFILE\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    client = open_client(Access(region="us-west-2", aws_profile="ml"), timeout=5)
    assert client._get_credentials().access_key == "AKIAOFTHEPROFILE"


def test_a_profile_that_does_not_exist_is_a_matter_of_credentials():
    """Row K3, in part."""
    with pytest.raises(CredentialsError, match="nobody"):
        open_client(Access(region="us-west-2", aws_profile="nobody"), timeout=5)


@pytest.mark.parametrize("region", REGIONS)
def test_sts_is_where_botocore_has_it(region):
    theirs = made_by_botocore("sts", region).meta
    ours = enter(Access(region=region), timeout=5).sts().meta
    assert ours.endpoint_url == theirs.endpoint_url
    assert (ours.config.read_timeout, ours.config.retries) == (5, {"mode": "standard", "total_max_attempts": 1})


def test_the_global_sts_is_never_asked(monkeypatch):
    """Row R5."""
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    assert enter(Access(region="us-east-1"), timeout=5).sts().meta.endpoint_url == "https://sts.us-east-1.amazonaws.com"


LATE = ["cache", "hops", "identity", "metadata", "mfa", "origins", "process"]


def test_plain_credentials_import_nothing_of_roles(serve):
    """Start-up time: who assumes no role does not load what assumes one."""
    server = serve(says(chat_stream("Hello")))
    program = (
        "import json, sys; from sm_ask.cli.app import main; main(sys.argv[1:]);"
        "print(json.dumps([name for name in sys.modules if name.startswith('sm_ask.aws.')]))"
    )
    arguments = [sys.executable, "-c", program, "prompt", "hi", "--no-stdin", *at(server)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60)
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "sm_ask.aws.sources" in loaded
    assert not {f"sm_ask.aws.{name}" for name in LATE} & set(loaded)
