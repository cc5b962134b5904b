"""What flows through swarmfeed: rows, columns, files, settings, reasons and errors. Imports pyarrow and pydantic only."""
