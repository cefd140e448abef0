"""How Spark, file systems and their failures are used; nothing here knows of crime."""
