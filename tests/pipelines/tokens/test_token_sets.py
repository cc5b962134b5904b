"""A token set holds what went in, is bounded, appears only whole, and notices when it was touched."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import pickle
import resource
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.tokens import shards
from pipelines.tokens.sets import (
    Origin,
    ShardSummary,
    finish,
    next_version,
    read_manifest,
    verify,
    write_shards,
)
from pipelines.tokens.tokenizer import Tokenizer, load_tokenizer
from schemas.errors import ConfigError, RunError
from schemas.tokens import DOCUMENT, TOKEN_SHARD
from schemas.version import VERSION

TEXTS = ["The weather was lovely", "", "🌦️ " * 30, "один два три", "same", "same", "a much longer text " * 9, "#end"]
LANGUAGES = ["en", None, "und", "ru", "en", "en", "en", "en"]
TIMES = [1_700_000_000_000_000 + number * 1_000_000 for number in range(len(TEXTS) - 1)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """The shipped tokenizer; id 0 ends a document."""
    return load_tokenizer("default")


def documents(texts: list[str] = TEXTS, languages: list[str | None] = LANGUAGES) -> pa.RecordBatch:
    """Make a document of each text; the last one has no time."""
    rows = len(texts)
    columns = [
        [f"d{number}" for number in range(rows)],
        texts,
        [[f"p{number}", f"q{number}"] for number in range(rows)],
        [1] * rows,
        (languages * rows)[:rows],
        ["somewhere"] * rows,
        [None] * rows,
        [*(TIMES * rows)[: rows - 1], None] if rows else [],
    ]
    arrays = [pa.array(values, column.type) for values, column in zip(columns, DOCUMENT, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=DOCUMENT)


def make_set(root: Path, tokenizer: Tokenizer, shard_tokens: int = 60) -> Path:
    """Write a finished set of a few small shards and return its folder."""
    folder = root / next_version(root, "news")
    summaries = write_shards([documents()], tokenizer, folder, "000003", shard_tokens)
    finish(folder, summaries, Origin("c0ffee", {"toxicity": "aa", "language": "bb"}, tokenizer))
    return folder


def read(folder: Path, summaries: list[ShardSummary]) -> pa.Table:
    """Read shards in the order of their summaries."""
    return pa.concat_tables([pq.read_table(folder / summary.shard.file) for summary in summaries])


class TestShards:
    def test_rows_are_documents_and_end_with_the_end_of_document(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        [summary] = write_shards([documents()], tokenizer, tmp_path, "000000", 10_000)
        rows = pq.read_table(tmp_path / summary.shard.file)
        assert rows.schema.equals(TOKEN_SHARD)
        assert [tokenizer.decode(ids) for ids in rows["tokens"].to_pylist()] == TEXTS
        assert all(ids[-1] == 0 and ids.count(0) == 1 for ids in rows["tokens"].to_pylist())
        assert rows.drop_columns(["tokens"]).equals(
            pa.table(documents()).select(rows.drop_columns(["tokens"]).column_names)
        )

    def test_a_tokenizer_without_one_adds_nothing(self, tmp_path: Path) -> None:
        lines = b"".join(base64.b64encode(bytes([value])) + b" %d\n" % value for value in range(256))
        plain = Tokenizer.from_bytes("bytes.tiktoken", "tiktoken", lines)
        [summary] = write_shards([documents()], plain, tmp_path, "000000", 10_000)
        ids = pq.read_table(tmp_path / summary.shard.file)["tokens"].to_pylist()
        assert [bytes(row).decode() for row in ids] == TEXTS

    def test_summaries_count_what_the_files_hold(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        summaries = write_shards([documents()], tokenizer, tmp_path, "000000", 60)
        assert len(summaries) > 2
        languages: dict[str, int] = {}
        for summary in summaries:
            path = tmp_path / summary.shard.file
            rows = pq.read_table(path)
            lengths = [len(ids) for ids in rows["tokens"].to_pylist()]
            assert (summary.shard.documents, summary.shard.tokens) == (len(lengths), sum(lengths))
            assert summary.shard.bytes == path.stat().st_size
            for language, length in zip(rows["language"].to_pylist(), lengths, strict=True):
                languages[language or "und"] = languages.get(language or "und", 0) + length
            for language, tokens in summary.languages.items():
                languages[language] -= tokens
            times = [time for time in rows["created_at"].to_pylist() if time is not None]
            assert summary.first_created_at == min(times, default=None)
            assert summary.last_created_at == max(times, default=None)
        assert set(languages.values()) == {0}

    @pytest.mark.parametrize("bound", [1, 7, 13, 60, 100, 10_000])
    def test_no_shard_is_over_the_bound_but_for_one_long_document(
        self, tokenizer: Tokenizer, tmp_path: Path, bound: int
    ) -> None:
        summaries = write_shards([documents()], tokenizer, tmp_path, "000000", bound)
        for summary in summaries:
            assert summary.shard.tokens <= bound or summary.shard.documents == 1
        for summary, following in itertools.pairwise(summaries):  # and none was closed before it had to be
            first = len(pq.read_table(tmp_path / following.shard.file)["tokens"][0].as_py())
            assert summary.shard.tokens + first > bound
        rows = read(tmp_path, summaries)
        assert rows["document_id"].to_pylist() == [f"d{number}" for number in range(len(TEXTS))]
        assert [summary.shard.file for summary in summaries] == [
            f"shard-000000-{number:05d}.parquet" for number in range(len(summaries))
        ]

    def test_same_bytes_however_documents_are_batched(
        self, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shards, "GROUP_TOKENS", 40)
        monkeypatch.setattr(shards, "GROUP_DOCUMENTS", 3)
        whole = documents(TEXTS * 5, LANGUAGES * 5)
        hashes = []
        for number, size in enumerate((1, 3, 7, 40)):
            monkeypatch.setattr(shards, "PIECE_BYTES", 50 * size)
            batches = pa.Table.from_batches([whole]).to_batches(max_chunksize=size)
            summaries = write_shards(batches, tokenizer, tmp_path / str(number), "000000", 300)
            hashes.append([summary.shard.sha256 for summary in summaries])
        assert len(hashes[0]) > 2
        assert hashes == [hashes[0]] * 4
        groups = pq.ParquetFile(tmp_path / "0" / "shard-000000-00000.parquet").metadata
        assert all(groups.row_group(group).num_rows <= 3 for group in range(groups.num_row_groups))

    def test_memory_is_bounded_because_shards_are_written_as_documents_come(
        self, tokenizer: Tokenizer, tmp_path: Path
    ) -> None:
        def stream() -> Iterator[pa.RecordBatch]:
            for number in range(6):
                assert len(list(tmp_path.glob("shard-*"))) >= number - 1
                yield documents(["word " * 100])

        assert len(write_shards(stream(), tokenizer, tmp_path, "000000", 100)) == 6

    def test_a_failure_leaves_no_half_file(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        def stream() -> Iterator[pa.RecordBatch]:
            yield documents()
            raise KeyError("lost worker")

        with pytest.raises(KeyError, match="lost worker"):
            write_shards(stream(), tokenizer, tmp_path, "000000", 60)
        assert list(tmp_path.glob(".*")) == []
        assert all(len(pq.read_table(path)) for path in tmp_path.iterdir())

    def test_a_task_that_is_run_twice_does_no_harm(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        first = write_shards([documents()], tokenizer, tmp_path, "000000", 60)
        assert write_shards([documents()], tokenizer, tmp_path, "000000", 60) == first
        assert len(list(tmp_path.iterdir())) == len(first)

    def test_a_full_disk_is_one_clear_line(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, hard))
        try:
            with pytest.raises(RunError, match="cannot write a shard") as raised:
                write_shards([documents()], tokenizer, tmp_path, "000000", 10_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert "\n" not in str(raised.value)
        assert list(tmp_path.iterdir()) == []

    def test_an_unwritable_folder_is_one_clear_line(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(RunError, match="cannot write a shard"):
            write_shards([documents()], tokenizer, tmp_path / "file" / "set", "000000", 100)

    @pytest.mark.parametrize("batches", [[], [documents([], [])]])
    def test_no_documents_no_shards(self, tokenizer: Tokenizer, tmp_path: Path, batches: list[pa.RecordBatch]) -> None:
        assert write_shards(batches, tokenizer, tmp_path, "000000", 100) == []
        assert list(tmp_path.iterdir()) == []

    def test_times_beyond_the_calendar_do_not_stop_it(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        batch = documents(["a", "b", "c"], ["en"])
        times = pa.array([2**62, -(2**62), 1_000_000], pa.int64()).cast(DOCUMENT.field("created_at").type)
        place = DOCUMENT.get_field_index("created_at")
        [summary] = write_shards([batch.set_column(place, "created_at", times)], tokenizer, tmp_path, "0", 100)
        assert summary.first_created_at == summary.last_created_at == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)

    def test_summaries_travel_as_json(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        for summary in write_shards([documents()], tokenizer, tmp_path, "000000", 60):
            assert pickle.loads(pickle.dumps(summary)) == summary


class TestManifest:
    def test_says_everything(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        folder = tmp_path / next_version(tmp_path, "news")
        later = documents(["zwei Wörter"], ["de"])
        summaries = write_shards([later], tokenizer, folder, "000001", 60)
        summaries += write_shards([documents()], tokenizer, folder, "000000", 60)
        manifest = finish(folder, summaries, Origin("c0ffee", {"toxicity": "aa", "language": "bb"}, tokenizer))
        assert read_manifest(folder) == manifest
        assert (manifest.member, manifest.version) == ("news", "v000001")
        assert [shard.file for shard in manifest.shards] == sorted(summary.shard.file for summary in summaries)
        assert manifest.documents == len(TEXTS) + 1
        assert manifest.tokens == sum(summary.shard.tokens for summary in summaries) == sum(manifest.languages.values())
        assert set(manifest.languages) == {"en", "ru", "de", "und"}
        assert manifest.tokenizer.sha256 == tokenizer.sha256
        assert (manifest.tokenizer.vocabulary, manifest.tokenizer.end_of_document) == (32_768, 0)
        assert manifest.first_created_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
        assert manifest.last_created_at == datetime(2023, 11, 14, 22, 13, 26, tzinfo=UTC)
        assert (manifest.config_hash, manifest.swarmfeed_version) == ("c0ffee", VERSION)
        assert manifest.models == {"language": "bb", "toxicity": "aa"}
        assert verify(folder) == []

    def test_same_shards_same_manifest(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        one, other = make_set(tmp_path / "a", tokenizer), make_set(tmp_path / "b", tokenizer)
        assert (one / "manifest.json").read_bytes() == (other / "manifest.json").read_bytes()

    def test_a_set_may_be_empty(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        manifest = finish(tmp_path / "sets/quiet/v000001", [], Origin("c0ffee", {}, tokenizer))
        assert (manifest.documents, manifest.tokens, manifest.first_created_at) == (0, 0, None)
        assert verify(tmp_path / "sets/quiet/v000001") == []

    def test_files_of_lost_attempts_are_swept(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        folder = tmp_path / next_version(tmp_path, "news")
        summaries = write_shards([documents()], tokenizer, folder, "000000", 60)
        (folder / ".shard-000000-00000.parquet.0af3").write_bytes(b"half")
        (folder / "shard-000009-00000.parquet").write_bytes(b"of a task whose result was not used")
        finish(folder, summaries, Origin("c0ffee", {}, tokenizer))
        assert verify(folder) == []

    @pytest.mark.parametrize("change", ["lost", "short", "twice"])
    def test_what_is_not_there_is_not_finished(self, tokenizer: Tokenizer, tmp_path: Path, change: str) -> None:
        folder = tmp_path / next_version(tmp_path, "news")
        summaries = write_shards([documents()], tokenizer, folder, "000000", 60)
        path = folder / summaries[0].shard.file
        if change == "lost":
            path.unlink()
        elif change == "short":
            path.write_bytes(path.read_bytes()[:-1])
        else:
            summaries.append(summaries[0])
        with pytest.raises(RunError, match=r"as it was written|have one name"):
            finish(folder, summaries, Origin("c0ffee", {}, tokenizer))
        assert not (folder / "manifest.json").exists()

    def test_a_finished_version_never_changes(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        folder = make_set(tmp_path, tokenizer)
        with pytest.raises(RunError, match="never changes"):
            write_shards([documents()], tokenizer, folder, "000009", 60)
        with pytest.raises(RunError, match="never changes"):
            finish(folder, [], Origin("c0ffee", {}, tokenizer))
        assert verify(folder) == []

    def test_versions_count_on(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        assert make_set(tmp_path, tokenizer) == tmp_path / "sets/news/v000001"
        assert make_set(tmp_path, tokenizer) == tmp_path / "sets/news/v000002"
        (tmp_path / "sets/news/v1234567").mkdir()
        (tmp_path / "sets/news/notes").mkdir()
        assert next_version(tmp_path, "news") == "sets/news/v1234568"
        assert next_version(tmp_path, "other") == "sets/other/v000001"

    @pytest.mark.parametrize("member", ["", ".", "..", "a/b", "-x", "a b", "x\n"])
    def test_a_member_is_a_folder_name(self, tmp_path: Path, member: str) -> None:
        with pytest.raises(ConfigError, match="member"):
            next_version(tmp_path, member)


class TestReading:
    def test_a_folder_without_manifest_is_no_set(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        write_shards([documents()], tokenizer, tmp_path, "000000", 60)
        for folder in (tmp_path, tmp_path / "missing"):
            with pytest.raises(ConfigError, match="never finished"):
                read_manifest(folder)
            [line] = verify(folder)
            assert "manifest.json" in line

    @pytest.mark.parametrize("data", [b"", b"[]", b'{"member": "x"}', b"\xff\xfe", b'{"schema_version": "one"}'])
    def test_a_damaged_manifest_is_one_line(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "manifest.json").write_bytes(data)
        with pytest.raises(ConfigError, match=r"manifest\.json: damaged: ") as raised:
            read_manifest(tmp_path)
        assert "\n" not in str(raised.value)


class TestVerify:
    def test_missing_truncated_edited_and_foreign_files_are_named(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        folder = make_set(tmp_path, tokenizer)
        missing, truncated, edited, *_ = sorted(folder.glob("shard-*"))
        missing.unlink()
        truncated.write_bytes(truncated.read_bytes()[:-7])
        data = bytearray(edited.read_bytes())
        data[len(data) // 2] ^= 1
        edited.write_bytes(data)
        (folder / "notes.txt").write_text("x")
        wrong = verify(folder)
        assert len(wrong) == 4
        assert wrong[0] == f"{missing.name}: missing"
        assert wrong[1].startswith(f"{truncated.name}: has ")
        assert wrong[2].startswith(f"{edited.name}: its sha256 is not")
        assert wrong[3] == "notes.txt: not in the manifest"

    @pytest.mark.parametrize(
        ("path", "value", "said"),
        [
            (["tokens"], 1, "'tokens' adds up"),
            (["documents"], 1, "'documents' adds up"),
            (["languages", "en"], 1, "'languages' adds up"),
            (["shards", 0, "tokens"], 1, "tokens, the manifest says 1"),
            (["shards", 0, "documents"], 99, "documents, the manifest says 99"),
            (["shards", 0, "sha256"], "00", "sha256"),
            (["shards", 0, "file"], "shard-x.parquet", "shard-x.parquet: missing"),
            (["tokenizer", "sha256"], "00", "another tokenizer"),
            (["tokenizer", "vocabulary"], 9, "beyond the vocabulary of 9"),
        ],
    )
    def test_an_edited_manifest_is_noticed(
        self, tokenizer: Tokenizer, tmp_path: Path, path: list[str | int], value: object, said: str
    ) -> None:
        folder = make_set(tmp_path, tokenizer)
        manifest = json.loads((folder / "manifest.json").read_text())
        place = manifest
        for key in path[:-1]:
            place = place[key]
        assert path[-1] in place or isinstance(path[-1], int)
        place[path[-1]] = value
        (folder / "manifest.json").write_text(json.dumps(manifest))
        assert any(said in line for line in verify(folder))

    def test_a_shard_that_never_was_one(self, tokenizer: Tokenizer, tmp_path: Path) -> None:
        folder = make_set(tmp_path, tokenizer)
        manifest = json.loads((folder / "manifest.json").read_text())
        for number, write in enumerate((lambda path: path.write_bytes(b"no"), _write_other_columns)):
            shard = manifest["shards"][number]
            path = folder / shard["file"]
            write(path)
            shard |= {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        wrong = verify(folder)
        assert "cannot be read" in wrong[0]
        assert "not those of a token shard" in wrong[1]


def _write_other_columns(path: Path) -> None:
    pq.write_table(pa.table({"ids": [1]}), path)
