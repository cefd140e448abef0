"""`spark-submit jobs/ingest.py --settings FILE [--poll YYYY-MM-DD]`."""

from cas_spark.cli import submit

if __name__ == "__main__":
    submit("ingest")
