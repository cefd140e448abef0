"""Writes a made-up country's extracts to a folder: all of it, or nothing."""

import json
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyogrio
import shapely

from cas_spark.errors import CasError
from cas_spark.generator.country import EDITIONS, Country, area_statistics, make_country, weigh
from cas_spark.generator.delivery import deliver, extract_lines
from cas_spark.generator.offences import generate_incidents
from cas_spark.generator.real_country import read_country, totals_of, weigh_areas
from cas_spark.generator.suspect_links import generate_suspects
from cas_spark.generator.writing import DESCRIPTION, sha256_of, write_layers, write_lines
from cas_spark.settings import Settings
from cas_spark.settings.generator import Generator
from cas_spark.settings.settings import without_places

PROOF: Final = "generated.json"
README: Final = "README.txt"
NAMED: Final = 5
"""How many files an error names."""


class GeneratedFile(NamedTuple):
    """A file of a delivery and the number of rows (without a header) in it."""

    path: Path
    rows: int


def generate(settings: Settings) -> list[GeneratedFile]:
    """Write the extracts that `settings.generator` asks for into its folder.

    The folder appears complete or not at all. One that holds the same settings' extracts,
    untouched, is left as it is; one with other generated extracts, and nothing else, is replaced.

    Returns:
        Every extract and layer with its rows, by name.

    Raises:
        CasError: the settings have no generator or ask for the impossible, or the folder holds
            something that was not generated, or was changed since.
    """
    generator = settings.generator
    if generator is None or not settings.is_generated:
        raise CasError(
            what=f"settings {settings.name}",
            found="no generator" if generator is None else "a generator, but is_generated: false",
            expected="a section `generator` and `is_generated: true`",
            do="Use conf/demo.yaml, or write such settings",
        )
    folder = Path(generator.folder)
    fingerprint = _fingerprint(settings, generator)
    found = _generated_before(folder, fingerprint)
    if found is not None:
        return found
    try:
        return _replace(folder, settings, generator, fingerprint)
    except OSError as error:
        raise CasError(
            what=f"generator.folder {folder}",
            found=str(error),
            expected="a folder that can be written, on a disk with room",
            do="Make room, or name another folder",
        ) from error


def _replace(
    folder: Path, settings: Settings, generator: Generator, fingerprint: str
) -> list[GeneratedFile]:
    """Write everything beside `folder`, then put it in its place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        fresh, old = Path(scratch, "fresh"), Path(scratch, "old")
        fresh.mkdir()
        rows = _write_all(fresh, settings, generator)
        files = [GeneratedFile(folder / name, rows[name]) for name in sorted(rows)]
        _write_proof(fresh, fingerprint, files)
        if folder.exists():
            _check_folder(folder)  # making all this took a while
            folder.rename(old)
        fresh.rename(folder)
    return files


def _write_all(folder: Path, settings: Settings, generator: Generator) -> dict[str, int]:
    """Write every file into `folder`; returns file name -> rows."""
    rows: dict[str, int] = {}
    if generator.country is None:
        made_up = make_country(generator.seed)
        areas = weigh(made_up.neighbourhoods, generator.offences, generator.seed)
        totals = _totals_of_demo(generator)
        rows |= _write_country(folder, made_up, generator.seed)
    else:
        real = read_country(generator.country)
        years = _years(generator.start, generator.end)
        totals = totals_of(real, generator.country, generator.offences, years)
        areas = weigh_areas(real, generator.offences, generator.seed)
    incidents = generate_incidents(
        areas,
        totals,
        generator.offences,
        window=(generator.start, generator.end),
        seed=generator.seed,
        zone=settings.zone,
        places_per_km2=generator.places_per_km2,
    )
    codes = {name: offence.code for name, offence in generator.offences.items()}
    delivered = deliver(incidents, codes, generator.faults, end=generator.end, seed=generator.seed)
    for year, of_year in delivered.groupby("extract_year"):
        name = f"incidents_{year}.csv.gz"
        rows[name] = write_lines(folder / name, extract_lines(of_year)) - 1
    links, decisions = generate_suspects(
        delivered,
        areas,
        share=generator.suspects_share,
        dismissed_share=generator.dismissed_share,
        end=generator.end,
        seed=generator.seed,
    )
    decisions["decided_on"] = decisions["decided_on"].dt.strftime("%Y-%m-%d")
    for name, table in (("suspects", links), ("suspect_decisions", decisions)):
        text = table.to_csv(index=False, float_format="%.1f", lineterminator="\n")
        file = f"{name}.csv.gz"
        rows[file] = write_lines(folder / file, text.splitlines()) - 1
    return rows


def _write_country(folder: Path, country: Country, seed: int) -> dict[str, int]:
    neighbourhoods = country.neighbourhoods
    columns = ["area_id", "area_name", "team_id", "team_name", "region", "kind", "origin"]
    teams = neighbourhoods[[*columns, "geometry"]]
    layers = {
        "teams": [("neighbourhoods", teams), ("water", country.water)],
        "stations": [("stations", country.stations)],
        "main_roads": [("main_roads", country.main_roads)],
    }
    for edition in EDITIONS:
        figures = area_statistics(neighbourhoods, edition, seed)
        layers[f"area_statistics_{edition}"] = [("areas", figures)]
    return {
        f"{name}.gpkg": write_layers(folder / f"{name}.gpkg", of_file)
        for name, of_file in layers.items()
    }


def _totals_of_demo(generator: Generator) -> pd.DataFrame:
    """Yearly totals as `generate_incidents` takes them."""
    rows = [
        {
            "total_id": "country",
            "offence": name,
            "year": year,
            "incidents": offence.incidents_in(year, generator.start.year),
        }
        for name, offence in generator.offences.items()
        for year in _years(generator.start, generator.end)
    ]
    return pd.DataFrame(rows)


def _years(start: date, end: date) -> range:
    return range(start.year, end.year + 1)


def _fingerprint(settings: Settings, generator: Generator) -> str:
    """What the bytes follow from: settings, the generator's own code, and its libraries."""
    parts = without_places(generator.model_dump(mode="json", exclude={"folder"}))
    inputs = generator.country.paths if generator.country else []
    parts |= {
        "zone": settings.timezone,
        "code": [sha256_of(path) for path in sorted(Path(__file__).parent.glob("*.py"))],
        "inputs": [sha256_of(Path(path)) for path in inputs if Path(path).is_file()],
        "libraries": [np.__version__, pd.__version__, shapely.__version__, pyogrio.__version__],
    }
    return json.dumps(parts, sort_keys=True)


def _write_proof(folder: Path, fingerprint: str, files: list[GeneratedFile]) -> None:
    """Write what was made from what, for people and for the next run."""
    proof: dict[str, Any] = {
        "is_generated": True,
        "remark": DESCRIPTION,
        "made_from": json.loads(fingerprint),
        "files": [
            {"name": path.name, "rows": rows, "sha256": sha256_of(folder / path.name)}
            for path, rows in files
        ],
    }
    width = max(len(file.path.name) for file in files)
    listed = "\n".join(f"  {file.path.name:<{width}} {file.rows:>9} rows" for file in files)
    readme = (
        f"{DESCRIPTION}\n\n"
        "Every incident, person, place and figure in this folder was made up by cas-spark\n"
        "(`cas-spark generate`) from a seed. The same seed and settings give the same bytes.\n"
        f"{PROOF} lists the settings.\n\n{listed}\n"
    )
    (folder / README).write_text(readme, encoding="utf-8")
    proof["readme_sha256"] = sha256_of(folder / README)
    (folder / PROOF).write_text(json.dumps(proof, indent=2) + "\n", encoding="utf-8")


def _generated_before(folder: Path, fingerprint: str) -> list[GeneratedFile] | None:
    """The files of an earlier run with the same fingerprint, if all are there.

    Raises:
        CasError: the folder holds something that was not generated, or was changed since.
    """
    proof = _check_folder(folder)
    if proof is None or proof["made_from"] != json.loads(fingerprint):
        return None
    files = [GeneratedFile(folder / file["name"], file["rows"]) for file in proof["files"]]
    return files if all(path.is_file() for path, _ in files) else None


def _check_folder(folder: Path) -> dict[str, Any] | None:
    """What the list of generated files says; None for no folder, or an empty one.

    Raises:
        CasError: the folder holds anything but files that are as the list says.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    proof = _proof_in(folder)
    sums = {} if proof is None else {file["name"]: file["sha256"] for file in proof["files"]}
    others = [path for path in folder.iterdir() if not _is_generated(path, sums, proof)]
    if others:
        named = sorted(f"{p.name} (changed)" if p.name in sums else p.name for p in others)
        more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
        raise CasError(
            what=f"generator.folder {folder}",
            found=f"files that were not generated: {', '.join(named[:NAMED])}{more}",
            expected=f"an empty folder, or one with generated extracts, as {PROOF} lists them, "
            "and nothing else",
            do="Nothing was changed. Name another folder, or move these files away",
        )
    return proof


def _proof_in(folder: Path) -> dict[str, Any] | None:
    """The list of generated files, or None where there is none that can be read."""
    try:
        proof: dict[str, Any] = json.loads((folder / PROOF).read_text(encoding="utf-8"))
        described = [(file["name"], file["sha256"], file["rows"]) for file in proof["files"]]
        is_whole = proof["is_generated"] is True and "made_from" in proof and bool(described)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return proof if is_whole else None


def _is_generated(path: Path, sums: Mapping[str, str], proof: Mapping[str, Any] | None) -> bool:
    """Return whether `generate` wrote a file of the folder, unchanged since."""
    if proof is None or path.is_symlink() or not path.is_file():
        return False
    if path.name == PROOF:
        return True
    if path.name == README:
        known = proof.get("readme_sha256")
        if known is None:  # an earlier version listed only the extracts
            return path.read_text(encoding="utf-8", errors="replace").startswith(DESCRIPTION)
        return bool(sha256_of(path) == known)
    return sums.get(path.name) == sha256_of(path)
