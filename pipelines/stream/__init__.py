"""The stream: the same step as the batch job, taken over one micro-batch after the other, for months.

feed            where posts come from: Kafka, or a journal that a folder watch or a receiver fills
job             holds the output folder, starts the query, starts it again when its source fails, stops it
epochs          one micro-batch, one epoch: staged, decided and published, or skipped when it was published before
identity        which stream an output folder belongs to, and with which configuration
"""
