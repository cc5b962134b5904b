"""Write the stream line by line. What it remembers is bounded: a window of recent posts, whatever the length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from pipelines.simulate.campaigns import Campaigns
from pipelines.simulate.filler import automatic, noise
from pipelines.simulate.grammar import AUTHOR_LANGUAGES, LANGUAGES, aside, compose, handle
from pipelines.simulate.malformed import broken, fault
from pipelines.simulate.personal import decoy, personal
from pipelines.simulate.settings import Simulation

BLOCK = 4096  # lines whose random bits are drawn at once
DRAWS = 7  # 64-bit draws a line
WINDOW = 16_384  # recent posts that can be answered, passed on, edited or deleted
VIRAL = 256  # recent posts that most reposts pass on
ACTIVE = 128  # answers that are likely to be answered in turn
DELIVERED = 256  # lines that can be delivered again
FIRST_ID = 1_000_000_000_000_000_000
ID_STEP = 1 << 28  # ids rise with arrival, by a random step around this
WARM_UP = 8  # first lines, organic whatever the shares: there is something to answer then

_LINE = (
    '{"id":"%d","author_id":"%d","created_at":"%sZ","text":"%s","lang_hint":%s,"reply_to_id":%s,"conversation_id":%s,'
    '"repost_of":%s,"quote_of":%s,"source":"simulate","extra":"{\\"truth\\":{%s}"}'
)
_TRUTH = '\\"kind\\":\\"%s\\",\\"language\\":\\"%s\\",\\"cluster\\":%s,\\"pii\\":[%s]%s}'
_DELETE = '{"kind":"post_deleted","source":"simulate","post_id":"%d","author_id":"%d","event_at":"%sZ"}'
_ALONE = ("null", "null", "null", "null")  # reply_to_id, conversation_id, repost_of, quote_of
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Row(NamedTuple):
    """The random bits of one line, and what follows from them alone."""

    number: int
    id: int
    author: int
    arrival: str  # ISO 8601, microseconds, without zone
    language: int
    shape: int  # 64 bits each from here
    words: int
    more: int
    pick: int
    spare: int


class Past(NamedTuple):
    """A post that later lines can point at."""

    id: int
    author: int
    created_at: str
    language: int
    text: str
    conversation: int
    reply_to: str  # JSON
    edits: int = 0


class Ring(list[Past]):
    """The last `size` posts, in no order that matters."""

    __slots__ = ("_next", "_size")

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size, self._next = size, 0

    def put(self, item: Past) -> None:
        """Add one, in place of the oldest when full."""
        if len(self) < self._size:
            self.append(item)
        else:
            self[self._next] = item
            self._next = (self._next + 1) % self._size

    def drop(self, place: int) -> None:
        """Forget the post at a place, unless it is the only one."""
        last = self.pop()
        if place < len(self):
            self[place] = last
        elif not self:
            self.append(last)


class Writer:
    """One line after the other; each kind of line is a method that takes the row's bits and returns the line."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._campaigns = Campaigns(simulation.seed)
        self._recent, self._viral, self._active = Ring(WINDOW), Ring(VIRAL), Ring(ACTIVE)
        self._delivered: list[bytes] = []
        shares = simulation.shares.as_dict()
        self._kinds = ["organic", *shares]
        ends = [0.0, *accumulate(shares.values())]
        self._ends = np.array([round((1 - ends[-1] + end) * (1 << 32)) for end in ends], np.int64)
        self._write: dict[str, Callable[[Row], bytes]] = {kind: getattr(self, f"_{kind}") for kind in self._kinds}
        self._truths = {
            (kind, at): _TRUTH % (kind, language.code, "null", "", "")
            for kind in self._kinds
            for at, language in enumerate(LANGUAGES)
        }

    @property
    def clusters(self) -> int:
        """Return how many campaigns have begun."""
        return self._campaigns.begun

    def blocks(self) -> Iterator[tuple[list[bytes], list[str]]]:
        """Yield (lines, kind of each line), some thousand at a time; lines have no newline. To be called once."""
        for first in range(0, self._simulation.posts, BLOCK):
            yield self.block(first, min(BLOCK, self._simulation.posts - first))

    def block(self, first: int, count: int) -> tuple[list[bytes], list[str]]:
        """Return the lines `first` to `first + count` and their kinds."""
        rows, kinds = self._draw(first)
        kinds[: max(0, WARM_UP - first)] = ["organic"] * max(0, WARM_UP - first)
        lines, write, delivered = [], self._write, self._delivered
        for row, kind in zip(rows[:count], kinds, strict=False):
            line = write[kind](row)
            lines.append(line)
            if not row.number & 7 and kind not in ("delete", "malformed"):
                delivered.append(line)
        del delivered[:-DELIVERED]
        return lines, kinds[:count]

    def _draw(self, first: int) -> tuple[list[Row], list[str]]:
        """Draw a whole block from a counter-based generator, so that a block does not depend on those before it."""
        simulation = self._simulation
        generator = np.random.Philox(key=np.array([simulation.seed, first // BLOCK], np.uint64))
        bits = generator.random_raw(BLOCK * DRAWS).reshape(DRAWS, BLOCK)
        numbers = np.arange(first, first + BLOCK)
        ids = FIRST_ID + numbers * ID_STEP + (bits[1] >> np.uint64(36)).astype(np.int64)
        kinds = np.searchsorted(self._ends, (bits[0] >> np.uint64(32)).astype(np.int64), side="right")
        luck = (bits[1] & np.uint64(0xFFFFFFFF)).astype(np.float64) / 2.0**32
        authors = (luck * luck * luck * simulation.authors).astype(np.int64)
        spread = authors * 2_654_435_761 & 0xFFFFFFFF
        languages = np.array(AUTHOR_LANGUAGES)[spread * len(AUTHOR_LANGUAGES) >> 32]
        start = np.datetime64((simulation.start - _EPOCH) // timedelta(microseconds=1), "us")
        arrivals = start + np.floor(numbers / simulation.rate * 1e6).astype("timedelta64[us]")
        columns = (numbers, ids, authors, np.datetime_as_string(arrivals), languages, *bits[2:])
        names = [self._kinds[at] for at in np.minimum(kinds, len(self._kinds) - 1).tolist()]
        return list(map(Row._make, zip(*(column.tolist() for column in columns), strict=True))), names

    def _organic(self, row: Row) -> bytes:
        text = compose(LANGUAGES[row.language], row.shape, row.words, row.more)
        self._remember(Past(row.id, row.author, row.arrival, row.language, text, row.id, "null"), row)
        links = ("null", f'"{row.id}"', "null", "null")
        return _format(
            (row.id, row.author, row.arrival),
            text,
            _hint(row.language, row),
            links,
            self._truths["organic", row.language],
        )

    def _thread(self, row: Row) -> bytes:
        among = self._active if self._active and row.pick & 7 < 5 else self._recent
        parent = among[(row.pick >> 8) % len(among)]
        language = LANGUAGES[parent.language]
        if row.spare >> 8 & 7:
            answer = language.replies[row.pick >> 32 & 63](row.more >> 20)
            text = answer + language.space + compose(language, row.shape, row.words, row.more)
        else:
            text = language.acks[row.words & 63]
        if row.spare >> 11 & 3:
            text = f"@{handle(parent.author)} {text}"
        past = Past(row.id, row.author, row.arrival, parent.language, text, parent.conversation, f'"{parent.id}"')
        self._remember(past, row)
        self._active.put(past)
        links = (past.reply_to, f'"{parent.conversation}"', "null", "null")
        return _format(past[:3], text, _hint(parent.language, row), links, self._truths["thread", parent.language])

    def _quote(self, row: Row) -> bytes:
        quoted = self._recent[(row.pick >> 8) % len(self._recent)]
        text = compose(LANGUAGES[row.language], row.shape, row.words, row.more)
        links = ("null", f'"{row.id}"', "null", f'"{quoted.id}"')
        return _format(
            (row.id, row.author, row.arrival),
            text,
            _hint(row.language, row),
            links,
            self._truths["quote", row.language],
        )

    def _repost(self, row: Row) -> bytes:
        among = self._viral if self._viral and row.pick & 3 else self._recent
        original = among[(row.pick >> 8) % len(among)]
        form = row.spare >> 8 & 7  # 0: passed on by hand, the platform does not know; 1-4: RT; 5-7: the text as it is
        text = original.text if form > 4 else f"RT @{handle(original.author)}: {original.text}"
        links = ("null", "null", f'"{original.id}"' if form else "null", "null")
        truth = _truth("repost", original.language, more=f',\\"of\\":\\"{original.id}\\"')
        return _format((row.id, row.author, row.arrival), text, _hint(original.language, row), links, truth)

    def _campaign(self, row: Row) -> bytes:
        campaign, edit, text = self._campaigns.member(row.language, row.pick)
        truth = _truth("campaign", campaign.language, cluster=campaign.cluster, more=f',\\"edit\\":\\"{edit}\\"')
        return _format(
            (row.id, self._hired(row, 2, 10), row.arrival), text, _hint(campaign.language, row), _ALONE, truth
        )

    def _spam(self, row: Row) -> bytes:
        at = row.language if row.spare >> 16 & 1 else 0  # half of it is English, whoever it is sent to
        text = LANGUAGES[at].spam[row.shape & 63](row.words)
        return _format(
            (row.id, self._hired(row, 0, 50), row.arrival), text, _hint(at, row), _ALONE, self._truths["spam", at]
        )

    def _machine(self, row: Row) -> bytes:
        if not row.spare >> 16 & 3:
            at, shape, text = 0, "bot", automatic(row.words)
        else:
            at, shape, language = row.language, "prose", LANGUAGES[row.language]
            text = language.machine[row.shape & 63](row.words)
            if row.shape >> 6 & 1:
                text += language.space + language.machine[row.shape >> 7 & 63](row.words >> 30)
        truth = _truth("machine", at, more=f',\\"shape\\":\\"{shape}\\"')
        return _format((row.id, self._hired(row, 1, 50), row.arrival), text, _hint(at, row), _ALONE, truth)

    def _noise(self, row: Row) -> bytes:
        shape, code, text = noise(LANGUAGES[row.language], row.words)
        truth = _TRUTH % ("noise", code, "null", "", f',\\"shape\\":\\"{shape}\\"')
        return _format((row.id, row.author, row.arrival), text, _hint(row.language, row), _ALONE, truth)

    def _abuse(self, row: Row) -> bytes:
        target = self._recent[(row.pick >> 8) % len(self._recent)]
        language = LANGUAGES[target.language]
        text = f"@{handle(target.author)} {language.abuse[row.shape & 63]}"
        if row.shape >> 6 & 1:
            text = f"{text}. {aside(language, row.shape >> 7, row.words)}"
        links = (f'"{target.id}"', f'"{target.conversation}"', "null", "null")
        truth = self._truths["abuse", target.language]
        return _format((row.id, row.author, row.arrival), text, _hint(target.language, row), links, truth)

    def _pii(self, row: Row) -> bytes:
        language = LANGUAGES[row.language]
        found = [personal(row.words)] + [personal(row.more)] * (not row.shape >> 20 & 3)
        said = [language.contact[row.shape & 63].replace("{value}", value) for _, value in found]
        text = language.space.join([*said, aside(language, row.shape >> 6, row.pick)])
        listed = ",".join(f'[\\"{kind}\\",\\"{value}\\"]' for kind, value in found)
        return _format(
            (row.id, row.author, row.arrival),
            text,
            _hint(row.language, row),
            _ALONE,
            _truth("pii", row.language, pii=listed),
        )

    def _decoy(self, row: Row) -> bytes:
        text = f"{aside(LANGUAGES[row.language], row.shape, row.words)} ({decoy(row.more)})"
        return _format(
            (row.id, row.author, row.arrival),
            text,
            _hint(row.language, row),
            _ALONE,
            self._truths["decoy", row.language],
        )

    def _late(self, row: Row) -> bytes:
        seconds = 60 + row.pick % (6 * 3600 - 60)
        created = (datetime.fromisoformat(row.arrival) - timedelta(seconds=seconds)).isoformat(timespec="microseconds")
        text = compose(LANGUAGES[row.language], row.shape, row.words, row.more)
        self._remember(Past(row.id, row.author, created, row.language, text, row.id, "null"), row)
        links = ("null", f'"{row.id}"', "null", "null")
        truth = _truth("late", row.language, more=f',\\"late_seconds\\":{seconds}')
        return _format((row.id, row.author, created), text, _hint(row.language, row), links, truth)

    def _clock(self, row: Row) -> bytes:
        text = compose(LANGUAGES[row.language], row.shape, row.words, row.more)
        day = ("1970-01-01", "2099-12-31", "2261-06-01", "")[row.pick & 3]
        head = (row.id, row.author, f"{day}T00:00:00.000000")
        line = _format(head, text, _hint(row.language, row), _ALONE, self._truths["clock", row.language])
        return line if day else line.replace(b'"T00:00:00.000000Z"', b"null", 1)

    def _edit(self, row: Row) -> bytes:
        place = (row.pick >> 8) % len(self._recent)
        past = self._recent[place]
        language, edits = LANGUAGES[past.language], past.edits + 1
        if row.pick & 3:
            text = f"{past.text}{language.space}{aside(language, row.shape, row.words)}"
        else:
            text = compose(language, row.shape, row.words, row.more)
        self._recent[place] = past = past._replace(text=text, edits=edits)
        moment = (datetime.fromisoformat(f"{row.arrival}+00:00") - _EPOCH) // timedelta(microseconds=1)
        more = f',\\"edit_of\\":\\"{past.id}\\",\\"edits\\":{edits}'
        truth = f'{_truth("edit", past.language, more=more)},\\"edited_at\\":{moment}'
        links = (past.reply_to, f'"{past.conversation}"', "null", "null")
        return _format(past[:3], text, _hint(past.language, row), links, truth)

    def _delete(self, row: Row) -> bytes:
        place = (row.pick >> 8) % len(self._recent)
        gone = self._recent[place]
        self._recent.drop(place)
        return (_DELETE % (gone.id, account(gone.author), row.arrival)).encode()

    def _repeat(self, row: Row) -> bytes:
        return self._delivered[(row.pick >> 8) % len(self._delivered)]

    def _malformed(self, row: Row) -> bytes:
        text = compose(LANGUAGES[row.language], row.shape, row.words, row.more)
        truth = _truth("malformed", row.language, more=f',\\"fault\\":\\"{fault(row.pick)}\\"')
        return broken(
            _format((row.id, row.author, row.arrival), text, _hint(row.language, row), _ALONE, truth), row.pick
        )

    def _remember(self, past: Past, row: Row) -> None:
        self._recent.put(past)
        if not row.spare >> 24 & 63:
            self._viral.put(past)

    def _hired(self, row: Row, group: int, fewer: int) -> int:
        """Return an account outside the ordinary ones: each group has one for `fewer` of them."""
        ordinary = self._simulation.authors
        return ordinary * (group + 1) + (row.spare >> 32) % (ordinary // fewer + 1)


def account(author: int) -> int:
    """Return the platform's id of an author."""
    return 1_000_000 + author * 97


def _hint(language: int, row: Row) -> str:
    """Return the JSON value of `lang_hint`."""
    return LANGUAGES[language].hints[row.spare & 63]


def _format(head: tuple[int, int, str], text: str, hint: str, links: tuple[str, str, str, str], truth: str) -> bytes:
    """Return the line of a post; head is (id, author, created_at)."""
    number, author, created_at = head
    return (_LINE % (number, account(author), created_at, text, hint, *links, truth)).encode()


def _truth(kind: str, language: int, cluster: str = "", pii: str = "", more: str = "") -> str:
    """Return the truth of a post as it stands inside the JSON string of `extra`."""
    quoted = f'\\"{cluster}\\"' if cluster else "null"
    return _TRUTH % (kind, LANGUAGES[language].code, quoted, pii, more)
