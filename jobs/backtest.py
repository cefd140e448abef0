"""`spark-submit jobs/backtest.py --settings FILE --from DATE --to DATE [--retrain-every N]`."""

from cas_spark.cli import submit

if __name__ == "__main__":
    submit("backtest")
