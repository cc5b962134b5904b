"""List the largest campaigns of an output folder: an original and every post that is a copy of it, over all epochs.

A campaign is the id of an original and every post whose `duplicate_of` it is. There is no transitive closure: a copy
of a post that is itself a copy belongs to the post it duplicates, and that one is the original of the one campaign and
a copy in the other. Posts that are one post again (`repeated_id`, `superseded`) are no copies and are left out; of an
edit that came in a later epoch the newest version counts.

One pass over columns without text ranks the campaigns, with one shuffle, by the id of the original. What else there is
to say is counted for those listed alone; last, their samples are read, a row group each.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, Observation, Row, SparkSession
from pyspark.sql import functions as sql
from rich.console import Console
from rich.text import Text

from pipelines import failures, session
from pipelines.progress import Watch
from pipelines.report.clusters import (
    COPIES,
    HOUR_SECONDS,
    UNDETERMINED,
    posts_per_hour,
    rate_words,
    span_words,
    top_shares,
)
from pipelines.report.page import cut
from pipelines.report.samples import read_rows
from pipelines.tables import PostsFile, open_table, posts_files
from schemas.config import SparkConfig
from schemas.errors import ConfigError, nearest

MEASURES = ("posts", "authors", "rate")
MAX_TOP = 1000
SAMPLE_CHARS = 200
EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
GLOB = frozenset("\\*?[]{}")
HEADINGS = ("posts", "kept", "authors", "top author", "span", "posts/hour", "languages")
INDENT = 4
FACETS = ("author", "language", "kind", "wording", "host")  # what the members of a campaign are grouped by
TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # where a line changes direction
SCHEMA = (
    "id string, author_id string, created_at timestamp, language struct<lang: string>, duplicate_of string, "
    "duplicates struct<kind: string, deleted: boolean>, verdict struct<keep: boolean>, epoch bigint, "
    "sketch struct<fingerprint: bigint>, credibility struct<links: array<struct<host: string, kind: string>>>"
)


@dataclass(frozen=True)
class Question:
    """Which campaigns are asked for: how many, of what size, by what measure, from posts made in which time."""

    top: int = 20
    min_posts: int = 2
    by: str = "posts"
    since: datetime | None = None  # the first moment that counts
    until: datetime | None = None  # the first that does not

    def __post_init__(self) -> None:
        """Raise ConfigError for what has no answer."""
        if not 1 <= self.top <= MAX_TOP:
            raise ConfigError(f"--top: expected 1 to {MAX_TOP}, got {self.top}")
        if self.min_posts < 1:
            raise ConfigError(f"--min-posts: expected 1 or more, got {self.min_posts}")
        if self.by not in MEASURES:
            raise ConfigError(f"--by: expected {', '.join(MEASURES)}, got {self.by!r}: {nearest(self.by, MEASURES)}")
        if self.since and self.until and self.since >= self.until:
            raise ConfigError(f"--until: expected a time after --since, got {self.until:%Y-%m-%d %H:%M:%S}")


@dataclass
class Campaign:
    """What is known of one campaign; its posts are the copies and, where it is among the posts looked at, the original.

    `authors` are the known ones; posts that name none are counted beside them. A span under an hour counts as an hour
    in `posts_per_hour`. `kinds` tells the copies apart, `languages` has the three most frequent with their shares.
    Many authors with one wording or one site behind them are no independent witnesses: `wordings` counts the texts that
    differ once links, names, case and marks are gone, `hosts` the sites that come first in a post, platforms and
    shorteners left out.
    """

    original: str
    posts: int = 0
    kept: int = 0
    authors: int = 0
    posts_without_author: int = 0
    top_author: str | None = None
    top_author_share: float | None = None  # of all posts
    first: datetime | None = None
    last: datetime | None = None
    span_seconds: float | None = None
    posts_per_hour: float | None = None
    languages: dict[str, float] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    wordings: int = 0
    hosts: int = 0
    sample: str | None = None  # redacted text of the original; None when it is deleted or not in the table

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        times = {name: at.isoformat() if (at := getattr(self, name)) else None for name in ("first", "last")}
        return asdict(self) | times


@dataclass(frozen=True)
class Answer:
    """The campaigns listed, and how many there are in all of that size."""

    campaigns: list[Campaign]
    in_all: int


def parse_time(option: str, text: str | None) -> datetime | None:
    """Read a date or a time, UTC unless it says otherwise; raise ConfigError for anything else.

    >>> parse_time("--since", "2026-05-04")
    datetime.datetime(2026, 5, 4, 0, 0, tzinfo=datetime.timezone.utc)
    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(f"{option}: expected a date such as 2026-05-04 or 2026-05-04T12:30, got {text!r}") from None


def list_campaigns(out: Path, question: Question, config: SparkConfig, watch: Watch | None = None) -> Answer:
    """Return the campaigns asked for, largest first; raise ConfigError when `out` is no output folder.

    Spark starts only where there is a post to look at.
    """
    root = out.absolute()
    if open_table(root, "posts") is None:
        raise ConfigError(f"{out}: no posts table there; expected a folder that `swarmfeed run --out` wrote")
    files = posts_files(root)
    within = [file for file in files if _may_hold(file, question)]
    if not within:
        return Answer([], 0)
    with failures.explained():
        spark = session.start(config)
        with (watch or Watch()).over(spark):
            names, in_all = rank(_posts(spark, within, question), question)
            if not names:
                return Answer([], 0)
            found = describe(_posts(spark, within, question), names)
            for name, sample in _samples(spark, files, names).items():
                found[name].sample = sample
    return Answer([found[name] for name in names], in_all)


def _may_hold(file: PostsFile, question: Question) -> bool:
    late = question.since and file.last and file.last < question.since
    early = question.until and file.first and file.first >= question.until
    return not (late or early)


def _read(spark: SparkSession, files: Sequence[PostsFile]) -> DataFrame:
    """Read a few columns of some files; Spark would take a path with brackets in it for a pattern."""
    paths = ["file:" + "".join(f"\\{letter}" if letter in GLOB else letter for letter in file.path) for file in files]
    return spark.read.schema(SCHEMA).parquet(*paths)


def _posts(spark: SparkSession, files: Sequence[PostsFile], question: Question) -> DataFrame:
    """Return the posts that may be part of a campaign, one post delivered or edited again left out."""
    kind, at = sql.col("duplicates.kind"), sql.col("created_at")
    sites = sql.filter("credibility.links", lambda link: ~link["kind"].isin("platform", "shortener"))
    posts = _read(spark, files).where(kind.isNull() | kind.isin(*COPIES))
    if question.since:
        posts = posts.where(at >= sql.lit(question.since))
    if question.until:
        posts = posts.where(at < sql.lit(question.until))
    return posts.select(
        "id",
        "duplicate_of",
        sql.col("author_id").alias("author"),
        sql.coalesce("language.lang", sql.lit(UNDETERMINED)).alias("language"),
        kind.alias("kind"),
        sql.col("verdict.keep").cast("int").alias("kept"),
        sql.unix_micros(at).alias("micros"),
        "epoch",
        sql.col("sketch.fingerprint").cast("string").alias("wording"),
        sql.get(sites, 0)["host"].alias("host"),
    )


def _members(posts: DataFrame, columns: Sequence[str]) -> DataFrame:
    """Return `cluster`, `id` and some columns of each post once for what it duplicates and once for itself.

    This is the one shuffle: all that follows is grouped by the cluster and more.
    """
    copy = sql.col("kind").isNotNull() & (sql.col("duplicate_of") != sql.col("id"))
    clusters = sql.when(copy, sql.array("duplicate_of", "id")).otherwise(sql.array("id"))
    members = posts.select(sql.explode(clusters).alias("cluster"), "id", "epoch", *columns).repartition("cluster")
    newest = members.groupBy("cluster", "id").agg(sql.max(sql.struct("epoch", *columns)).alias("post"))
    return newest.select("cluster", "id", *(f"post.{name}" for name in columns))


def rank(posts: DataFrame, question: Question) -> tuple[list[str], int]:
    """Return the originals of the campaigns that stand highest, highest first, and how many there are in all."""
    by_author = _members(posts, ["author", "micros"]).groupBy("cluster", "author").agg(*_counts(sql.lit(0)))
    clusters = by_author.groupBy("cluster").agg(*_sums(), sql.count("author").alias("authors"))
    hours = sql.greatest((sql.col("last") - sql.col("first")) / (HOUR_SECONDS * 1e6), sql.lit(1))
    clusters = clusters.where((sql.col("copies") > 0) & (sql.col("posts") >= question.min_posts))
    clusters = clusters.select("cluster", "posts", "authors", (sql.col("timed") / hours).alias("rate"))
    seen = Observation()
    order = [sql.desc_nulls_last(question.by), sql.desc("posts"), sql.asc("cluster")]
    top = clusters.observe(seen, sql.count(sql.lit(1)).alias("in_all")).orderBy(*order).limit(question.top).collect()
    return [row["cluster"] for row in top], seen.get["in_all"] if top else 0


def describe(posts: DataFrame, names: Sequence[str]) -> dict[str, Campaign]:
    """Return the campaigns of these originals, without samples; what comes back is a few rows a campaign."""
    chosen = posts.where(sql.col("id").isin(*names) | sql.col("duplicate_of").isin(*names))
    members = _members(chosen, [*FACETS, "kept", "micros"]).where(sql.col("cluster").isin(*names))
    kind = sql.when(sql.col("id") != sql.col("cluster"), sql.col("kind"))  # of the original none
    facets = sql.array(*(_facet(name, kind if name == "kind" else sql.col(name)) for name in FACETS))
    told = members.select("*", sql.explode(facets).alias("of")).select("cluster", "id", "kept", "micros", "of.*")
    counted = told.groupBy("cluster", "facet", "value").agg(*_counts(sql.col("kept")))
    shown = sql.when(sql.col("facet").isin("language", "kind"), sql.col("value")).alias("value")
    most = sql.max(sql.when(sql.col("value").isNotNull(), sql.struct("posts", "value"))).alias("most")
    known = sql.sum(sql.when(sql.col("value").isNotNull(), sql.col("posts"))).alias("known")
    folded = counted.groupBy("cluster", "facet", shown).agg(*_sums(), sql.count("value").alias("values"), most, known)
    rows: dict[str, dict[str, list[Row]]] = {name: {facet: [] for facet in FACETS} for name in names}
    for row in folded.collect():
        rows[row["cluster"]][row["facet"]].append(row)
    return {name: _campaign(name, facets) for name, facets in rows.items()}


def _facet(name: str, value: Column) -> Column:
    return sql.struct(sql.lit(name).alias("facet"), value.alias("value"))


def _counts(kept: Column) -> list[Column]:
    """Count the members of a group, and when they were posted."""
    return [
        sql.count(sql.lit(1)).alias("posts"),
        sql.count(sql.when(sql.col("id") != sql.col("cluster"), 1)).alias("copies"),
        sql.sum(kept).alias("kept"),
        sql.count("micros").alias("timed"),
        sql.min("micros").alias("first"),
        sql.max("micros").alias("last"),
    ]


def _sums() -> list[Column]:
    """Add up groups that `_counts` has counted."""
    sums = [sql.sum(name).alias(name) for name in ("posts", "copies", "kept", "timed")]
    return [*sums, sql.min("first").alias("first"), sql.max("last").alias("last")]


def _campaign(name: str, rows: dict[str, list[Row]]) -> Campaign:
    (author,), (wording,), (host,) = rows["author"], rows["wording"], rows["host"]
    posts, most = author["posts"], author["most"]
    first, last = (None if author[end] is None else _time(author[end]) for end in ("first", "last"))
    span = (last - first).total_seconds() if first and last else None
    rate = posts_per_hour(author["timed"], span)
    kinds = Counter({row["value"]: row["posts"] for row in rows["kind"] if row["value"]})
    return Campaign(
        original=name,
        posts=posts,
        kept=author["kept"] or 0,
        authors=author["values"],
        posts_without_author=posts - (author["known"] or 0),
        top_author=most["value"] if most else None,
        top_author_share=round(most["posts"] / posts, 4) if most else None,
        first=first,
        last=last,
        span_seconds=span,
        posts_per_hour=None if rate is None else round(rate, 4),
        languages=top_shares({row["value"]: row["posts"] for row in rows["language"]}),
        kinds={kind: kinds[kind] for kind in COPIES if kinds[kind]},
        wordings=wording["values"],
        hosts=host["values"],
    )


def _time(micros: int) -> datetime:
    return EPOCH_START + timedelta(microseconds=micros)


def _samples(spark: SparkSession, files: Sequence[PostsFile], names: Sequence[str]) -> dict[str, str]:
    """Return the redacted texts of some posts; none of a post that is deleted in any of its deliveries.

    Executors find where the posts stand by the column `id`; of the texts only those row groups are read.
    """
    at, kind = sql.col("_metadata"), sql.col("duplicates.kind")
    wanted = _read(spark, files).where(sql.col("id").isin(*names))
    order = sql.struct(kind.isNull() | kind.isin(*COPIES), "epoch").alias("order")  # an older version comes first
    told = wanted.select("id", order, "duplicates.deleted", at.file_name.alias("file"), at.row_index.alias("row"))
    found = sorted(told.collect(), key=lambda row: tuple(row["order"]))
    gone = {row["id"] for row in found if row["deleted"]}
    paths = [Path(file.path) for file in files]
    number = {path.name: place for place, path in enumerate(paths)}
    newest = {row["id"]: (number[row["file"]], row["row"]) for row in found if row["id"] not in gone}
    rows = read_rows(paths, newest.values(), ("pii.redacted",))
    texts = {name: (rows[place]["pii"] or {}).get("redacted") for name, place in newest.items()}
    return {name: cut(text, SAMPLE_CHARS) for name, text in texts.items() if text is not None}


def print_campaigns(answer: Answer, question: Question, console: Console) -> None:
    """Print a line of figures for each campaign, what its original says, and where and when it stands."""
    if not answer.campaigns:
        console.print(Text(f"No campaign of {_many(question.min_posts, 'post')} or more{_time_asked(question)}."))
        return
    shown, most = len(answer.campaigns), "most posts an hour" if question.by == "rate" else f"most {question.by}"
    which = "all of them" if shown == answer.in_all else f"the {shown:,} with the {most}"
    head = (f"{answer.in_all:,} campaigns" if answer.in_all != 1 else "1 campaign", "bold")
    size = f" of {_many(question.min_posts, 'post')} or more{_time_asked(question)}"
    console.print(Text.assemble(head, size, "" if answer.in_all == 1 else f"; {which}"), soft_wrap=True)
    rows = [_cells(one) for one in answer.campaigns]
    widths = [max(len(name), *(len(row[place]) for row in rows)) for place, name in enumerate(HEADINGS)]
    console.print()
    console.print(_line(HEADINGS, widths, "dim"))
    for one, row in zip(answer.campaigns, rows, strict=True):
        line = _line(row, widths)
        line.stylize("bold", 0, 2 + widths[0])
        console.print(line)
        for text in (_sample(one), Text(_whereabouts(one), "dim")):
            for part in text.wrap(console, console.width - 2 * INDENT):
                part.rstrip()
                console.print(" " * INDENT, part, sep="", soft_wrap=True)
        console.print()


def _cells(one: Campaign) -> tuple[str, ...]:
    return (
        f"{one.posts:,}",
        f"{one.kept:,}",
        f"{one.authors:,}",
        "-" if one.top_author_share is None else _percent(one.top_author_share),
        "-" if one.span_seconds is None else span_words(one.span_seconds),
        "-" if one.posts_per_hour is None else rate_words(one.posts_per_hour),
        ", ".join(f"{printable(tag)} {_percent(share)}" for tag, share in one.languages.items()),
    )


def _line(cells: Sequence[str], widths: Sequence[int], style: str = "") -> Text:
    """Lay cells out in columns, figures to the right; languages, the last, may be as long as they are."""
    *figures, last = cells
    aligned = [cell.rjust(width) for cell, width in zip(figures, widths, strict=False)]
    return Text("  " + "  ".join([*aligned, last]), style, no_wrap=True, overflow="ellipsis")


def _sample(one: Campaign) -> Text:
    return Text(printable(one.sample)) if one.sample else Text("(no text is held)", "dim")


def _whereabouts(one: Campaign) -> str:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in one.kinds.items())
    parts = [printable(one.original), kinds]
    if one.first and one.last:
        first, last = f"{one.first:%Y-%m-%d %H:%M}", f"{one.last:%Y-%m-%d %H:%M}"
        parts.append(first if first == last else f"{first} to {last[11:] if first[:10] == last[:10] else last}")
    if one.posts_without_author:
        parts.append(f"{_many(one.posts_without_author, 'post')} without an author")
    return " · ".join([*parts, _many(one.wordings, "wording"), _many(one.hosts, "site")])


def _time_asked(question: Question) -> str:
    since, until = (f"{at:%Y-%m-%d %H:%M}" if at else None for at in (question.since, question.until))
    return (f" since {since}" if since else "") + (f" before {until}" if until else "")


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _percent(share: float) -> str:
    """Return a share in percent; nothing but nothing is 0, nothing but all is 100.

    >>> _percent(0.0004), _percent(0.436), _percent(0.998), _percent(1)
    ('<1%', '44%', '>99%', '100%')
    """
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{100 * share:.0f}%"


def printable(text: str) -> str:
    """Return a text a terminal shows and does not obey: no control characters, none that turn the line around.

    >>> printable("a\\x1b[31mb\\u202ec")
    'a[31mbc'
    """
    return "".join(letter for letter in text if letter not in TURNS and unicodedata.category(letter) != "Cc")
