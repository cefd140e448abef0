"""Makes up a country's extracts as a police force would deliver them, from a seed."""

from cas_spark.generator.generate import GeneratedFile, generate
from cas_spark.generator.offences import generate_incidents

__all__ = ["GeneratedFile", "generate", "generate_incidents"]
