"""MLflow: what was trained each week and how it scored, for people who compare models.

The only room that imports MLflow, and only on the driver. The lake's tables are the record; what
lies here is made from them and can be logged again.
"""

import os
import warnings

# Before MLflow is first imported. By default it sends usage figures to its makers, prints
# its own housekeeping and an address per run, and puts the uv.lock of whatever folder it
# runs in into each model.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of the types of its own chat models
    import mlflow.pyfunc  # noqa: F401 - so that it is imported here, quietly
