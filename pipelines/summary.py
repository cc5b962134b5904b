"""Add up what the parts of a step say, check that nothing was lost, and write the manifest of its token set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from filters.stage import Stage
from pipelines.step import StepResult, Workshop
from pipelines.tokens import sets
from schemas.config import Config
from schemas.errors import RunError
from schemas.reasons import Reason
from schemas.version import VERSION

REPORT_SCHEMA = 1
FILES = {"files", "language_model", "model", "models"}  # settings of a stage that name files


def summarise(result: StepResult, shop: Workshop) -> dict[str, Any]:
    """Return the figures of a step as report.json holds them; raise RunError when posts were lost or doubled."""
    staged, decided = result.staged, result.decided
    kept, rejected = sum(part.kept for part in decided), sum(part.rejected for part in decided)
    quarantined = sum(part.quarantined for part in staged)
    annotated = sum(part.posts for part in staged)
    if kept + rejected != annotated:
        raise RunError(
            f"{annotated} posts were annotated but {kept} kept and {rejected} rejected: nothing was published"
        )
    kinds = _total(part.kinds for part in decided)
    reasons = _total(part.reasons for part in decided)
    return {
        "schema": REPORT_SCHEMA,
        "version": VERSION,
        "epoch": result.epoch,
        "posts": {
            "read": annotated + quarantined,
            "kept": kept,
            "rejected": rejected,
            "quarantined": quarantined,
        },
        "reasons": {reason.value: reasons[reason.value] for reason in Reason if reasons[reason.value]},
        "languages": dict(_total(part.languages for part in decided).most_common()),
        "duplicates": {kind: kinds[kind] for kind in ("exact", "near", "repost", "repeated_id", "superseded")},
        "faults": dict(_total(part.faults for part in staged).most_common()),
        "tombstones": sum(part.deletions for part in staged),
        "notices": sum(part.notices for part in staged),
        "tokens": _tokens(result, shop),
        "token_set": result.token_set if kept else None,
        "config": shop.config.model_dump(mode="json"),
        "config_hash": config_hash(shop.config, shop.stages),
        "models": model_hashes(shop.stages) | {"tokenizer": shop.tokenizer.sha256},
        "phases": {name: round(seconds, 3) for name, seconds in result.seconds.items()},
    }


def config_hash(config: Config, stages: Iterable[Stage]) -> str:
    """Return the hash of a config, the bytes of the models and evaluation files that its stages name included."""
    sections = config.stages
    named = {name: digest for name, digest in model_hashes(stages).items() if FILES & sections.get(name, {}).keys()}
    return config.hash(named)


def model_hashes(stages: Iterable[Stage]) -> dict[str, str]:
    """Return the sha256 of every trained model, and of the files a user brings where there are any, by stage."""
    models = {stage.name: getattr(stage, "sha256", None) for stage in stages}
    return {name: digest for name, digest in models.items() if digest}


def _tokens(result: StepResult, shop: Workshop) -> dict[str, int]:
    shards = [shard for part in result.decided for shard in part.shards]
    if not shards:
        return {"kept": 0}
    origin = sets.Origin(
        config_hash=config_hash(shop.config, shop.stages), models=model_hashes(shop.stages), tokenizer=shop.tokenizer
    )
    manifest = sets.finish(shop.staging / result.token_set, shards, origin)
    return {"kept": manifest.tokens, "documents": manifest.documents, "shards": len(manifest.shards)}


def _total(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in counts:
        total.update(part)
    return total
