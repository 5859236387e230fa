# make demo    a stylised picture in a minute or two, from nothing
# make test    the tests in two processes; make test ARGS="-k gif -x" passes arguments on; with
#              HYPOTHESIS_PROFILE=thorough the random ones try 200 cases, not 10
# make lint    ruff and mypy
# make docs    the documentation site, in build/docs; open build/docs/index.html
# make lessons run the notebooks of docs/lessons, and say how long each took
# make wheel   wheel and sdist in dist/, each installed anew and tried
# make clean   away with everything that was made here
#
# Each makes .venv when it is missing. PYTHON=python3.12 chooses another interpreter.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

.PHONY: demo test lint docs lessons wheel clean

demo: .venv/.installed-demo
	$(BIN)/python examples/demo.py

test: .venv/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(ARGS)

lint: .venv/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: .venv/.installed-docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -c docs . build/docs
	$(BIN)/python docs/check_links.py build/docs

lessons: .venv/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/test_lessons.py -m slow -n 2 --durations=0

# Each is installed by itself into a fresh environment, outside of this folder, and paints.
wheel: .venv/.installed-dev
	rm -rf dist build/check
	$(BIN)/python -m hatchling build
	for file in dist/*.whl dist/*.tar.gz; do \
	  rm -rf build/check && $(BIN)/python -m venv build/check && \
	  build/check/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt \
	    $$file && mkdir build/check/out && (cd build/check/out && \
	  ../bin/impasto --version && ../bin/impasto demo --size 128 -q && \
	  ../bin/impasto info demo.png > /dev/null && ls -l demo.png) || exit 1; \
	done
	ls -l dist

clean:
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist notebooks out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv .venv

# Always with the constraints: without them pip may take another torch, with gigabytes of CUDA.
.venv/.installed-%: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[$*]"
	touch $@
