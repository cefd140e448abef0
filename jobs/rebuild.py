"""`spark-submit jobs/rebuild.py --settings FILE --run NUMBER [--to FOLDER]`."""

from cas_spark.cli import submit

if __name__ == "__main__":
    submit("rebuild")
