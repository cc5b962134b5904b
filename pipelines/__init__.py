"""What needs Spark, and what stands beside it: sources, tables, token sets, reports."""
