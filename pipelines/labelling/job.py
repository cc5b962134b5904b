"""Label a sample of a folder's posts by a language model: ask, keep, stop at the budget, write what is there."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.labelling import rubric
from pipelines.labelling.answers import Answer, Answers, key_of
from pipelines.labelling.budget import Budget
from pipelines.labelling.endpoint import Chat, Endpoint, Unanswered
from pipelines.labelling.rubric import Malformed
from pipelines.labelling.sample import Sampled, draw
from pipelines.tables import open_table
from schemas.errors import ConfigError, RunError

ASKED_AGAIN = 2  # times, when an answer is malformed
BYTES_A_TOKEN = 2  # at least, so that what a question may cost is not guessed too low
LOST_IN_A_ROW = 20  # questions without any answer, after which nobody is there
LABELS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False, metadata={"doc": "redacted, as it was sent"}),
        pa.field("lang", pa.string()),
        pa.field("stratum", pa.string()),
        pa.field("kept", pa.bool_()),
        *(pa.field(name, pa.float32()) for name in rubric.QUESTIONS),
        pa.field("model", pa.string()),
        pa.field("rubric", pa.string(), metadata={"doc": "changes with every word of what is asked"}),
    ]
)


@dataclass(frozen=True)
class LabelOrder:
    """What was asked for; without a budget the model must be on this machine."""

    folder: Path
    endpoint: Endpoint
    out: Path
    posts: int = 1000
    seed: int = 0
    budget: Budget | None = None
    at_once: int = 4

    def __post_init__(self) -> None:
        """Raise ConfigError for what cannot be done."""
        if self.budget is None and not self.endpoint.is_local:
            raise ConfigError("--spend-at-most: expected with --price-in and --price-out, for a model that costs money")
        if self.posts < 1 or self.at_once < 1:
            raise ConfigError("--posts and --at-once: expected 1 or more")
        if self.out.is_dir():
            raise ConfigError(f"--out {self.out}: expected a file to write, got a folder")


@dataclass(frozen=True)
class Labelled:
    """What was done: posts drawn and labelled, texts asked about now, texts whose answers were of no use or that got
    none, tokens and money in all, those of earlier calls too."""

    posts: int
    labelled: int
    asked: int
    malformed: int
    unanswered: int
    tokens_in: int
    tokens_out: int
    spent: float | None
    out_of_budget: bool


def label_posts(order: LabelOrder, advance: Callable[[int], None] = lambda done: None) -> Labelled:
    """Draw, ask and write the labels; what was answered before is not asked again.

    Raises ConfigError for a folder, an endpoint or a key that is wrong, RunError when the endpoint answers no more:
    the answers so far are kept, and the next call goes on behind them.
    """
    root = order.folder.absolute()
    if open_table(root, "posts") is None:
        raise ConfigError(f"{order.folder}: no posts table there; expected a folder that `swarmfeed run --out` wrote")
    drawn = draw(root, order.posts, order.seed)
    answers = Answers(order.out.with_name(f"{order.out.name}.answers.jsonl"))
    chat = Chat(order.endpoint, order.at_once)
    try:
        asking = _Asking(order, chat, answers)
        keys = {key_of(order.endpoint.model, rubric.version(), one.text): one.text for one in drawn}
        asking.work_off([(key, text) for key, text in keys.items() if key not in answers.by_key], advance)
    finally:
        chat.close()
        answers.close()
    labelled = _write(order, drawn, answers)
    spent = order.budget.cost(answers.tokens_in, answers.tokens_out) if order.budget else None
    return Labelled(
        posts=len(drawn),
        labelled=labelled,
        asked=asking.asked,
        malformed=sum(answers.by_key[key].marks is None for key in keys if key in answers.by_key),
        unanswered=asking.unanswered,
        tokens_in=answers.tokens_in,
        tokens_out=answers.tokens_out,
        spent=spent,
        out_of_budget=asking.out_of_budget,
    )


class _Asking:
    """Asks many questions at once, each of which may cost something; stops before the budget is overdrawn."""

    def __init__(self, order: LabelOrder, chat: Chat, answers: Answers) -> None:
        self._order, self._chat, self._answers = order, chat, answers
        self._lost = 0  # in a row
        self.asked = self.unanswered = 0
        self.out_of_budget = False

    def work_off(self, questions: Sequence[tuple[str, str]], advance: Callable[[int], None]) -> None:
        """Ask them all, or as many as the budget allows."""
        waiting = deque(questions)
        under_way: dict[Future[Answer], float] = {}
        with ThreadPoolExecutor(self._order.at_once) as pool:
            try:
                self._fill(pool, waiting, under_way)
                while under_way:
                    for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                        del under_way[done]
                        self._take(done)
                        advance(self.asked)
                    self._fill(pool, waiting, under_way)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                self._keep(under_way)
                raise

    def _keep(self, under_way: Iterable[Future[Answer]]) -> None:
        """Keep what was answered, and paid for, while something else went wrong."""
        for done in under_way:
            if not done.cancelled() and done.exception() is None:
                self._answers.add(done.result())

    def _fill(
        self, pool: ThreadPoolExecutor, waiting: deque[tuple[str, str]], under_way: dict[Future[Answer], float]
    ) -> None:
        """Ask as many as may be under way at once; what each may cost counts as spent until it is known."""
        while waiting and len(under_way) < self._order.at_once:
            key, text = waiting[0]
            most = self._cost(*_most_tokens(text))
            spent = self._cost(self._answers.tokens_in, self._answers.tokens_out)
            if self._order.budget and spent + sum(under_way.values()) + most > self._order.budget.most:
                self.out_of_budget = not under_way  # else there may be room once those are known
                return
            waiting.popleft()
            under_way[pool.submit(self._ask, key, text)] = most

    def _cost(self, tokens_in: int, tokens_out: int) -> float:
        return self._order.budget.cost(tokens_in, tokens_out) if self._order.budget else 0.0

    def _ask(self, key: str, text: str) -> Answer:
        """Ask until there is an answer that can be read, a few times."""
        tokens_in = tokens_out = 0
        fault = ""
        conversation = rubric.messages(text)
        for _ in range(1 + ASKED_AGAIN):
            try:
                reply = self._chat.ask(conversation, rubric.ANSWER_TOKENS)
            except Unanswered:
                if not fault:
                    raise
                break  # a malformed answer came before, and was paid for
            guess_in = _bytes(conversation) // BYTES_A_TOKEN
            tokens_in += guess_in if reply.tokens_in is None else reply.tokens_in
            tokens_out += rubric.ANSWER_TOKENS if reply.tokens_out is None else reply.tokens_out
            try:
                return Answer(key, rubric.read_answer(reply.content), None, tokens_in, tokens_out)
            except Malformed as error:
                fault = str(error)
        return Answer(key, None, fault, tokens_in, tokens_out)

    def _take(self, done: Future[Answer]) -> None:
        """Keep an answer. Raises RunError once nobody has answered for long."""
        self.asked += 1
        try:
            self._answers.add(done.result())
            self._lost = 0
        except Unanswered as error:  # not kept: it is asked again another time
            self._lost, self.unanswered = self._lost + 1, self.unanswered + 1
            if self._lost >= LOST_IN_A_ROW:
                raise RunError(
                    f"--endpoint {self._order.endpoint.address}: {LOST_IN_A_ROW} questions in a row without an answer "
                    f"({error}); the answers so far are kept: call again to go on"
                ) from None


def _most_tokens(text: str) -> tuple[int, int]:
    """Return the tokens that a question may cost at most, with every time it is asked again."""
    times = 1 + ASKED_AGAIN
    return times * (_bytes(rubric.messages(text)) // BYTES_A_TOKEN), times * rubric.ANSWER_TOKENS


def _bytes(conversation: Sequence[dict[str, str]]) -> int:
    return len(json.dumps(conversation, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def _write(order: LabelOrder, drawn: Sequence[Sampled], answers: Answers) -> int:
    """Write the labels of the posts that have them, in place of an older file, and return how many."""
    version, model = rubric.version(), order.endpoint.model
    rows: list[dict[str, Any]] = []
    for one in drawn:
        answer = answers.by_key.get(key_of(model, version, one.text))
        if answer is not None and answer.marks is not None:
            post = asdict(one) | {"lang": one.language, "model": model, "rubric": version}
            rows.append(post | answer.marks)
    pending = order.out.with_name(f".{order.out.name}.partial")
    try:
        pq.write_table(pa.Table.from_pylist(rows, schema=LABELS), pending)
        pending.replace(order.out)
    except OSError as error:
        raise RunError(f"--out {order.out}: cannot be written: {error.strerror or error}") from None
    return len(rows)
