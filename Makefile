# make run | make test: each sets up by itself what it needs. make setup | check | bench | bench-polls | bench-lines | soak | faults | clean
# make deb [ARCH=arm64|amd64]: the Debian package, in dist/. make guest: the emulated machine that tests it.
# make image | image-test-arm64: the SD card's image, in dist/, and its tests, which take long. make image-twin |
# image-test | image-smoke: the same for amd64, its tests, and the most important of them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the tests drive, as command or command:package. Without them those tests are skipped and say so.
PEERS := tshark socat ser2net dtc:device-tree-compiler mkfs.vfat:dosfstools mcopy:mtools sfdisk:fdisk
# What builds images, and the emulated machines that boot them.
IMAGE_TOOLS := mmdebstrap depmod:kmod sqfstar:squashfs-tools mkfs.vfat:dosfstools mcopy:mtools sfdisk:fdisk
ARM64_TOOLS := $(IMAGE_TOOLS) arm64 dtc:device-tree-compiler xz:xz-utils
TWIN_TOOLS := $(IMAGE_TOOLS) qemu-system-x86_64:qemu-system-x86 cpio e2fsck:e2fsprogs

.PHONY: setup run test check bench bench-polls bench-lines soak faults clean peers promtool deb guest image image-twin image-test image-smoke image-test-arm64 image-repeat

ARCH ?= arm64
TWIN_TESTS := $(addprefix tests/deploy/test_image,.py _card.py _update.py)

setup: $(VENV)/.installed peers promtool

$(VENV)/.installed: pyproject.toml
	@echo "== setting up $(VENV) (once, half a minute with a fast network)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rtu-bridge needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --progress-bar on -e '.[test,check]'
	@touch $@

peers:
	@tests/install.sh $(PEERS) || echo "== their tests will be skipped"

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
	@tests/install.sh $(TWIN_TOOLS)
	@image=$$($(BIN)/python deploy/raspberrypi/guest/build_guest.py) && echo "$$image" && \
	$(BIN)/python -m tests.deploy.guest "$$image"

# For Raspberry Pi, in dist/: a quarter of an hour of emulation the first time, then some minutes.
# SIGNERS=release.pub: it accepts updates that are signed by this key. KEY=release: the update to it is made and signed.
image: $(VENV)/.installed
	@tests/install.sh $(ARM64_TOOLS)
	$(BIN)/python deploy/raspberrypi/image/build_image.py arm64 $(if $(SIGNERS),--signers "$(SIGNERS)") $(if $(KEY),--key "$(KEY)")

# The same for this kind of machine, which image-test boots: two minutes the first time, then half a minute.
image-twin: $(VENV)/.installed
	@tests/install.sh $(TWIN_TOOLS)
	$(BIN)/python deploy/raspberrypi/image/build_image.py amd64

# All of it a second time: does it give the same bits?
image-repeat: $(VENV)/.installed
	@tests/install.sh $(ARM64_TOOLS)
	$(BIN)/python deploy/raspberrypi/image/repeat.py $(ARCH)

# RTU_BRIDGE_POWER_CUTS=10 cuts the power more often than 3 times.
image-test: setup
	@tests/install.sh $(TWIN_TOOLS)
	RTU_BRIDGE_GUEST=1 $(BIN)/python -m pytest $(TWIN_TESTS) tests/deploy/test_image_build.py

image-smoke: setup
	@tests/install.sh $(TWIN_TOOLS)
	RTU_BRIDGE_GUEST=1 $(BIN)/python -m pytest -m smoke --durations=5 tests/deploy/test_image.py

# The image of `make image` itself, on an emulated Raspberry Pi 4 and on QEMU's own board.
image-test-arm64: setup
	@tests/install.sh $(ARM64_TOOLS) raspi4b cpio
	RTU_BRIDGE_GUEST=1 $(BIN)/python -m pytest tests/deploy/test_image_arm64.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
