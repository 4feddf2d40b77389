PYTHON ?= python3
SEEDS = 0 1 2

.PHONY: demo sanity test table clean

demo: .venv/installed  ## classifier + VAE, everything examined: imgs/*.png
	.venv/bin/python demo_dnn_vae.py

sanity: .venv/installed  ## a VAE on each data set: imgs/demo_*.png
	.venv/bin/python vae_demo.py

test: .venv/installed-tests
	.venv/bin/python -m pytest -q -n 2 --dist loadfile tests

table: .venv/installed  ## the README's results tables, three seeds: a quarter of an hour
	for seed in $(SEEDS); do \
	  run=".venv/bin/python demo_dnn_vae.py --seed $$seed --out results/imgs --report results"; \
	  $$run/mnist-this-$$seed.json || exit 1; \
	  $$run/mnist-disjoint-$$seed.json --split disjoint || exit 1; \
	  $$run/mnist-naive-$$seed.json --prior normal --latent-dim 2 --temperature 1 || exit 1; \
	  $$run/fashion_mnist-this-$$seed.json --dataset fashion_mnist || exit 1; \
	done
	.venv/bin/python results_table.py results

.venv/installed: requirements.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -q -r requirements.txt
	touch $@

.venv/installed-tests: .venv/installed tests/requirements.txt
	.venv/bin/python -m pip install -q -r tests/requirements.txt
	touch $@

clean:
	rm -rf .venv results
