# make demo          lower, compile, verify and evaluate the digits example
# make test          the test suite
# make single-ops    generated models of one operator each, compared with LiteRT and ONNX Runtime; prints how many
# make check         lint, format and types
# make train-digits  train and quantize the digits example again
#
# All of it runs in .venv, which the first call creates. Needs Python >= 3.11 and a C compiler.

PYTHON ?= python3
CC ?= cc
export CC

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed.stamp

.PHONY: demo test single-ops check train-digits clean

demo: $(STAMP)
	$(BIN)/python examples/digits/demo.py

test: $(STAMP)
	# One BLAS thread for each of the two workers: more only wait for each other.
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --durations 15

single-ops: $(STAMP)
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 \
		tests/frontends/tflite/test_single_ops.py tests/frontends/onnx/test_onnx_single_ops.py

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

train-digits: $(STAMP)
	$(BIN)/python examples/digits/train.py

clean:
	rm -rf build $(VENV)

# The package is installed in place, so only a change of its dependencies asks for a new installation.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mrqc needs Python >= 3.11; set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@
