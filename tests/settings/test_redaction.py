"""No secret of a place is in what is stored or shown, whatever the password looks like."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cas_spark.settings import Settings
from cas_spark.settings.redaction import redacted, redacted_text, restored, secrets_in
from tests.toy import settings_of_toy

PLACES = {
    "postgresql://me:s3cret@host/db": "postgresql://me:***@host/db",
    "postgresql+psycopg2://me:s3/c?r#t@host:5432/db": "postgresql+psycopg2://me:***@host:5432/db",
    "postgresql://me@server:a@b@host/db": "postgresql://me@server:***@host/db",
    "postgresql://host/db?user=me&password=s3cret": "postgresql://host/db?user=me&password=***",
    "postgresql://host/db?sslPassword=a&sslmode=on": "postgresql://host/db?sslPassword=***&sslmode=on",
    "mysql://me:a@host/db?ssl_key_password=b": "mysql://me:***@host/db?ssl_key_password=***",
    "https://account.blob/data?sv=1&sig=abc%3D": "https://account.blob/data?sv=1&sig=***",
    "s3a://AKIA:abc/def+g@bucket/lake": "s3a://AKIA:***@bucket/lake",
    "http://:only@host": "http://:***@host",
    "postgresql://u#s?er:s3cret@host/db": "postgresql://u#s?er:***@host/db",
    "postgresql://host/db?password=a;b#c&user=me": "postgresql://host/db?password=***&user=me",
    "postgresql://host/db?pass=a&passfile=b": "postgresql://host/db?pass=***&passfile=b",
    "mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Ds3cret": "mssql+pyodbc:///?odbc_connect=***",
}
HARMLESS = (
    "postgresql://me@host/db",
    "http://host:5000/path",
    "hdfs://name:8020/lake",
    "abfss://container@account.dfs.core.windows.net/lake",
    "sqlite:////a/b.db",
    "/a/path:with@odd:names",
    "a remark: password=x@y",
    "https://host/?page=1&sigma=2",
)


@pytest.mark.parametrize(("place", "shown"), PLACES.items())
def test_a_place_is_shown_without_its_secrets(place: str, shown: str) -> None:
    assert redacted(place) == shown
    assert redacted({"a": [place, 1, None]}) == {"a": [shown, 1, None]}
    assert redacted(shown) == shown
    assert redacted_text(f"found {place} and so on") == f"found {shown} and so on"


@pytest.mark.parametrize("place", HARMLESS)
def test_a_place_without_a_secret_stays_as_it_is(place: str) -> None:
    assert redacted(place) == place
    assert secrets_in(place) == set()


@given(st.text(min_size=6), st.sampled_from(["postgresql://me:{}@host/db", "http://h?token={}"]))
def test_no_password_passes_whatever_it_is_made_of(password: str, place: str) -> None:
    if "token" in place:  # a delimiter ends it
        password = password.replace("&", "")
    uri = place.format(password)
    assert len(password) < 6 or password in place or password not in redacted(uri)


def test_the_live_settings_keep_what_their_record_hides() -> None:
    uri = "postgresql://me:s3cret@host/db"
    settings = settings_of_toy(tracking={"uri": uri})
    assert settings.tracking.uri == uri
    assert "s3cret" not in settings.as_json()
    recorded = json.loads(settings.as_json())
    assert Settings.model_validate(recorded).tracking.uri == "postgresql://me:***@host/db"
    again = Settings.model_validate(restored(recorded, settings.model_dump(mode="json")))
    assert again == settings
    assert settings.sha256() == settings_of_toy().sha256()


def test_another_programs_error_is_told_without_the_password_in_any_form() -> None:
    settings = settings_of_toy(tracking={"uri": "postgresql://me:p%40ss%2Fw@host/db"})
    told = settings.without_secrets('login "me" with "p@ss/w" (p%40ss%2Fw) failed')
    assert told == 'login "me" with "***" (***) failed'


def test_a_place_of_artifacts_may_hold_no_secret_since_mlflow_stores_it() -> None:
    with pytest.raises(ValidationError, match="which MLflow would store") as refused:
        settings_of_toy(tracking={"artifacts": "s3://AKIA:abcdef@bucket/artifacts"})
    assert "abcdef" not in refused.value.errors()[0]["msg"]
