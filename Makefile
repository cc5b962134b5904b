# make demo: simulate 100,000 posts, curate them, say where the report is.   make test: the whole suite.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo
POSTS := 100000
BENCH := "signatures --at-least-datasketch 50 --at-least-rensa 2" "classifiers --at-least 4" "recall" "duplicates --rows 300000 --at-least 20" \
    "run --rows 300000 --at-least 20 --at-least-with-startup 12" \
    "scale --posts 250000 1000000 --cpu-at-most 1.15 --memory-at-most 1.3 --gib-at-most 6" \
    "history --rows 50000 --bands 20000000 --repeats 3 --at-most 1.3" "cluster --rows 100000" "phases"

.PHONY: install demo test check format zip docs clean
.PHONY: bench bench-stream bench-crashes bench-soak bench-feed bench-value

install: .venv/installed

demo: .venv/installed
	$(BIN)/swarmfeed simulate --posts $(POSTS) --seed 1 --out $(DEMO)/posts.jsonl.gz
	rm -rf $(DEMO)/curated
	$(BIN)/swarmfeed run $(DEMO)/posts.jsonl.gz --out $(DEMO)/curated

# Two at a time: a test that starts Spark, a broker or a stream waits more than it computes.
test: .venv/installed
	$(BIN)/pytest -n 2 --dist worksteal

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Every comparison, one after the other on an otherwise idle machine; all run, then it fails when one did or missed.
bench: .venv/installed
	$(BIN)/pip install --quiet --editable '.[bench]'
	@missed=; for call in $(BENCH); do \
	    echo "python -m bench.$$call"; \
	    $(BIN)/python -m bench.$$call || missed="$$missed, $$call"; \
	done; \
	[ -z "$$missed" ] || { echo "bench: failed or missed a target: $${missed#, }"; exit 1; }

# Posts from a Kafka on this machine for ten minutes, then a backlog; 30 kills; an hour of faults. Each needs mvn.
bench-stream: .venv/installed
	$(BIN)/python -m bench.stream --rate 6000 --seconds 600 --highest 2000000 --at-least 5800 --median-at-most 10 \
	    --p95-at-most 20 --memory-growth-at-most 1.05 --lag-growth-at-most 1.25

bench-crashes: .venv/installed
	$(BIN)/python -m bench.crashes --kills 30

bench-soak: .venv/installed
	$(BIN)/python -m bench.soak --minutes 60 --rate 1000

# Packs the real threads, reads them beside a bare scan, and is killed a hundred times.
bench-feed: .venv/installed
	$(BIN)/python -m bench.feed --kills 100

# What curation is worth to a small model: nine trainings, on a GPU where JAX finds one.
bench-value: .venv/installed
	$(BIN)/python -m bench.value

zip: .venv/installed
	$(BIN)/python -m jobs.package --out dist/swarmfeed.zip

docs: .venv/installed
	$(BIN)/python -m schemas.dictionary > docs/data-dictionary.md

clean:
	rm -rf .venv .venv-bench build dist $(DEMO) *.egg-info

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "swarmfeed needs Python 3.11 or newer: set PYTHON=python3.11 (or newer)"; exit 1; }
	@sh -c 'j=$${JAVA_HOME:+$$JAVA_HOME/bin/}java; v=$$($$j -version 2>&1 | sed -n "s/.*version \"\([0-9]*\).*/\1/p"); \
	    [ "$${v:-0}" -ge 17 ]' || \
	    { echo "swarmfeed needs Java 17 or newer: apt-get install openjdk-17-jdk-headless, or set JAVA_HOME"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@
