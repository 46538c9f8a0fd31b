# `make` or `make help` lists what there is. Each target makes its own virtual environment and says what it installs.
PYTHON ?= python3
# A plain `torch` brings a CUDA build of several GB on Linux; name another build here if you want one, for example
#   make test TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
SOURCES := edge calibration export tests benchmarks packaging samples
VENV_DEMO := .venv-demo
VENV_TEST := .venv-test
PIP := -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test check bench format clean system bindings deb

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: $(VENV_DEMO)/.ready ## the main job on this machine: make demo, or make demo VIDEO=my.mp4
ifdef VIDEO
	@mkdir -p demo-out
	@echo "learning what is normal from the first third of $(VIDEO)"
	@$(VENV_DEMO)/bin/prednet-calibrate site "$(VIDEO)" --first-part 0.3333 --hold 0.5 --bundle edge/data/demo.prednet --camera video -o demo-out/video.normal
	@$(VENV_DEMO)/bin/prednet-edge demo --video "$(VIDEO)" --normal demo-out/video.normal
else
	@$(VENV_DEMO)/bin/prednet-edge demo
endif

test: check bindings system ## all tests: types, style, behaviour, against a real broker
	@$(VENV_TEST)/bin/python -m pytest -n 2 --dist loadfile $(TESTS)

check: $(VENV_TEST)/.ready ## style and types alone, in seconds
	@$(VENV_TEST)/bin/ruff check $(SOURCES)
	@$(VENV_TEST)/bin/ruff format --check --quiet $(SOURCES)
	@$(VENV_TEST)/bin/mypy

# What was measured at this commit already is kept in work-out/bench and not measured again; a missed bound is a result.
bench: $(VENV_TEST)/.bench-ready system ## all measurements, into docs/benchmarks.md: hours, or 20 minutes with QUICK=1
	@$(VENV_TEST)/bin/python benchmarks/all.py $(if $(QUICK),--quick) $(if $(DATA),--data "$(DATA)") || [ $$? = 4 ]

# What the package is for; `make deb DEB_PYTHON=3.12` is JetPack 7's.
DEB_PYTHON ?= 3.10
DEB_ARCH ?= arm64
WHEELS := build/wheels-$(DEB_PYTHON)-$(DEB_ARCH)

deb: ## the Debian package of a device: make deb DEB_PYTHON=3.10 DEB_ARCH=arm64 (docs/install.md)
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { echo "pip is needed; run: sudo apt-get install python3-pip"; exit 1; }
	@rm -rf $(WHEELS)
	@echo "fetching the wheels, by digest (160 MB)"
	@PYTHON=$(PYTHON) packaging/fetch_wheels.sh $(DEB_PYTHON) $(DEB_ARCH) $(WHEELS)
	@echo "building the package (a minute)"
	@$(PYTHON) packaging/build_deb.py --python $(DEB_PYTHON) --arch $(DEB_ARCH) --wheels $(WHEELS) --out dist

format: $(VENV_TEST)/.ready ## lay out the code
	@$(VENV_TEST)/bin/ruff format $(SOURCES)
	@$(VENV_TEST)/bin/ruff check --fix $(SOURCES)

# What the tests use of the system, and pip cannot bring: a real broker, a real collector, a real RTSP server, a browser, and GStreamer's Python.
PACKAGES := gcc libc6-dev libfaketime strace systemd python3-venv mosquitto mosquitto-clients iproute2 jq openssl prometheus prometheus-mqtt-exporter python3-gi chromium gir1.2-gst-rtsp-server-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav

# The real Python interfaces of what a Jetson has, without their libraries (20 MB): our use of them is held against each.
BINDINGS := $(VENV_TEST)/bindings
TENSORRT_VERSIONS := 10.3.0 10.13.3.9 10.16.1.11 11.4.0.106

bindings: $(VENV_TEST)/.ready
	@[ -f $(BINDINGS)/.ready ] || ( echo "fetching the Python interfaces of TensorRT $(TENSORRT_VERSIONS), cuda-python and pycuda"; \
	for version in $(TENSORRT_VERSIONS); do \
	  $(VENV_TEST)/bin/python $(PIP) --no-deps --upgrade --target $(BINDINGS)/$$version tensorrt-cu12-bindings==$$version || exit 1; done; \
	$(VENV_TEST)/bin/python $(PIP) --no-deps --upgrade --target $(BINDINGS)/cuda-12 cuda-bindings==12.9.4 && \
	$(VENV_TEST)/bin/python $(subst install,download,$(PIP)) --no-deps --no-binary pycuda --dest $(BINDINGS) pycuda==2026.1 && touch $(BINDINGS)/.ready ) \
	|| { echo "they cannot be fetched; the tests of conformance are skipped"; [ -z "$$CI" ]; }

# GStreamer's Python is no wheel: the tests see Debian's, alone and by a link (docs/decisions/0016-gstreamer.md).
GI := /usr/lib/python3/dist-packages/gi

system:
	@missing=$$(for name in $(PACKAGES); do dpkg-query -W -f '$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || echo $$name; done); \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing Debian packages:" $$missing; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null 2>&1 \
	  || { echo "they cannot be installed; run: apt-get install" $$missing; [ -z "$$CI" ]; }; \
	else echo "tests of the real broker and camera are skipped; to have them: sudo apt-get install" $$missing; fi

# Its argument is the target that is to be run again.
need_python = $(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { echo "Python 3.10 to 3.13 is needed, this is $$($(PYTHON) --version); run: make $(1) PYTHON=python3.12"; exit 1; }

$(VENV_DEMO)/.ready: pyproject.toml
	@$(call need_python,demo)
	@$(PYTHON) -m venv $(VENV_DEMO) || { echo "No virtual environment can be made; run: sudo apt-get install python3-venv"; exit 1; }
	@echo "installing into $(VENV_DEMO): prednet-edge with numpy, onnxruntime, av, opencv, paho-mqtt, matplotlib, scipy, iotcore (about 700 MB)"
	@$(VENV_DEMO)/bin/python $(PIP) -e '.[demo]'
	@touch $@

$(VENV_TEST)/.ready: pyproject.toml
	@$(call need_python,test)
	@$(PYTHON) -m venv $(VENV_TEST) || { echo "No virtual environment can be made; run: sudo apt-get install python3-venv"; exit 1; }
	@echo "installing into $(VENV_TEST): PyTorch ($(TORCH)) for the tests of training"
	@$(VENV_TEST)/bin/python $(PIP) $(TORCH)
	@echo "installing into $(VENV_TEST): prednet-edge with its run-time, workstation and test dependencies"
	@$(VENV_TEST)/bin/python $(PIP) -e '.[test]'
	@ln -sfn $(GI) "$$($(VENV_TEST)/bin/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')/gi"
	@touch $@

$(VENV_TEST)/.bench-ready: $(VENV_TEST)/.ready
	@echo "installing into $(VENV_TEST): OpenVINO, for its rows in benchmarks/step.py"
	@$(VENV_TEST)/bin/python $(PIP) -e '.[bench]'
	@touch $@

clean: ## remove the virtual environments and what the tools left behind
	rm -rf $(VENV_DEMO) $(VENV_TEST) demo-out build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
