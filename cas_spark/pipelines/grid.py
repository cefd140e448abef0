"""Grid: the land cells of the settings' grid version, which are kept and which removed, and why."""

from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.grid.definition import file_digests, grid_definition, layer_paths
from cas_spark.grid.removal import apply_removal
from cas_spark.grid.surroundings import surroundings_of
from cas_spark.grid.tessellation import check_teams_do_not_overlap
from cas_spark.knowledge.calendar import instant_of
from cas_spark.knowledge.visibility import known_at
from cas_spark.lake import tables
from cas_spark.pipelines.ingest import land_cells
from cas_spark.pipelines.job import Job


def grid(job: Job) -> None:
    """Make the grid version of the settings unless the lake holds it.

    Raises:
        CasError: the lake holds this version with another definition, or no cell would be kept.
    """
    run, settings = job.run, job.settings.grid
    digests = file_digests(run.lake.spark, layer_paths(settings))
    definition = grid_definition(settings, digests)
    version = F.col("grid_version") == settings.version
    held = run.read(tables.CELLS).where(version).select("definition").first()
    if held is not None:
        if held["definition"] != definition:
            raise CasError(
                what=f"grid version {settings.version}",
                found="settings or files other than those the lake's cells were made from",
                expected="the same polygons, removal rules and surroundings under the same version",
                do="Give the changed grid a new grid.version",
            )
        return
    with run.stage("grid") as said:
        # Rules may look only at what was known before the first poll that this version serves.
        known = known_at(
            run.read(tables.INCIDENTS), instant_of(settings.valid_from, job.settings.zone)
        )
        land = land_cells(job)
        check_teams_do_not_overlap(land)
        surroundings = surroundings_of(land.select("cell_id"), settings.surroundings, settings.crs)
        surroundings = surroundings.persist()
        cells = apply_removal(land, settings.removal, known.select("cell_id"), surroundings).select(
            F.lit(settings.version).alias("grid_version"),
            *land.columns,
            "is_kept",
            "removal_reason",
            F.lit(definition).alias("definition"),
            F.lit(run.number).cast("long").alias("run_number"),
        )
        run.append(tables.CELLS, cells)
        context = surroundings.join(
            land.select("cell_id", "land_share"), "cell_id", "inner"
        ).select(
            F.lit(settings.version).alias("grid_version"),
            F.lit(settings.valid_from).alias("valid_from_on"),
            F.col("land_share").cast("float").alias("land_share"),
            *surroundings.columns,
        )
        table = tables.cell_context([layer.name for layer in settings.surroundings])
        run.replace(table, context)
        surroundings.unpersist()
        kept = run.read(tables.CELLS).where(version).where("is_kept").count()
        said["cells"] = run.read(tables.CELLS).where(version).count()
        said["kept"] = kept
    if kept == 0:
        raise CasError(
            what=f"grid version {settings.version}",
            found="every cell removed",
            expected="cells that are kept",
            do="Loosen grid.removal in the settings",
        )
