"""Secrets go from the settings that MLflow was given, and from no file of somebody else."""

import json
from pathlib import Path

import pytest

from cas_spark.tracking.expiry import redact_settings
from tests.toy import settings_of_toy

SECRET = json.dumps({"lake": "s3a://me:s3cret@bucket/lake"})


def test_only_settings_of_the_lakes_runs_lose_their_secrets(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_of_toy(tracking={"artifacts": str(tmp_path)})
    month = f"{settings.name}-2024-01"
    contents = {
        f"{month}/run/artifacts/settings.json": SECRET,
        f"{month}/broken/artifacts/settings.json": '{"lake',
        f"{month}/odd/artifacts/settings.json": "[" * 100_000,
        "website/settings.json": SECRET,
        "other-2024-01/run/artifacts/settings.json": SECRET,
    }
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(content)
    redact_settings(settings)
    changed = [
        name for name, content in contents.items() if (tmp_path / name).read_text() != content
    ]
    assert changed == [f"{month}/run/artifacts/settings.json"]
    assert json.loads((tmp_path / changed[0]).read_text()) == {"lake": "s3a://me:***@bucket/lake"}
    assert sorted("broken" in record.getMessage() for record in caplog.records) == [False, True]
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == len(contents)
