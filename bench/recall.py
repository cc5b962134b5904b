"""Recall and precision of the sketch against exact Jaccard: real posts, edited posts, simulated campaigns.

python -m bench.recall --real-data DIR
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from rich.console import Console
from rich.table import Table

from bench import prepare, record
from bench.prepare import BenchError, say
from bench.stages import complete
from filters.clean_text import CleanText
from filters.kernels import cpu
from filters.kernels.utf8 import string_array, utf8_buffers
from filters.sketch import Sketch, estimate_jaccard
from pipelines.simulate import Simulation, generate, known_clusters

THRESHOLD = 0.7  # the default of duplicates.threshold
SIMILAR = 0.8  # pairs of this exact Jaccard or more are to be found
NEAR_MISS = 0.65  # a wrong pair above this is told apart from one that is plainly wrong
FLOOR = 0.5  # exact pairs under this are not listed
RECALL, PRECISION = 0.95, 0.98  # the targets
LENGTHS = ((1, 19), (20, 59), (60, 119), (120, 1 << 30))  # normalised characters of the shorter text

Longs = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Edit = Callable[[str, random.Random], str]


@dataclass(frozen=True)
class Texts:
    """Texts as the sketch sees them: normalised, with their sketches and their sets of shingles."""

    normalised: list[str]
    sketches: pa.StructArray

    @cached_property
    def chars(self) -> Longs:
        """Return the length of each normalised text."""
        return np.array([len(text) for text in self.normalised], np.int64)

    @cached_property
    def shingles(self) -> tuple[Longs, Longs]:
        """Return the distinct shingles of every text as sorted numbers, one text after the other, and their ends.

        Equal shingles have equal numbers and no others do, so that the Jaccard similarities are exact.
        """
        number: dict[str, int] = {}
        sets = [
            sorted({number.setdefault(text[at : at + 4], len(number)) for at in range(max(1, len(text) - 3))})
            for text in self.normalised
        ]
        return np.array([one for post in sets for one in post], np.int64), np.cumsum([0, *map(len, sets)])

    def exact(self, pairs: Longs) -> Reals:
        """Return the exact Jaccard similarity of pairs of rows, shape (pairs,)."""
        shingles, ends = self.shingles
        sets = [set(shingles[ends[row] : ends[row + 1]].tolist()) for row in range(len(ends) - 1)]
        both = np.array([len(sets[one] & sets[other]) for one, other in pairs.tolist()], np.int64)
        sizes = np.diff(ends)
        return np.asarray(both / (sizes[pairs[:, 0]] + sizes[pairs[:, 1]] - both), np.float64)

    def estimated(self, pairs: Longs) -> Reals:
        """Return the estimated Jaccard similarity of pairs of rows, shape (pairs,); NaN where nothing is left."""
        signatures = pc.struct_field(self.sketches, "signature")
        return estimate_jaccard(*(signatures.take(pa.array(column)) for column in pairs.T))


def texts_of(raw: Sequence[str]) -> Texts:
    """Clean, normalise and sketch texts."""
    [batch] = complete(pa.table({"id": [str(row) for row in range(len(raw))], "text": raw})).to_batches()
    clean = CleanText()(batch.select(list(CleanText.reads)))
    plain = string_array(*cpu.normalise(*utf8_buffers(pc.struct_field(clean, "text")))).to_pylist()
    return Texts(plain, Sketch()(pa.RecordBatch.from_arrays([clean], ["clean_text"])))


def distinct_texts(raw: Iterable[str], count: int) -> list[str]:
    """Return the first `count` texts that differ once normalised and of which something is left."""
    raw = list(raw)
    seen: dict[str, str] = {}
    for text, plain in zip(raw, texts_of(raw).normalised, strict=True):
        if plain:
            seen.setdefault(plain, text)
    return list(seen.values())[:count]


def close_pairs(texts: Texts) -> tuple[Longs, Reals]:
    """Compare every text with every other; return the pairs of exact Jaccard .5 or more, and that Jaccard."""
    shingles, ends = texts.shingles
    by_shingle = np.argsort(shingles, kind="stable")  # the texts that hold each shingle, in order
    rows = np.repeat(np.arange(len(ends) - 1), np.diff(ends))[by_shingle]
    starts = np.searchsorted(shingles[by_shingle], np.arange(shingles.max(initial=-1) + 2))
    found = _count_common(shingles, ends, rows, starts)
    sizes = np.diff(ends)
    jaccard = found[:, 2] / (sizes[found[:, 0]] + sizes[found[:, 1]] - found[:, 2])
    return found[:, :2], jaccard


@njit(nogil=True)
def _count_common(shingles: Longs, ends: Longs, rows: Longs, starts: Longs) -> Longs:
    """Return (row, later row, common shingles) of every pair of Jaccard FLOOR or more."""
    count = len(ends) - 1
    common = np.zeros(count, np.int64)
    found = np.empty((1024, 3), np.int64)
    pairs = 0
    for row in range(count):
        common[:] = 0
        for shingle in shingles[ends[row] : ends[row + 1]]:
            for at in range(starts[shingle + 1] - 1, starts[shingle] - 1, -1):
                if rows[at] <= row:
                    break
                common[rows[at]] += 1
        size = ends[row + 1] - ends[row]
        for other in range(row + 1, count):
            both = common[other]
            if both >= FLOOR * (size + ends[other + 1] - ends[other] - both):
                if pairs == len(found):
                    found = np.concatenate((found, np.empty_like(found)))
                found[pairs] = row, other, both
                pairs += 1
    return found[:pairs]


def band_pairs(texts: Texts) -> Longs:
    """Return every pair of rows (first, later) that share a band, shape (pairs, 2)."""
    bands = pc.struct_field(texts.sketches, "bands")
    held = np.flatnonzero(bands.is_valid().to_numpy(zero_copy_only=False))
    keys = pc.list_flatten(bands).to_numpy().reshape(len(held), -1)
    found = [np.zeros((0, 2), np.int64)]
    for column in keys.T:
        order = np.argsort(column, kind="stable")
        same = column[order]
        for distance in range(1, len(order)):
            at = np.flatnonzero(same[distance:] == same[:-distance])
            if not len(at):
                break
            found.append(np.sort(np.column_stack([held[order[at]], held[order[at + distance]]]), axis=1))
    return np.unique(np.concatenate(found), axis=0)


def by_length(texts: Texts, pairs: Longs, right: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Return how many pairs there are and the share that is right, in all and by the shorter text's length."""
    shorter = texts.chars[pairs].min(axis=1) if len(pairs) else np.zeros(0, np.int64)
    answer = {"pairs": len(pairs), "share": _share(right)}
    for low, high in LENGTHS:
        here = (shorter >= low) & (shorter <= high)
        name = f"{low}-{high} chars" if high < 1 << 30 else f"{low} chars and more"
        answer[name] = {"pairs": int(here.sum()), "share": _share(right[here])}
    return answer


def _share(right: npt.NDArray[np.bool_]) -> float | None:
    return round(float(right.mean()), 4) if len(right) else None


def called_duplicates(texts: Texts, candidates: Longs) -> npt.NDArray[np.bool_]:
    """Tell which pairs that share a band reach the threshold."""
    return np.asarray(texts.estimated(candidates) >= THRESHOLD, np.bool_)


def among(pairs: Longs, others: Longs) -> npt.NDArray[np.bool_]:
    """Tell which pairs of rows are among some others."""
    known = set(map(tuple, others.tolist()))
    return np.array([tuple(pair) in known for pair in pairs.tolist()], np.bool_)


def enumerated(texts: Texts) -> dict[str, Any]:
    """Judge the sketch against all pairs of distinct texts."""
    pairs, jaccard = close_pairs(texts)
    candidates = band_pairs(texts)
    called = candidates[called_duplicates(texts, candidates)]
    similar = pairs[jaccard >= SIMILAR]
    exact = texts.exact(called)
    return {
        "texts": len(texts.normalised),
        "pairs_compared": len(texts.normalised) * (len(texts.normalised) - 1) // 2,
        "pairs_sharing_a_band": len(candidates),
        "recall": by_length(texts, similar, among(similar, called)),
        "recall_of_bands_alone": _share(among(similar, candidates)),
        "recall_of_pairs_at_threshold": _share(among(pairs[jaccard >= THRESHOLD], called)),
        "precision": by_length(texts, called, exact >= THRESHOLD),
        "precision_with_near_misses": by_length(texts, called, exact >= NEAR_MISS),
        "precision_of_bands_alone": _share(texts.exact(candidates) >= THRESHOLD),
    }


_WORD = re.compile(r"\w+")
_ADDRESS = re.compile(r"(https?://\S+|\S+\.\w+/\S*|@\w+)")
_TRANSLATED = str.maketrans("'\"-.,!?:;()", "\u2019\u201d\u2014\u3002\uff0c\uff01\uff1f\uff1a\uff1b\uff08\uff09")


def _change_word(text: str, draw: random.Random) -> str:
    """Put an invented word of the same kind of length in the place of one."""
    words = list(_WORD.finditer(_ADDRESS.sub(lambda gone: " " * len(gone[0]), text)))
    if not words:
        return text
    word = draw.choice(words)
    other = "".join(draw.choice("abdegiklmnoprstuvz") for _ in range(draw.randint(3, 8)))
    return text[: word.start()] + other + text[word.end() :]


def _cut(text: str, share: float) -> str:
    """Cut off the end of what is said, as a platform does, and mark the cut."""
    said = re.sub(r"\s*https?://\S+", "", text).rstrip()
    return said[: max(1, round(len(said) * (1 - share)))].rstrip() + "\u2026"


def _translate(text: str, draw: random.Random) -> str:
    """Put typographic and full-width marks in the place of ASCII ones, outside links and mentions."""
    parts = _ADDRESS.split(text)
    return "".join(part if at % 2 else part.translate(_TRANSLATED) for at, part in enumerate(parts))


EDITS: dict[str, Edit] = {
    "one word changed": _change_word,
    "link appended": lambda text, draw: f"{text} https://t.co/{draw.getrandbits(50):010x}",
    "capitals": lambda text, draw: text.upper(),
    "emoji appended": lambda text, draw: f"{text} {draw.choice(chr(0x1F600) + chr(0x1F525) + chr(0x1F44D))}",
    "RT before it": lambda text, draw: f"RT @user{draw.randint(0, 99999)}: {text}",
    "a tenth cut off": lambda text, draw: _cut(text, 0.1),
    "a fifth cut off": lambda text, draw: _cut(text, 0.2),
    "punctuation translated": _translate,
}


def edited(raw: Sequence[str], seed: int) -> dict[str, Any]:
    """Edit every text in each way; say how many are found, exactly or nearly, and how alike they are in truth."""
    draw = random.Random(seed)
    answer = {}
    for name, edit in EDITS.items():
        texts = texts_of([*raw, *(edit(text, draw) for text in raw)])
        pairs = np.column_stack([np.arange(len(raw)), np.arange(len(raw), 2 * len(raw))])
        exact = texts.exact(pairs)
        found, same = found_pairs(texts, pairs)
        similar = exact >= SIMILAR
        answer[name] = {
            "found": by_length(texts, pairs, found),
            "found_exactly": _share(same),
            "exact_jaccard_median": round(float(np.median(exact)), 3),
            "recall": by_length(texts, pairs[similar], found[similar]),
        }
    return answer


def found_pairs(texts: Texts, pairs: Longs) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Tell which pairs the duplicates step would join, and which of them by their fingerprint."""
    prints, bands = (pc.struct_field(texts.sketches, name).to_pylist() for name in ("fingerprint", "bands"))
    same = np.array(
        [prints[one] is not None and prints[one] == prints[other] for one, other in pairs.tolist()], np.bool_
    )
    banded = [
        any(a == b for a, b in zip(bands[one] or (), bands[other] or (), strict=False)) for one, other in pairs.tolist()
    ]
    return np.asarray(same | np.array(banded, np.bool_) & (texts.estimated(pairs) >= THRESHOLD), np.bool_), same


def campaigns(posts: int, seed: int) -> dict[str, Any]:
    """Judge the sketch on simulated campaigns: each member against the first, and every pair it calls duplicates."""
    lines = list(generate(Simulation(posts=posts, seed=seed)))
    clusters = known_clusters(lines)
    said = _first_texts(lines)
    members = [post for posts in clusters.values() for post in posts if post in said]
    row = {post: at for at, post in enumerate(members)}
    cluster = np.array([name for name, posts in clusters.items() for post in posts if post in said])
    texts = texts_of([said[post] for post in members])
    pairs = np.array([(row[p[0]], row[one]) for p in clusters.values() if p[0] in row for one in p[1:] if one in row])
    found, same = found_pairs(texts, pairs)
    others = [text for post, text in said.items() if post not in row]
    crowd = texts_of([*(said[post] for post in members), *dict.fromkeys(others)])
    candidates = band_pairs(crowd)
    called = candidates[called_duplicates(crowd, candidates)]
    called = called[called.min(axis=1) < len(members)]  # with a member in it
    names = np.concatenate([cluster, np.full(len(crowd.normalised) - len(members), "")])
    right = names[called[:, 0]] == names[called[:, 1]]
    wrong = called[~right]
    return {
        "posts": len(said),
        "campaigns": len(clusters),
        "members": len(members),
        "recall": by_length(texts, pairs, found),
        "found_exactly": _share(same),
        "precision": by_length(crowd, called, right),
        "wrong_pairs_that_are_alike": int((crowd.exact(wrong) >= THRESHOLD).sum()) if len(wrong) else 0,
    }


def _first_texts(lines: Iterable[bytes]) -> dict[str, str]:
    """Return the text of each post as it was first sent, by id."""
    said: dict[str, str] = {}
    for line in lines:
        try:
            post = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(post, dict) and isinstance(post.get("id"), str) and isinstance(post.get("text"), str):
            said.setdefault(post["id"], post["text"])
    return said


def missed(result: dict[str, Any]) -> list[str]:
    """Name the targets that are missed: recall of similar pairs, precision, and recall of each kind of edit."""
    told = {"all pairs": result["all_pairs"], "campaigns": result["campaigns"]}
    answer = [f"{name}: recall" for name, one in told.items() if (one["recall"]["share"] or 0) < RECALL]
    answer += [f"{name}: precision" for name, one in told.items() if (one["precision"]["share"] or 0) < PRECISION]
    return answer + [name for name, one in result["edits"].items() if (one["recall"]["share"] or 0) < RECALL]


def show(result: dict[str, Any]) -> None:
    """Print shares by length of the shorter text."""
    rows = {f"all pairs, {name}": result["all_pairs"][name] for name in ("recall", "precision")}
    rows |= {f"campaigns, {name}": result["campaigns"][name] for name in ("recall", "precision")}
    for name, one in result["edits"].items():
        rows |= {f"{name}: found": one["found"], "  of Jaccard .8 or more" + " " * len(rows): one["recall"]}
    table = Table(title=f"at threshold {THRESHOLD}: share (pairs), by the shorter text")
    table.add_column("")
    for heading in ("all", *(name for name in rows["all pairs, recall"] if "chars" in name)):
        table.add_column(heading, justify="right")
    for name, row in rows.items():
        parts = [row, *(part for key, part in row.items() if "chars" in key)]
        table.add_row(
            name, *("-" if part["share"] is None else f"{part['share']:.3f} ({part['pairs']})" for part in parts)
        )
    Console(width=None if Console().is_terminal else 130).print(table)


def measured(raw: Sequence[str], asked: argparse.Namespace) -> dict[str, Any]:
    """Take the slice and the posts to edit at random from the texts, and judge all three."""
    draw = random.Random(asked.seed)
    slice_ = distinct_texts(draw.sample(raw, min(len(raw), 2 * asked.texts)), asked.texts)
    say(f"comparing {len(slice_)} distinct texts with each other")
    found = {"all_pairs": enumerated(texts_of(slice_))}
    say(f"editing {min(len(slice_), asked.edited)} posts in {len(EDITS)} ways")
    found["edits"] = edited(slice_[: asked.edited], asked.seed)
    say(f"simulating {asked.simulated} posts")
    found["campaigns"] = campaigns(asked.simulated, asked.seed)
    return found


def main() -> None:
    """Measure, print, write a result file; exit 1 when a target is missed."""
    made = argparse.ArgumentParser(prog="python -m bench.recall", description=__doc__.partition("\n")[0])
    made.add_argument("--real-data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    made.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    made.add_argument("--texts", type=int, default=30_000, help="distinct texts compared with each other (%(default)s)")
    made.add_argument("--edited", type=int, default=2000, help="posts edited in each way (%(default)s)")
    made.add_argument("--simulated", type=int, default=20_000, help="posts simulated (%(default)s)")
    made.add_argument("--seed", type=int, default=1)
    asked = made.parse_args()
    machine = record.hardware(1)
    try:
        posts = prepare.first_rows(prepare.post_files(asked.real_data), 1 << 40)
    except BenchError as error:
        say(str(error))
        sys.exit(1)
    found = measured(posts["text"].drop_null().to_pylist(), asked)
    show(found)
    config = {name: getattr(asked, name) for name in ("texts", "edited", "simulated", "seed")}
    stage = {**asdict(Sketch()), "threshold": THRESHOLD}
    result = {"hardware": machine, "versions": record.versions(), "config": {**config, **stage}, **found}
    say(f"written to {record.write(result, 'recall', asked.out).name}")
    if gone := missed(found):
        say(f"missed: {', '.join(gone)}")
        sys.exit(1)


if __name__ == "__main__":
    main()
