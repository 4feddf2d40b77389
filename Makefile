PYTHON ?= python3
SEEDS = 0 1 2

.PHONY: demo sanity test table clean

demo: .venv/installed  ## classifier + VAE, everything examined: imgs/*.png
	.venv/bin/python demo_dnn_vae.py

sanity: .venv/installed  ## a VAE on each data set: imgs/demo_*.png
	.venv/bin/python vae_demo.py

test: .venv/installed-tests
	.venv/bin/python -m pytest -q -n 2 --dist loadfile tests

table: .venv/installed  ## the README's results tables, three seeds: half an hour
	for seed in $(SEEDS); do for data in mnist fashion_mnist; do \
	  run=".venv/bin/python demo_dnn_vae.py --dataset $$data --seed $$seed --out results/imgs"; \
	  $$run --report results/$$data-this-$$seed.json || exit 1; \
	  $$run --report results/$$data-disjoint-$$seed.json --split disjoint || exit 1; \
	done; done
	.venv/bin/python -m trust.report results

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
