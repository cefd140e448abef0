"""spark-submit jobs/grid.py --settings FILE [--poll YYYY-MM-DD]: see `cas-spark grid --help`."""

from cas_spark.cli import submit

if __name__ == "__main__":
    submit("grid")
