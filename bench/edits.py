"""Make a larger set of posts out of real ones: repeat them with seeded edits, so that a repeat is new posts, no copies.

python -m bench.edits --rows 250000 --times 4 --to bench/data/edited --real-data DIR

    ids, authors   every id that is there gets the number of the repeat behind it: who posted what, and which reposts
                   belong together, is as before within a repeat and unknown across repeats
    times          later by as many whole days as the posts span, so a day holds as many posts as before; by more than
                   the horizon of the search where they span less, so a post and its repeat never meet
    words          half of the words of four letters or more change places, one to one, with words of about the same
                   frequency and length in posts of the same language; links, mentions and hashtags stay

One word always becomes the same word: what was a copy stays one and what was nearly a copy stays nearly one, so the
share of duplicates is that of the real posts, and no index sees a band of an earlier repeat again but for the posts
that no edit touched.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench import prepare, side
from bench.prepare import say
from schemas.config import DuplicatesConfig

PIECES = re.compile(r"(https?://\S+|[@#&]\w+|\w+)")  # what stands at odd places after a split
SHORTEST_WORD_CHARS = 4
WINDOW_WORDS = 16  # of neighbouring frequency, among which words change places
SEED = 1
SHORTEST_SHIFT_DAYS = DuplicatesConfig().horizon_days + 1
DAY_MICROS = 86_400_000_000
IDS = ("id", "author_id", "reply_to_id", "conversation_id", "repost_of", "quote_of")


def repeated(posts: pa.Table, times: int, seed: int = SEED) -> Iterator[pa.Table]:
    """Yield the posts as they are, then `times` - 1 edited repeats of them, each later than the one before."""
    yield posts
    if times < 2:
        return
    texts = posts.column("text").combine_chunks().dictionary_encode()
    vocabulary = count_words(texts.dictionary.to_pylist(), _languages(posts, texts))
    days = max(spanned_days(posts), SHORTEST_SHIFT_DAYS)
    for repeat in range(1, times):
        swapped = spelled(swap(vocabulary, random.Random(f"{seed} {repeat}")), vocabulary)
        edited = pa.DictionaryArray.from_arrays(texts.indices, _edit(texts.dictionary, swapped)).cast(pa.string())
        yield _renamed(posts, repeat, repeat * days * DAY_MICROS, edited)


def spanned_days(posts: pa.Table) -> int:
    """Return how many days there are from the first post's to the last one's, both included."""
    span = pc.min_max(posts.column("created_at").cast(pa.int64())).as_py()
    return int(span["max"] // DAY_MICROS - span["min"] // DAY_MICROS + 1)


def count_words(texts: Sequence[str], languages: Sequence[str]) -> dict[str, Counter[str]]:
    """Count the words that may be edited, as they are spelled, by the language they are most often met in."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for text, language in zip(texts, languages, strict=True):
        counts[language].update(PIECES.split(text)[1::2])
    home: dict[str, tuple[int, str]] = {}
    for language in sorted(counts):
        for word, count in counts[language].items():
            if _may_change(word):
                lower = word.lower()
                home[lower] = max(home.get(lower, (0, "")), (count, language))
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for words in counts.values():
        for word, count in words.items():
            if _may_change(word):
                found[home[word.lower()][1]][word] += count
    return dict(found)


def _may_change(word: str) -> bool:
    return len(word) >= SHORTEST_WORD_CHARS and word.isalpha()


def swap(vocabulary: Mapping[str, Counter[str]], chance: random.Random) -> dict[str, str]:
    """Return what half of the words become, in lower case: each a word of the same language that becomes another.

    >>> swap({"en": Counter(cats=3, dogs=2, bird=1, fish=1)}, random.Random(1))
    {'dogs': 'fish', 'fish': 'dogs'}
    """
    becomes: dict[str, str] = {}
    for language in sorted(vocabulary):
        lower: Counter[str] = Counter()
        for word, count in vocabulary[language].items():
            lower[word.lower()] += count
        by_frequency = sorted(lower, key=lambda word: (-lower[word], len(word), crc32(word.encode()), word))
        for start in range(0, len(by_frequency), WINDOW_WORDS):
            window = by_frequency[start : start + WINDOW_WORDS]
            chosen = chance.sample(window, len(window) // 2)
            if len(chosen) > 1:
                becomes.update(pairwise([*chosen, chosen[0]]))
    return becomes


def spelled(becomes: Mapping[str, str], vocabulary: Mapping[str, Counter[str]]) -> dict[str, str]:
    """Return the same for each word as it is spelled in the posts: capitals stay where they were."""
    words = {word for counted in vocabulary.values() for word in counted}
    return {word: _like(becomes[word.lower()], word) for word in words if word.lower() in becomes}


def _like(word: str, model: str) -> str:
    if model.isupper():
        return word.upper()
    return word[0].upper() + word[1:] if model[0].isupper() else word


def _edit(texts: pa.StringArray, swapped: Mapping[str, str]) -> pa.StringArray:
    become = swapped.get
    return pa.array(["".join([become(piece, piece) for piece in PIECES.split(text)]) for text in texts.to_pylist()])


def _languages(posts: pa.Table, texts: pa.DictionaryArray) -> list[str]:
    """Return the claimed language of each distinct text's first post; empty where none is claimed."""
    claimed = pc.fill_null(posts.column("lang_hint").combine_chunks(), "").to_pylist()
    found: dict[int, str] = {}
    for index, language in zip(texts.indices.to_pylist(), claimed, strict=True):
        found.setdefault(index, language)
    return [found[index] for index in range(len(texts.dictionary))]


def _renamed(posts: pa.Table, repeat: int, later_micros: int, texts: pa.StringArray) -> pa.Table:
    """Return the posts with the texts, with ids of this repeat, and later."""
    for position, field in enumerate(posts.schema):
        column = posts.column(position)
        if field.name in IDS:
            column = pc.binary_join_element_wise(column, pa.scalar(str(repeat)), "~")  # null stays null
        elif field.name == "created_at":
            column = pc.add(column.cast(pa.int64()), later_micros).cast(field.type)
        elif field.name == "text":
            column = texts
        posts = posts.set_column(position, field, column)
    return posts


def input_folder(posts: pa.Table, rows: int, parts: int, folder: Path) -> tuple[Path, dict[str, float]]:
    """Write `rows` posts, real ones first, then repeats, as `parts` Parquet files, dealt out in turn.

    Returns the folder and what the edits did: posts, repeats, the share of repeated posts whose text changed, and the
    share of posts that say word for word what an earlier post of the same repeat says, in the first and in the last.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    times = -(-rows // posts.num_rows)
    said: dict[str, float] = {"posts": 0, "repeats": times}
    with ExitStack() as files:
        paths = [folder / f"posts-{part}.parquet" for part in range(parts)]
        writers = [files.enter_context(pq.ParquetWriter(path, posts.schema, compression="zstd")) for path in paths]
        for repeat, table in enumerate(repeated(posts, times)):
            table = table.slice(0, rows - repeat * posts.num_rows)
            for part, writer in enumerate(writers):
                writer.write_table(table.take(pa.array(range(part, table.num_rows, parts), pa.int64())))
            said["posts"] += table.num_rows
            said["last_copies" if repeat else "first_copies"] = copies(table.column("text"))
            if repeat:
                same = pc.equal(table.column("text"), posts.column("text").slice(0, table.num_rows))
                said["changed"] = 1 - pc.mean(same).as_py()
    return folder, said


def copies(texts: pa.ChunkedArray) -> float:
    """Return the share of posts that say word for word what another, counted before, says.

    >>> copies(pa.chunked_array([["a", "b", "a", "a"]]))
    0.5
    """
    return (len(texts) - pc.count_distinct(texts).as_py()) / len(texts)


def main() -> None:
    """Write the larger set and say what the edits did."""
    made = argparse.ArgumentParser(prog="python -m bench.edits", description=__doc__.partition("\n")[0])
    made.add_argument("--rows", type=int, default=250_000, help="how many real posts, from the first (%(default)s)")
    made.add_argument("--times", type=int, default=4, help="how often they are there in the end (%(default)s)")
    made.add_argument("--parts", type=int, default=2, help="how many files (%(default)s)")
    made.add_argument("--real-data", type=Path, default=side.ROOT.parent / "shared" / "data")
    made.add_argument(
        "--to", type=Path, default=side.HERE / "data" / "edited", help="folder to write to; emptied first"
    )
    asked = made.parse_args()
    posts = prepare.first_rows(prepare.post_files(asked.real_data), asked.rows)
    _, said = input_folder(posts, posts.num_rows * asked.times, asked.parts, asked.to)
    say(", ".join(f"{name}: {value:,.3f}" for name, value in said.items()))


if __name__ == "__main__":
    main()
