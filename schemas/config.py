"""The whole configuration of a run: frozen, typed, unknown keys refused with the nearest legal one named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.parsing import parse

Format = Literal["auto", "canonical", "x-v2", "x-v1", "jetstream", "mastodon", "reddit"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputConfig(_Section):
    """How raw files are read."""

    format: Format = "auto"
    max_record_bytes: int = Field(default=1 << 20, gt=0)  # a longer record is no post: quarantined
    split_bytes: int = Field(default=32 << 20, gt=0)  # work unit of one task, in bytes of raw input
    split_rows: int = Field(default=50_000, gt=0)  # the same for Parquet, in rows
    batch_rows: int = Field(default=8192, gt=0)  # rows handed to the stages at once


class DuplicatesConfig(_Section):
    """What counts as a duplicate; the sketch itself is configured under stages.sketch."""

    threshold: float = Field(default=0.7, gt=0, le=1)  # estimated Jaccard
    horizon_days: int = Field(default=7, gt=0)  # how far back an original may lie
    index: str = Field(default="embedded", pattern=r"^(embedded|rediss?://[^@\s]+)$")  # who keeps it; no password in it
    index_password_file: str | None = None  # where every executor finds the password of a Redis


class TokensConfig(_Section):
    """How kept posts become token shards."""

    tokenizer: str = "default"  # or a path: tokenizer.json, SentencePiece .model, .tiktoken
    shard_tokens: int = Field(default=16_000_000, gt=0)  # upper bound of one shard


class SparkConfig(_Section):
    """Settings swarmfeed passes to Spark when it starts the session itself."""

    master: str = "local[*]"
    driver_memory: str = "2g"
    jars: tuple[str, ...] = ()  # files, as those of the Kafka connector
    packages: tuple[str, ...] = ()  # the same as Maven coordinates, which Spark fetches
    shuffle_partitions: int | None = None  # twice the cores when unset


class StreamConfig(_Section):
    """How a stream is cut into epochs and watched."""

    trigger_seconds: float = Field(default=2.0, gt=0)  # an epoch begins no sooner after the last one began
    max_posts_per_epoch: int = Field(default=200_000, gt=0)
    kafka_properties: str | None = None  # file of client settings, as Kafka's own tools read it: security.protocol=...
    skip_lost_messages: bool = False  # go on where Kafka has dropped messages that were not read yet
    metrics_port: int | None = Field(default=None, ge=0, le=65535)  # on this machine alone; 0 takes a free one
    log_file: str | None = None  # stderr when unset
    token_file: str | None = None  # holds the token of x:// or mastodon://
    token_variable: str | None = None  # or the environment variable that does


class UpkeepConfig(_Section):
    """What becomes of the output folder between epochs."""

    deadline_hours: float = Field(default=24, gt=0)  # by then what must go is gone
    forget_minutes: float = Field(default=60, gt=0)  # how often what must go is taken out
    compact_minutes: float = Field(default=2, gt=0)  # how often small files are put together
    small_file_bytes: int = Field(default=64 << 20, gt=0)  # a smaller one is small
    keep_hours: float = Field(default=1, ge=0)  # how long a reader may go on with files that were put together


class Config(_Section):
    """Everything a run depends on besides its input and its code."""

    input: InputConfig = InputConfig()
    stages: dict[str, dict[str, Any]] = Field(default_factory=dict)  # each stage checks its own keys
    duplicates: DuplicatesConfig = DuplicatesConfig()
    tokens: TokensConfig = TokensConfig()
    spark: SparkConfig = SparkConfig()
    stream: StreamConfig = StreamConfig()
    upkeep: UpkeepConfig = UpkeepConfig()
    error_budget: float = Field(default=0.001, ge=0, le=1)  # share of rows whose stage may fail

    @classmethod
    def parse(cls, data: object, where: str = "config") -> Config:
        """Check plain data (from YAML, JSON or --set) and freeze it; raise ConfigError naming key and file."""
        return parse(cls, data, where)

    def deciding(self) -> dict[str, Any]:
        """Return everything that can change a result, as plain data.

        How work is cut up, who keeps the index and when a folder is tidied cannot.
        """
        cut: dict[str, bool | set[str]] = {
            "spark": True,
            "stream": True,
            "upkeep": True,
            "input": {"split_bytes", "split_rows", "batch_rows"},
            "duplicates": {"index", "index_password_file"},
        }
        return self.model_dump(mode="json", exclude=cut)

    def hash(self, contents: Mapping[str, str] | None = None) -> str:
        """Return 16 hex digits of the sha256 of everything that can change a result.

        `contents` tells by stage the sha256 of the files that its settings name: another content is another config.
        """
        data = self.deciding()
        if contents:
            data["contents"] = dict(contents)
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
