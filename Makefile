# make run | make test: each sets up by itself what it needs. make setup | check | bench | bench-polls | bench-lines | soak | faults | clean
# make deb [ARCH=arm64|amd64]: the Debian package, in dist/. make guest: the emulated machine that tests it.
# make image: the SD card's image, in dist/. make image-twin | image-test: the same for amd64, and its tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the tests drive, as command or command:package. Without them those tests are skipped and say so.
PEERS := tshark socat ser2net dtc:device-tree-compiler

.PHONY: setup run test check bench bench-polls bench-lines soak faults clean peers promtool deb guest image image-twin image-test

ARCH ?= arm64

setup: $(VENV)/.installed peers promtool

$(VENV)/.installed: pyproject.toml
	@echo "== setting up $(VENV) (once, half a minute with a fast network)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rtu-bridge needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --progress-bar on -e '.[test,check]'
	@touch $@

peers:
	@missing=""; for peer in $(PEERS); do name=$${peer%%:*}; \
	command -v $$name >/dev/null 2>&1 || [ -x /usr/sbin/$$name ] || missing="$$missing $${peer##*:}"; done; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "== installing$$missing for the tests (a minute or two)"; \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing; \
	else echo "== not installed, their tests will be skipped:$$missing"; fi

# Prometheus's tool, which tests the alert rules. Out of Debian's package, which would start a server as well.
promtool: $(VENV)/.installed
	@if command -v promtool >/dev/null 2>&1 || [ -x $(BIN)/promtool ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "== fetching promtool for the tests (19 MB)"; folder=$$(mktemp -d); \
		(cd $$folder && { apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; }; } && \
		dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool) && \
		install $$folder/usr/bin/promtool $(BIN)/promtool; rm -r $$folder; \
	else echo "== not installed, its tests will be skipped: promtool (package prometheus)"; fi

run: $(VENV)/.installed
	$(BIN)/rtu-bridge demo

test: setup
	$(BIN)/python -m pytest

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m tests.bench.bridges

bench-polls: setup
	$(BIN)/python -m tests.bench.polls

bench-lines: setup
	$(BIN)/python -m tests.bench.lines

soak: setup
	$(BIN)/python -m tests.soak.masters

faults: setup
	$(BIN)/python -m tests.soak.faults

deb: $(VENV)/.installed
	@$(BIN)/python deploy/raspberrypi/package/build_deb.py $(ARCH)

# Kept in RTU_BRIDGE_CACHE (~/.cache/rtu-bridge). A minute the first time, then seconds; half a minute to boot.
guest: $(VENV)/.installed
	@image=$$($(BIN)/python deploy/raspberrypi/guest/build_guest.py) && echo "$$image" && \
	$(BIN)/python -m tests.deploy.guest "$$image"

# For Raspberry Pi, in dist/: a quarter of an hour of emulation the first time, then some minutes.
image: $(VENV)/.installed
	$(BIN)/python deploy/raspberrypi/image/build_image.py arm64

# The same for this kind of machine, which image-test boots: two minutes the first time, then half a minute.
image-twin: $(VENV)/.installed
	$(BIN)/python deploy/raspberrypi/image/build_image.py amd64

# RTU_BRIDGE_POWER_CUTS=10 cuts the power more often than 3 times.
image-test: setup
	RTU_BRIDGE_GUEST=1 $(BIN)/python -m pytest tests/deploy/test_image.py tests/deploy/test_image_build.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
