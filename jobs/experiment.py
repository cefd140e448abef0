"""`spark-submit jobs/experiment.py --settings FILE --name NAME [--weeks N]`."""

from cas_spark.cli import submit

if __name__ == "__main__":
    submit("experiment")
