"""The jars that Spark gets: those of the lock's libraries, and no other bytes."""

import hashlib
import importlib
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY_OF = {
    "sedona-spark-shaded-4.0_2.13": "apache-sedona",
    "delta-spark_2.13": "delta-spark",
    "delta-storage": "delta-spark",
}


@pytest.fixture(scope="module")
def jars() -> ModuleType:
    """The set-up's module; it runs before the project is installed, so it is no package."""
    sys.path.insert(0, str(ROOT / "deploy" / "runtime"))
    try:
        return importlib.import_module("jars")
    finally:
        sys.path.pop(0)


def test_jars_have_the_versions_of_the_locked_libraries(jars: ModuleType) -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    locked = {package["name"]: package["version"] for package in lock["package"]}
    found = {}
    for jar in jars.JarList.read().jars:
        _, artifact, version = jar.coordinates.split(":")
        found[artifact] = version
    assert {artifact: found[artifact] for artifact in LIBRARY_OF} == {
        artifact: locked[library] for artifact, library in LIBRARY_OF.items()
    }
    sedona = found["sedona-spark-shaded-4.0_2.13"]
    assert found["geotools-wrapper"].startswith(f"{sedona}-")


def test_a_jar_that_is_missing_or_has_another_sum_is_told(jars: ModuleType, tmp_path: Path) -> None:
    content = b"a jar"
    lines = [
        "# org.example:one:1.0",
        f"{hashlib.sha256(content).hexdigest()}  one-1.0.jar",
        "# org.example:two:2.0",
        f"{hashlib.sha256(b'another').hexdigest()}  two-2.0.jar",
        "# org.example:three:3.0",
        f"{hashlib.sha256(b'absent').hexdigest()}  three-3.0.jar",
    ]
    listed = tmp_path / "jars.sha256"
    listed.write_text("\n".join(lines), encoding="utf-8")
    for name in ("one-1.0.jar", "two-2.0.jar"):
        (tmp_path / name).write_bytes(content)
    wrong = jars.JarList.read(listed).wrong_files(tmp_path)
    assert [jar.name for jar in wrong] == ["two-2.0.jar", "three-3.0.jar"]


def test_a_sum_without_the_coordinates_of_its_file_is_refused(
    jars: ModuleType, tmp_path: Path
) -> None:
    listed = tmp_path / "jars.sha256"
    listed.write_text(f"# org.example:one:1.0\n{'0' * 64}  other-1.0.jar\n", encoding="utf-8")
    with pytest.raises(Exception, match="other-1.0.jar"):
        jars.JarList.read(listed)


def test_no_mirror_stands_in_the_lock() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    registries = {p["source"]["registry"] for p in lock["package"] if "registry" in p["source"]}
    assert registries == {"https://pypi.org/simple"}
