"""The policy file: every threshold of a verdict, with what it costs beside it, as `swarmfeed run --config` takes it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from filters.verdict import Verdict
from pipelines.calibration.figures import Figures
from schemas.config import Config
from schemas.errors import ConfigError


def check_new(option: str, path: Path | None) -> None:
    """Raise ConfigError where a file would be written over another, or into no folder."""
    if path is None:
        return
    if path.exists():
        raise ConfigError(f"{option} {path}: there is one already; give another name, or move it away")
    if not path.parent.is_dir():
        raise ConfigError(f"{option} {path}: no folder {path.parent} to write it in")


def policy_text(verdict: Verdict, base: Config, figures: Figures) -> str:
    """Return a policy as YAML: the whole verdict, and whatever else of the settings decided and is not a default."""
    kept = figures["kept"] / figures["posts"]
    lines = [
        f"# A policy that keeps {kept:.1%} of the {figures['posts']:,} posts it was calibrated on.",
        "# Beside each threshold: the share of all posts that nothing but this rule rejects. null switches a rule off.",
        *_plain(_other_sections(base)),
        "stages:",
        *_plain({name: dict(section) for name, section in base.stages.items() if name != "verdict"}, 2),
        "  verdict:",
    ]
    costs = {one["key"]: one for one in figures["thresholds"]}
    for field in fields(verdict):
        value = getattr(verdict, field.name)
        if field.name == "per_language":
            continue
        cost = costs.get(field.name)
        beside = f"  # {_percent(cost['alone'])}" if cost and value is not None else ""
        lines.append(f"    {field.name}: {_value(value)}{beside}")
    lines.append("    per_language:")
    lines += [f"      {_value(tag)}: {_value(own)}" for tag, own in verdict.per_language.items()]
    return "\n".join(lines) + "\n"


def _other_sections(base: Config) -> dict[str, Any]:
    """Return the settings besides those of the stages that decide, where they are not the defaults."""
    usual = Config().deciding()
    return {name: value for name, value in base.deciding().items() if name != "stages" and value != usual[name]}


def _plain(data: dict[str, Any], indent: int = 0) -> list[str]:
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True) if data else ""
    return [" " * indent + line for line in text.splitlines()]


def _value(value: Any) -> str:
    """Return a value on one line of YAML.

    >>> _value(("en", "no")), _value(None), _value(0.5), _value({"min_words": 2})
    ("[en, 'no']", 'null', '0.5', '{min_words: 2}')
    """
    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _percent(share: float) -> str:
    return f"{share:.2%}" if share else "none"
