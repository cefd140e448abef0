"""What ingest would make of the first rows of each extract, without a lake."""
