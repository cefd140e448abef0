"""`spark-submit jobs/retain.py --settings FILE --as-of YYYY-MM-DD`."""

from cas_spark.cli import submit

if __name__ == "__main__":
    submit("retain")
