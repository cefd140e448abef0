"""A key is found wherever it hides, so a scan that finds none means something."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cas_spark.lake.scanning import Scan, files_below, needles_of, scan_files

KEY = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
NEEDLES = needles_of([KEY])


def parquet_of(rows: list[dict[str, object]]) -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), content, compression="zstd")
    return content.getvalue()


def zip_of(name: str, content: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return archive.getvalue()


def many(key: str) -> bytes:
    """Long enough to be compressed into something that no longer reads as the key."""
    return b"filling " * 1000 + f'{{"id": "register:{key}"}}'.encode() * 50


def rows_with(key: str) -> list[dict[str, object]]:
    return [{"id": f"register:{key}", "number": 1.5}] * 50


def nested_with(key: str) -> list[dict[str, object]]:
    return [{"pairs": [{"name": "a", "tags": {"b": [f"x{key}"]}}]}] * 50


FORMS: dict[str, Callable[[str], bytes]] = {
    "raw": many,
    "upper case": lambda key: many(key).upper(),
    "cut off, as in Delta's statistics": lambda key: f"register:{key[:23]}".encode(),
    "across two chunks": lambda key: b"-" * ((1 << 24) - 7) + key.encode(),
    "parquet": lambda key: parquet_of(rows_with(key)),
    "nested parquet": lambda key: parquet_of(nested_with(key)),
    "gzip": lambda key: gzip.compress(many(key)),
    "bzip2": lambda key: bz2.compress(many(key)),
    "xz": lambda key: lzma.compress(many(key)),
    "zip": lambda key: zip_of("models.json", many(key)),
    "a name in a zip": lambda key: zip_of(key, b""),
    "gzip in zip": lambda key: zip_of("coefficients.gz", gzip.compress(many(key))),
    "parquet in zip": lambda key: zip_of("part.parquet", parquet_of(rows_with(key))),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_found_in_every_form_and_another_is_not_taken_for_it(
    form: str, tmp_path: Path
) -> None:
    planted, clean = tmp_path / "planted", tmp_path / "clean"
    planted.write_bytes(FORMS[form](KEY))
    clean.write_bytes(FORMS[form](OTHER))
    scan = scan_files([str(planted), str(clean)], NEEDLES)
    size = planted.stat().st_size + clean.stat().st_size
    assert scan == Scan(2, size, ((str(planted), 1),))


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(many(KEY))[:60],
        zip_of("a", many(KEY))[:100],
        parquet_of(rows_with(KEY))[:100],
        b"\x28\xb5\x2f\xfd compressed by zstd",
    ],
    ids=["gzip", "zip", "parquet", "zstd"],
)
def test_a_file_that_cannot_be_decoded_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(content)
    assert scan_files([str(tmp_path / "broken")], NEEDLES).unreadable == (str(tmp_path / "broken"),)


def test_all_files_are_looked_at_hidden_ones_too_and_their_names(tmp_path: Path) -> None:
    for name in ("_delta_log/.0.json.crc", f"part={KEY}/a", "retaining/keys", "mlflow.db"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"nothing")
    files = files_below(str(tmp_path), leaving_out="retaining")
    assert [Path(file).name for file in files] == [".0.json.crc", "mlflow.db", "a"]
    assert [found for found, _ in scan_files(files, NEEDLES).found] == [f"{tmp_path}/part={KEY}/a"]
    assert files_below(str(tmp_path / "mlflow.db")) == [str(tmp_path / "mlflow.db")]
    assert files_below(str(tmp_path / "nowhere")) == []
    assert scan_files([str(tmp_path / "gone since")], NEEDLES) == Scan()
    assert files_below(tmp_path.as_uri(), leaving_out="retaining") == [
        f"file://{file}" for file in files
    ]
