# One word per job; `make` alone lists them. Needs Python 3.11 or later with venv, and make.
# Everything is installed into .venv beside this file, nowhere else.

PYTHON ?= python3
VENV ?= .venv
# Weekly CI says PIP_OPTIONS=--upgrade: the newest versions that pyproject.toml allows.
PIP_OPTIONS ?= -c constraints.txt
# Test processes; 0 runs the tests in one process, which debuggers like.
JOBS ?= 2
# Weekly CI adds --hypothesis-profile=thorough: more examples, and new ones.
PYTEST_OPTIONS ?= -q
DEMO ?= demo

BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Where the marked tests lie: reading all the others takes as long as some of the groups.
PARITY_TESTS = tests/parity
PREFECT_TESTS = tests/flows tests/deployments tests/test_tutorial.py tests/test_operator_tours.py
# Tests of one file stay together; tests/conftest.py keeps those of the Prefect server together.
SPREAD = -n $(JOBS) --dist loadfile
TEST_GROUPS = check unit parity flows

# Without bytecode every test process would rewrite every test module's assertions again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL = help
.NOTPARALLEL:
.PHONY: help install demo test check lint types layers unit parity full flows coverage format docs \
  site pictures pages story htmx image image-test compose-check changes clean distclean

help: ## list the jobs
	@echo "make ..."
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.core ## calibrate a small made-up campaign, no network needed after the install
	$(BIN)/hstflow demo $(DEMO)

install: $(VENV)/.test ## make .venv with the program, the tests' tools and the pinned versions

# Every group runs even after a failure, so that one run shows all there is to mend.
test: $(VENV)/.test ## all checks and tests, with the time of each group
	@status=0; summary=; \
	for group in $(TEST_GROUPS); do \
	  printf '\n== %s\n' "$$group"; start=$$(date +%s); \
	  if $(MAKE) --no-print-directory "$$group"; then result=passed; else result=FAILED; status=1; fi; \
	  line=$$(printf '%-10s %5d s  %s' "$$group" $$(($$(date +%s) - start)) "$$result"); \
	  summary="$$summary$$line@"; \
	done; \
	printf '\n== time of each group\n'; printf '%s' "$$summary" | tr '@' '\n'; exit $$status

check: $(VENV)/.test ## ruff, mypy and the layers, all of them even if one fails
	@$(MAKE) --no-print-directory -k lint types layers

lint: $(VENV)/.test ## ruff: rules and form
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/.test ## mypy, strict
	$(BIN)/mypy

layers: $(VENV)/.test ## who imports whom
	$(BIN)/lint-imports --no-logo

unit: $(VENV)/.test ## tests without a server and without golden products, but the slow ones
	$(BIN)/pytest $(PYTEST_OPTIONS) -m "not parity and not prefect and not slow" $(SPREAD)

parity: $(VENV)/.test ## our pixels beside those of the reference programs
	$(BIN)/pytest $(PYTEST_OPTIONS) -m "parity and not prefect and not full" $(SPREAD) $(PARITY_TESTS)

full: $(VENV)/.test ## what is too large or slow for `make test`: full-size frames, real programs, dying clusters
	$(BIN)/pytest $(PYTEST_OPTIONS) -m "full or slow" $(SPREAD)

flows: $(VENV)/.test ## tests that start a Prefect server, but the slow ones
	$(BIN)/pytest $(PYTEST_OPTIONS) -m "prefect and not slow" $(SPREAD) $(PREFECT_TESTS)

# The tracer doubles the time of the tests: CI measures after them, with few examples, since the
# same lines are reached. The flows run in processes of
# their own, which it does not see.
coverage: $(VENV)/.test ## lines and branches that unit and parity tests reach; not in `make test`
	@rm -f .coverage .coverage.*
	$(BIN)/pytest $(PYTEST_OPTIONS) -m "not prefect and not slow and not full" $(SPREAD) \
	  --hypothesis-profile=quick --cov

format: $(VENV)/.test ## put the code into the project's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.test ## check the pages: links, commands, exit codes
	$(BIN)/pytest $(PYTEST_OPTIONS) tests/test_docs.py

site: $(VENV)/.test ## build the pages as a site: docs/_build/html/index.html
	$(BIN)/python -m sphinx -b html -W --keep-going -q docs docs/_build/html

# The README's pictures: an HRC pair (raw, one exposure, both combined), a WFC split of three
# (raw, all combined), an SBC exposure. And a spectrum for docs/products.md.
ACS = $(DEMO)/archive/data/acs
# The page of a canary in docs/reprocessing.md. As root: BROWSER='chromium --no-sandbox'.
BROWSER ?= chromium
SKY = HSTFLOW_LEDGER=sqlite:///$(abspath $(DEMO))/sky.db HSTFLOW_WORK=$(abspath $(DEMO))/sky-work \
  PREFECT_HOME=$(abspath $(DEMO))/prefect CRDS_PATH=$(abspath $(DEMO))/observatory/crds \
  CRDS_SERVER_URL=https://hst-serverless.stsci.edu $(BIN)/hstflow
SKY_PLACES = file:$(DEMO)/observatory/raw file:$(DEMO)/sky
pictures: demo ## draw the pictures of README and pages anew; needs chromium (BROWSER)
	rm -f docs/pictures/*
	$(BIN)/hstflow preview $(ACS)/jsky05010/jsky05aaq_raw.fits \
	  $(ACS)/jsky05010/jsky05aaq_flt.fits $(ACS)/jsky05010/jsky05011_crj.fits \
	  $(ACS)/jsky11010/jsky11aaq_raw.fits $(ACS)/jsky11010/jsky11011_crj.fits \
	  $(ACS)/jsky12aaq/jsky12aaq_flt.fits --thumb 400 --output docs/pictures
	rm -f $(DEMO)/lsky01aaq_x1d.fits
	$(BIN)/python tests/pictured_spectrum.py $(DEMO)/lsky01aaq_x1d.fits
	$(BIN)/hstflow preview $(DEMO)/lsky01aaq_x1d.fits --output docs/pictures
	cd docs/pictures && rm -f *_raw.jpg *_flt.jpg *_crj.jpg *.json *_prev.fits *_x1d_thumb.png
	rm -rf $(DEMO)/sky*
	$(SKY) process jsky02aaq $(SKY_PLACES) --context hst_9001.pmap
	$(SKY) campaign plan july --old hst_9001.pmap --new hst_9002.pmap $(SKY_PLACES) \
	  --runner threads --workers 1
	$(SKY) campaign canary july
	$(BROWSER) --headless --hide-scrollbars --window-size=1000,1240 \
	  --screenshot=docs/pictures/canary.png \
	  file://$(abspath $(DEMO))/sky-work/reprocessings/july/differences/jsky02aaq.html
	$(BIN)/python -c 'import sys; from PIL import Image; \
	  [Image.open(name).convert("RGB").quantize(128).save(name, optimize=True) \
	  for name in sys.argv[1:]]' docs/pictures/canary.png docs/pictures/lsky01aaq_x1d.png

# jsky04aaq is the dataset that the demo breaks.
pages: demo $(VENV)/.test ## draw the pages of the dashboard for the docs; needs chromium
	$(BIN)/python tests/deployments/dashboard/pictures.py sqlite:///$(abspath $(DEMO))/ledger.db \
	  $(abspath $(DEMO))/work demo jsky04aaq docs/pictures

# Pictures of docs/operator-story.md: the story itself, played on a server of its own.
story: $(VENV)/.test ## play and draw the operator's story for the docs; needs chromium
	$(BIN)/python tests/deployments/dashboard/story.py docs/pictures

# htmx is no part of the sources. The checksum is in deployments/dashboard/htmx.py; without the file
# the pages of the dashboard are loaded anew every ten seconds.
htmx: $(VENV)/.core ## bring htmx from npm, for pages that change without a flicker
	$(BIN)/python -m deployments.dashboard.htmx

# HSTCAL=conda brings calacs.e, calwf3.e and cs0.e; EXTRAS are those of pyproject.toml.
IMAGE ?= hstflow
HSTCAL ?= none
EXTRAS ?= s3,postgres
# ENGINE=podman does as well: BUILDAH_FORMAT=docker keeps the health check. IMAGE_ARGS are more
# words for it, such as --build-arg PYTHON_IMAGE=... of a registry of your own.
ENGINE ?= docker
IMAGE_ARGS ?=
image: ## build the image (IMAGE, HSTCAL=none|conda, EXTRAS, ENGINE=docker|podman, IMAGE_ARGS)
	$(ENGINE) build $(IMAGE_ARGS) --tag $(IMAGE) \
	  --build-arg HSTCAL=$(HSTCAL) --build-arg EXTRAS=$(EXTRAS) \
	  --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) .

# As a user without a name, without a network, on a file system that nobody can write to.
image-test: ## calibrate the demo in the image, as any caller
	deployments/docker/try-image.sh $(IMAGE) $(ENGINE)

compose-check: ## let Docker read compose.yaml
	docker compose --file compose.yaml config --quiet

changes: $(VENV)/.test ## show what the next release will say
	$(BIN)/towncrier build --draft --version next

clean: ## remove what runs leave behind, keep .venv
	rm -rf docs/_build docs/reference build dist htmlcov .coverage .coverage.* coverage.xml demo
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -path "./$(VENV)*" -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## remove .venv as well
	rm -rf $(VENV) .venv-programs

# The stamps say what is installed; they are older than what they depend on after a change of it.
$(VENV)/.made:
	@command -v $(PYTHON) > /dev/null || { \
	  echo "hstflow needs Python 3.11 or later; there is no $(PYTHON)." \
	    "Say which one to use: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "hstflow needs Python 3.11 or later; $(PYTHON) is" \
	    "$$($(PYTHON) --version 2>&1). Say which one to use: make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "installing hstflow into $(VENV): about 130 packages, a minute or two"
	$(INSTALL) $(PIP_OPTIONS) -e .
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "installing hstflow and the tests' tools into $(VENV): about 190 packages, two minutes"
	$(INSTALL) $(PIP_OPTIONS) -e '.[test,docs]'
	$(BIN)/python -m pip check --disable-pip-version-check
	@touch $(VENV)/.core $@
