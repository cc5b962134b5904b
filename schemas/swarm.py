"""The swarm file: which members there are and what each of them reads. Frozen, typed, unknown keys refused."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from schemas.parsing import parse
from schemas.tokens import DEFAULT_CONTEXT, LONGEST_CONTEXT, SHORTEST_CONTEXT


def _cap(value: object) -> object:
    count = type(value) is int and value >= 1
    share = type(value) is float and 0 < value <= 1
    if not count and not share:
        raise ValueError("expected a number of documents such as 3, or a share such as 0.1")
    return value


Cap = Annotated[int | float, BeforeValidator(_cap)]  # 1 is one document, 1.0 is all
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]

RESERVED = ("default", "next")  # the set of every run; what `rota --take` calls whoever is due


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Window(_Section):
    """Which days: the last `days` that there are posts of, or those `from` one `to` another, both included."""

    days: int | None = Field(default=None, ge=1)
    first: date | None = Field(default=None, alias="from")
    last: date | None = Field(default=None, alias="to")

    @model_validator(mode="after")
    def _one_kind(self) -> Window:
        if (self.days is None) == (self.first is None) or (self.first is None) != (self.last is None):
            raise ValueError("expected {days: N} or {from: DATE, to: DATE}")
        if self.first and self.last and self.first > self.last:
            raise ValueError("ends before it begins")
        return self

    @property
    def length(self) -> int:
        """Return how many days it has."""
        if self.first and self.last:
            return (self.last - self.first).days + 1
        return self.days or 0


class Quality(_Section):
    """Which scores of the stage quality; a post without a score is outside every band."""

    least: float = Field(default=0, ge=0, le=1)
    most: float = Field(default=1, ge=0, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> Quality:
        if self.least > self.most:
            raise ValueError("least is more than most")
        return self


class Mix(_Section):
    """What part of the tokens each group is to have: shares by name, the rest by size to the power 1/temperature."""

    by: Literal["language", "domain", "topic"]
    temperature: float = Field(default=1, gt=0)
    shares: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _no_more_than_all(self) -> Mix:
        if sum(self.shares.values()) > 1 + 1e-9:
            raise ValueError(f"the shares add up to {sum(self.shares.values()):g}, more than 1")
        return self


class Caps(_Section):
    """The most that one author, campaign or domain gives to a day: documents, or a share of the day's tokens.

    `day` is the most that a day gives: documents, or a share of the budget.
    """

    author: Cap | None = None
    campaign: Cap | None = None
    domain: Cap | None = None
    day: Cap | None = None


class Replay(_Section):
    """Sequences of the days before the window, so that a member does not forget them."""

    share: float = Field(gt=0, lt=1)  # of the whole
    days: int = Field(ge=1)  # how far back


class Member(_Section):
    """What one model of the swarm is trained on."""

    window: Window
    languages: tuple[str, ...] = ()  # all when empty
    domains: tuple[str, ...] = ()
    quality: Quality | None = None
    template: Literal["post", "path", "tree"] = "post"
    mix: Mix | None = None
    caps: Caps = Caps()
    replay: Replay | None = None
    budget_tokens: int | None = Field(default=None, ge=1)  # all there are when unset
    context_tokens: int = Field(default=DEFAULT_CONTEXT, ge=SHORTEST_CONTEXT, le=LONGEST_CONTEXT)
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    on_rejected: Literal["cut_branch", "mask_turn", "drop_thread"] = "cut_branch"
    quiet_hours: float = Field(default=24, gt=0)  # after which a conversation is closed

    @model_validator(mode="after")
    def _budget_where_needed(self) -> Member:
        if self.budget_tokens is None and self.mix is not None:
            raise ValueError("mix needs budget_tokens: without a budget all there is is taken")
        if self.budget_tokens is None and isinstance(self.caps.day, float):
            raise ValueError("caps.day is a share of budget_tokens, which is not set: give a number of documents")
        return self

    @property
    def new_share(self) -> float:
        """Return the share of the budget that the window itself has."""
        return 1 - self.replay.share if self.replay else 1.0

    @property
    def day_tokens(self) -> int | None:
        """Return the most tokens that a day may give; None where no budget bounds it."""
        if self.budget_tokens is None:
            return None
        even = self.budget_tokens * self.new_share / self.window.length
        most = self.caps.day * self.budget_tokens if isinstance(self.caps.day, float) else even
        return int(min(even, most))

    @property
    def replay_part(self) -> float:
        """Return the part of each replayed day's sequences that comes back: with days of one size, the share asked."""
        if self.replay is None:
            return 0.0
        return min(1.0, self.replay.share / self.new_share * self.window.length / self.replay.days)

    def choosing(self, tokenizer_sha256: str) -> str:
        """Return a hash of all that decides what a day gives; which days there are does not, beyond their number."""
        data: dict[str, Any] = self.model_dump(mode="json", exclude={"window", "replay", "budget_tokens"})
        data |= {"day_tokens": self.day_tokens, "tokenizer": tokenizer_sha256, "rules": RULES}
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


RULES = 1  # of selection and packing: another number, and every day is made anew


class Swarm(_Section):
    """A whole swarm file."""

    tokenizer: str = "default"  # or a path, as tokens.tokenizer
    lease_hours: float = Field(default=24, gt=0)  # a member that is out for longer no longer keeps others waiting
    keep_versions: int = Field(default=3, ge=1)  # of each member; what is out stays besides
    members: dict[Name, Member] = Field(min_length=1)

    @model_validator(mode="after")
    def _free_names(self) -> Swarm:
        taken = [name for name in self.members if name in RESERVED]
        if taken:
            raise ValueError(f"no member can be called {taken[0]!r}")
        return self

    @classmethod
    def parse(cls, data: object, where: str = "swarm file") -> Swarm:
        """Check plain data and freeze it; raise ConfigError naming key and file."""
        return parse(cls, data, where)
