"""Raw input to canonical posts, tombstones and quarantined records. Needs no Spark.

    plan_splits(paths, config)      on the driver: what there is to read, cut into units of work
    read_split(split, config)       on an executor: one unit, batch after batch
    parse_values(messages, format)  for a stream: messages as a platform sends them

Every record of the input that is not blank becomes a post, a tombstone, a notice (a line that is neither, counted)
or a quarantined record; one that holds several things becomes several. None is lost and none raises.
"""

from pipelines.sources.plan import plan_splits
from pipelines.sources.read import read_split
from pipelines.sources.records import parse_values
from pipelines.sources.rows import Records
from pipelines.sources.splits import Split

__all__ = ["Records", "Split", "parse_values", "plan_splits", "read_split"]
