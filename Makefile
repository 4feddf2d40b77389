PYTHON ?= python3
SEEDS = 0 1 2
REPORTS = benchmarks/results

.PHONY: install demo sanity test table naive epochs helps forgeries alarms trained_alarms strangers \
  page clean

install: .venv/installed  ## what all commands need, into .venv

demo: .venv/installed  ## classifier + VAE, everything examined: imgs/*.png
	.venv/bin/python demo_dnn_vae.py

sanity: .venv/installed  ## a VAE on each data set: imgs/demo_*.png
	.venv/bin/python vae_demo.py

test: .venv/installed-tests
	.venv/bin/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder tests

table: .venv/installed  ## all results tables, three seeds: half an hour
	run=".venv/bin/python demo_dnn_vae.py --out results/imgs"; \
	for seed in $(SEEDS); do \
	  for data in mnist fashion_mnist; do \
	    models=results/models-$$data-$$seed.npz; \
	    $$run --dataset $$data --seed $$seed --save $$models \
	      --report $(REPORTS)/$$data-this-$$seed.json || exit 1; \
	    $$run --dataset $$data --load $$models --soft-labels \
	      --report $(REPORTS)/$$data-soft-$$seed.json || exit 1; \
	    .venv/bin/python -m benchmarks.promises --dataset $$data --load $$models \
	      --report $(REPORTS)/promises/$$data-$$seed.json || exit 1; \
	  done; \
	  $$run --seed $$seed --split disjoint \
	    --report $(REPORTS)/mnist-disjoint-$$seed.json || exit 1; \
	done
	$(MAKE) page

naive: .venv/installed  ## reports on the naive method for them: half an hour
	mkdir -p results
	for seed in $(SEEDS); do \
	  .venv/bin/python -m benchmarks.naive --seed $$seed --out results/naive-$$seed.npz || exit 1; \
	  .venv/bin/python -m trust results/naive-$$seed.npz --dataset mnist --seed $$seed \
	    --report $(REPORTS)/mnist-naive-$$seed.json || exit 1; \
	done
	$(MAKE) page

epochs: ## what more --epochs buy, three seeds of both data sets: half an hour
forgeries: SEEDS = 0
forgeries: ## the panel of forgeries, three draws of each: half an hour a data set
helps: SEEDS = 0
helps: ## whether generated images help a classifier with few real ones: five minutes a data set
alarms: SEEDS = 0
alarms: ## false alarms and power of the verdicts by size: half an hour a data set
trained_alarms: SEEDS = 0
trained_alarms: ## false alarms of realistic and useful, for which networks learn: the same

epochs helps forgeries alarms trained_alarms: .venv/installed
	mkdir -p $(REPORTS)/$@
	for seed in $(SEEDS); do \
	  for data in mnist fashion_mnist; do \
	    .venv/bin/python -m benchmarks.$@ --dataset $$data --seed $$seed \
	      --report $(REPORTS)/$@/$$data-$$seed.json || exit 1; \
	  done; \
	done
	$(MAKE) page

strangers: .venv/installed  ## panels that others wrote: five minutes
	.venv/bin/python -m benchmarks.strangers --report $(REPORTS)/strangers.json
	$(MAKE) page

page: .venv/installed  ## the tables again, from the reports that are there
	mkdir -p results
	.venv/bin/python -m benchmarks.tables $(REPORTS) > results/tables.md
	mv results/tables.md $(REPORTS)/README.md
	cat $(REPORTS)/README.md

.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "TensorFlow needs Python 3.10 to 3.13: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install -q -r requirements.txt
	touch $@

.venv/installed-tests: .venv/installed tests/requirements.txt
	.venv/bin/python -m pip install -q -r tests/requirements.txt
	touch $@

clean:
	rm -rf .venv results
