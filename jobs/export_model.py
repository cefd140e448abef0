"""`spark-submit jobs/export_model.py --settings FILE --poll DATE --team T … --to FOLDER`."""

from cas_spark.cli import submit

if __name__ == "__main__":
    submit("export-model")
