"""A key is found wherever it hides, so a scan that finds none means something."""

import base64
import bz2
import gzip
import io
import lzma
import time
import uuid
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from cas_spark.lake.needles import needles_of
from cas_spark.lake.scanning import Scan, files_below, scan_files

KEY = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
NEEDLES = needles_of([KEY])


def parquet_of(rows: list[dict[str, object]] | pa.Table) -> bytes:
    content = io.BytesIO()
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
    pq.write_table(table, content, compression="zstd")
    return content.getvalue()


def orc_of(rows: list[dict[str, object]]) -> bytes:
    content = io.BytesIO()
    pyarrow.orc.write_table(pa.Table.from_pylist(rows), content, compression="zstd")
    return content.getvalue()


def arrow_of(rows: list[dict[str, object]]) -> bytes:
    content, table = io.BytesIO(), pa.Table.from_pylist(rows)
    with pa.ipc.new_file(
        content, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")
    ) as file:
        file.write_table(table)
    return content.getvalue()


def packed(content: bytes, codec: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(content)
    return bytes(sink.getvalue().to_pybytes())


def framed(content: bytes) -> bytes:
    """As snappy's framing format has it; the sums are not looked at."""
    body = b"sums" + bytes(pa.Codec("snappy").compress(content, asbytes=True))
    return b"\xff\x06\x00\x00sNaPpY\x00" + len(body).to_bytes(3, "little") + body


def zip_of(name: str, content: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return archive.getvalue()


def small_window(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=9)
    return packer.compress(content) + packer.flush()


def many(key: str) -> bytes:
    """Long enough to be compressed into something that no longer reads as the key."""
    return b"filling " * 1000 + f'{{"id": "register:{key}"}}'.encode() * 50


def rows_with(key: str) -> list[dict[str, object]]:
    return [{"id": f"register:{key}", "number": 1.5}] * 50


def nested_with(key: str) -> list[dict[str, object]]:
    return [{"pairs": [{"name": "a", "tags": {"b": [f"x{key}"]}}]}] * 50


def _in_base64(letters: bytes, key: str) -> bytes:
    return base64.b64encode(letters + key.encode())


FORMS: dict[str, Callable[[str], bytes]] = {
    "raw": many,
    "upper case": lambda key: many(key).upper(),
    "cut off, as in Delta's statistics": lambda key: f"register:{key[:23]}".encode(),
    "across two chunks": lambda key: b"." * ((1 << 24) - 7) + key.encode(),
    "parquet": lambda key: parquet_of(rows_with(key)),
    "nested parquet": lambda key: parquet_of(nested_with(key)),
    "gzip": lambda key: gzip.compress(many(key)),
    "bzip2": lambda key: bz2.compress(many(key)),
    "xz": lambda key: lzma.compress(many(key)),
    "zip": lambda key: zip_of("models.json", many(key)),
    "a name in a zip": lambda key: zip_of(key, b""),
    "gzip in zip": lambda key: zip_of("coefficients.gz", gzip.compress(many(key))),
    "UTF-16 of either order": lambda key: key.encode("utf-16-le"),
    "UTF-16, big-endian": lambda key: b"\1" + f"id {key}".encode("utf-16-be"),
    "UTF-32": lambda key: f"id {key}".encode("utf-32"),
    "a UUID": lambda key: str(uuid.UUID(key)).encode(),
    "a UUID in upper case, cut off": lambda key: str(uuid.UUID(key)).upper()[:20].encode(),
    "escaped as JSON": lambda key: "".join(f"\\u{ord(c):04x}" for c in key).encode(),
    "escaped here and there": lambda key: f"{key[:5]}\\u{ord(key[5]):04X}{key[6:]}".encode(),
    "JSON in JSON": lambda key: "".join(f"\\\\u{ord(c):04x}" for c in key).encode(),
    "escaped as Python and URLs do": lambda key: (
        f"\\x{ord(key[0]):02x}%{ord(key[1]):02x}{key[2:]}".encode()
    ),
    "base64 in lines": lambda key: base64.encodebytes(b"-" * 50 + key.encode()),
    "base64 in a URL": lambda key: base64.urlsafe_b64encode(b"\xff\xfe>?" + key.encode()),
    "base64 of UTF-16": lambda key: base64.b64encode(key.encode("utf-16")),
    "base64 amid letters": lambda key: b"abcdefg" + base64.b64encode(key.encode()) + b"hijklm",
    "hexadecimal": lambda key: key.encode().hex().encode(),
    "hexadecimal after one digit": lambda key: b"7" + key.encode().hex().encode(),
    "UTF-16 across two chunks": lambda key: b"." * ((1 << 24) - 7) + key.encode("utf-16-le"),
    "zlib": lambda key: zlib.compress(many(key)),
    "deflate": lambda key: zlib.compress(many(key), wbits=-15),
    "zstd": lambda key: packed(many(key), "zstd"),
    "lz4": lambda key: packed(many(key), "lz4"),
    "snappy": lambda key: pa.Codec("snappy").compress(many(key), asbytes=True),
    "snappy in frames": lambda key: framed(many(key)),
    "gzip in zstd": lambda key: packed(gzip.compress(many(key)), "zstd"),
    "zip in zlib": lambda key: zlib.compress(zip_of("a", many(key))),
    "parquet in zstd": lambda key: packed(parquet_of(rows_with(key)), "zstd"),
    "orc": lambda key: orc_of(rows_with(key)),
    "arrow": lambda key: arrow_of(rows_with(key)),
    "parquet of dictionaries": lambda key: parquet_of(
        pa.Table.from_pylist(rows_with(key)).cast(
            pa.schema({"id": pa.dictionary(pa.int32(), pa.string()), "number": pa.float64()})
        )
    ),
    "parquet in zip": lambda key: zip_of("part.parquet", parquet_of(rows_with(key))),
    "zlib amid other bytes": lambda key: b"%PDF stream " + zlib.compress(many(key)) + b" end",
    "zlib of a small window": lambda key: b"blob " + small_window(many(key)),
    "gzip amid other bytes": lambda key: b"blob " + gzip.compress(many(key)) + b" end",
    "bzip2 amid other bytes": lambda key: b"blob " + bz2.compress(many(key)) + b" end",
    "xz amid other bytes": lambda key: b"blob " + lzma.compress(many(key)) + b" end",
    "zlib after zlib": lambda key: zlib.compress(b"first") + zlib.compress(many(key)),
    "zlib across two chunks": lambda key: b"." * ((1 << 24) - 30) + zlib.compress(many(key)),
    "zlib that begins at the end of a chunk": lambda key: (
        b"." * ((1 << 24) - 1) + zlib.compress(many(key))
    ),
    "zlib in a value of parquet": lambda key: parquet_of([{"blob": zlib.compress(many(key))}]),
}


for letters in (b"", b"x", b"xy", b"xyz"):
    FORMS[f"base64 after {len(letters)} letters"] = partial(_in_base64, letters)


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
        zlib.compress(many(KEY))[:60],
        orc_of(rows_with(KEY))[:100],
        framed(many(KEY))[:60],
        b"Obj\x01 and Avro's blocks",
        b"7z\xbc\xaf\x27\x1c and so on",
    ],
    ids=["gzip", "zip", "parquet", "zstd", "zlib", "orc", "snappy", "avro", "7z"],
)
def test_a_file_that_cannot_be_decoded_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(content)
    assert scan_files([str(tmp_path / "broken")], NEEDLES).unreadable == (str(tmp_path / "broken"),)


def test_a_file_whose_name_tells_a_form_that_its_bytes_do_not_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.snappy").write_bytes(b"\0\0\0\7\0\0\0\7blocks of Hadoop")
    (tmp_path / "a.txt").write_bytes(b"x^2 + y^2 = z^2, which begins as zlib does")
    scan = scan_files([str(tmp_path / "a.snappy"), str(tmp_path / "a.txt")], NEEDLES)
    assert scan.unreadable == (str(tmp_path / "a.snappy"),)


@pytest.mark.parametrize(
    "filling",
    [
        b"\\",
        b"0",
        b"-",
        b"a\0",
        b"\\u0030",
        b"QUJD",
        b"%3",
        b"\x78\x9c",
        b"\\u{0",
        zlib.compress(b"a"),
    ],
)
def test_the_time_of_a_search_grows_with_the_length_only(filling: bytes, tmp_path: Path) -> None:
    def seconds(length: int) -> float:
        (tmp_path / "long").write_bytes(filling * (length // len(filling)))
        start = time.process_time()
        scan_files([str(tmp_path / "long")], NEEDLES)
        return time.process_time() - start

    assert seconds(400_000) < 40 * max(seconds(20_000), 0.005)  # of twenty times the length


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
