# Short words for the commands that CONTRIBUTING.md also gives in full.
#   make install   the package and its command: all you need for the exercises
#   make lab       JupyterLab with the chapters as notebooks
#   make book      the site: installs its tools, runs the notebooks, builds the pages
#   make serve     the site at http://localhost:8000
# For authors:
#   make test      tests of the package, course, notebooks and pages, with coverage
#   make test-all  also the long tests (a class of 100, whole sweeps on a cluster)
#   make check     ruff, pyright, coverage; types, lint and format of the JavaScript after npm install
#   make ebook     the book as one PDF and one EPUB, after make book (needs Chromium)
#   make bench     speed ratios (BENCH=--quick for the short form)

PYTHON ?= python3
BIN := .venv/bin
PORT ?= 8000
BENCH ?=
LAB := jupyterlab==4.6.6
# One thread for each process of the tests keeps them from fighting over the cores. There are four:
# many tests wait for a browser, a time limit or a process of their own.
export OMP_NUM_THREADS ?= 1

.PHONY: help venv install lab everything book ebook test test-all check bench serve clean
help:
	@sed -n 's/^# *\(  make .*\|For authors:\)/\1/p' Makefile

venv: $(BIN)/python
$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else \
	  f"This course needs Python 3.11 or newer, but $(PYTHON) is {v[0]}.{v[1]}. \
	Name a newer one: make install PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

# What a reader needs: the package, at the versions of requirements.txt.
install: .venv/installed
.venv/installed: requirements.txt pyproject.toml | venv
	@grep -v '^-e ' requirements.txt > .venv/pins.txt
	$(BIN)/python -m pip install -c .venv/pins.txt -e .
	@touch $@
	@echo "Installed. Start with: $(BIN)/induction-heads check ch01"

# The notebooks are written once, and then they are yours: a later `make lab` leaves them as they are.
lab: .venv/lab
	@test -d notebooks || $(BIN)/induction-heads init . --notebooks
	$(BIN)/jupyter lab notebooks
.venv/lab: .venv/installed
	$(BIN)/python -m pip install -c .venv/pins.txt $(LAB)
	@touch $@

# What authors need as well: the site, the tests, the linters.
everything: .venv/everything
.venv/everything: requirements.txt pyproject.toml | venv
	$(BIN)/python -m pip install -r requirements.txt
	@touch .venv/installed $@

book: everything
	$(BIN)/python book/run_notebooks.py
	@# A failed build is forgotten, or Sphinx would not repeat its warnings next time.
	$(BIN)/jupyter-book build book/ -W -n --keep-going || { rm -rf _build/.doctrees; exit 1; }
	@echo "The site is ready: open $(CURDIR)/_build/html/index.html"

ebook: everything
	$(BIN)/python book/ebook.py

# The notebooks run beside the other tests, which often wait. Their report comes after the others'.
# Those that `make book` has run with the same code and inputs have passed: they are not run again.
test: everything
	@left="$$($(BIN)/python book/run_notebooks.py --left)" || exit 1; \
	echo "Notebooks that run now, the others ran in make book: $${left:-none}"; \
	$(BIN)/python -m pytest -n 2 --dist loadfile --nbval-lax $$left \
	  --doctest-modules --ignore-glob="*/test_submission.py" src/induction_heads \
	  > .venv/notebooks.log 2>&1 & notebooks=$$!; failed=0; \
	trap 'exit 130' INT; trap "kill $$notebooks 2>/dev/null" EXIT; \
	$(BIN)/python -m pytest -n 4 --dist loadgroup --no-loadscope-reorder \
	  -m "$(if $(ALL),,not long)" --cov --cov-fail-under=0 || failed=$$?; \
	echo "Notebooks and doctests:"; \
	wait $$notebooks || failed=$$?; cat .venv/notebooks.log; exit $$failed

test-all:
	@$(MAKE) --no-print-directory test ALL=1

check: everything
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	@if [ -f .coverage ]; then echo "Coverage in percent:"; $(BIN)/coverage report --format=total; else \
	  echo "NOT RUN: coverage. Run make test first."; fi
	@if [ -x node_modules/.bin/tsc ]; then npm run types && npm run lint && npm run format:check; else \
	  echo "NOT RUN: types, lint and format of the JavaScript. Run npm install first."; fi

bench: everything
	$(BIN)/python -m benchmarks $(BENCH)

serve:
	@test -f _build/html/index.html || { echo "There is no site yet. Run: make book"; exit 1; }
	@echo "The site is at http://localhost:$(PORT) (Ctrl-C stops it)"
	@$(PYTHON) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

clean:
	rm -rf _build
