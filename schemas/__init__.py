"""What flows through swarmfeed: rows, columns, files, settings, reasons, errors. Imports pyarrow and pydantic only."""
