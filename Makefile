# Everything a newcomer runs. Each target makes .venv first, or finishes what an interrupted set-up left.
.DEFAULT_GOAL := help
# an environment that forbids it would have every process compile cnnpipe anew
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help venv demo test check format ui server worker lock bench clean

bin := .venv/bin

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

venv: ## Make .venv from requirements.lock: 5 minutes and 7 GB, once
	@python=$$(tools/find_python.sh) && "$$python" -m tools.setup_venv

# the stages start `python`: it must be the one of .venv
demo: venv ## Run the whole pipeline on the embedded sample; what is up to date is not run again
	@PATH="$(CURDIR)/$(bin):$$PATH" $(bin)/cnnpipe repro

test: venv ## Run all tests
	@$(bin)/python -m pytest -n 2 --dist worksteal $(TESTS)

check: venv ## Check formatting, lint, types and import layers
	$(bin)/ruff format --check
	$(bin)/ruff check
	$(bin)/mypy
	$(bin)/lint-imports

format: venv ## Format the code, and repair what the linter can
	$(bin)/ruff check --fix-only
	$(bin)/ruff format

ui: venv ## Serve MLflow's pages on http://127.0.0.1:5000, or on PORT=…
	@$(bin)/cnnpipe ui $(if $(PORT),--port $(PORT))

server: venv ## Serve Prefect on http://127.0.0.1:4200 and MLflow on :5000, pools and deployments made
	@PATH="$(CURDIR)/$(bin):$$PATH" $(bin)/cnnpipe server

worker: venv ## Take scheduled runs from POOL=cpu or POOL=gpu, each in a clone of its own
	@PATH="$(CURDIR)/$(bin):$$PATH" $(bin)/cnnpipe worker --pool $(or $(POOL),$(error say POOL=cpu or POOL=gpu))

lock: ## Write requirements.lock anew; UPGRADE="dvc typer" or UPGRADE=all lets versions move
	@python=$$(tools/find_python.sh) && "$$python" -m tools.lock $(UPGRADE)

# left out, for they take long: python -m benchmarks.faults (docs/reliability.md), python -m benchmarks.via_fuzz,
# python -m benchmarks.classify_vs_peers, python -m benchmarks.course_networks (docs/results.md)
bench: venv ## Run every benchmark against its peer; results as JSON in benchmarks/results/
	@set -e; for file in $$(grep -l '__name__ == "__main__"' benchmarks/*.py | grep -Ev '/(faults|via_fuzz|classify_vs_peers|course_networks).py'); do \
		echo "$$file"; $(bin)/python -m "benchmarks.$$(basename "$$file" .py)"; \
	done

clean: ## Remove the caches of the tools; never data, results or .venv
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	find cnnpipe tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
