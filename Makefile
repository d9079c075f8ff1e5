# Every target sets up what it needs and then calls one Python entry point.

port ?= 8000
rate ?= 50
seconds ?= 20
PYTHON ?= python3
python := .venv/bin/python
artifact := artifacts/default/manifest.json
# Only a build with PyTorch writes this file: the lessons and tests need all forms of the model.
all_forms := artifacts/default/weights.safetensors
catalogue := artifacts/catalogue/manifest.json

.DEFAULT_GOAL := help
.PHONY: help setup doctor lab serve serve-ray quiz task progress challenge grade grade-selftest check test test-faults bench bench-gpu load site slides timetable lessons translations \
	image run-image recording format lock audit sbom picture clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## set up the environment in .venv, or renew it (door=service, workshop or development)
	@$(PYTHON) learner/setup_environment.py $(door)

doctor: ## what this machine is, what will work here, what will not, and why
	@$(if $(lang),WORKSHOP_LANGUAGE=$(lang)) $(if $(wildcard $(python)),$(python),$(PYTHON)) -m learner.doctor

lab: $(all_forms) ## open the lessons in JupyterLab (lang=ja or id; port=9000; fresh=1: new copies, yours are kept)
	@exec $(python) -m notebooks.lab $(if $(lang),--lang $(lang)) \
		$(if $(filter command line,$(origin port)),--port $(port)) $(if $(fresh),--fresh)

serve: $(artifact) ## serve the model on 127.0.0.1:8000 (port=8123; console=1: with a page about itself at /console)
	@exec $(python) -m service.inference_service --port $(port) $(if $(console),--console)

serve-ray: $(artifact) ## serve on Ray, on this machine or a cluster; needs the extra `ray` (port=8123 address=HOST:6379)
	@exec $(python) -m service.scale.on_ray --port $(port) $(if $(address),--address $(address))

image: $(if $(gpu),$(all_forms),$(artifact)) ## build a container image of the service (gpu=1: for NVIDIA GPUs; bundle=1: of the model alone; base=IMAGE index=URL ca=FILE)
	@$(python) -m service.deploy image $(if $(gpu),--gpu) $(if $(bundle),--bundle) $(if $(base),--base $(base)) \
		$(if $(index),--index $(index)) $(if $(ca),--ca $(ca))

run-image: .service ## start the container image on 127.0.0.1:8000 (port=8123; gpu=1: with all GPUs)
	@exec $(python) -m service.deploy run --port $(port) $(if $(gpu),--gpu)

quiz: $(all_forms) ## ask the quiz, missed questions first (lang=ja lesson=3)
	@$(if $(lang),WORKSHOP_LANGUAGE=$(lang)) $(python) -m quizzes $(if $(lesson),--lesson $(lesson))

# A verdict of "not yet" is no error of make.
task: .workshop ## check what you wrote in my_work/service, or list the tasks (name=drain hint=1 solution=1 lang=ja)
	@$(if $(lang),WORKSHOP_LANGUAGE=$(lang)) $(python) -m challenges $(if $(name),task $(name) \
		$(if $(hint),--hint) $(if $(solution),--solution),tasks) || true

progress: .workshop ## what you have reached: quiz, tasks and challenge (lang=ja; class=FOLDER: a class)
	@$(if $(lang),WORKSHOP_LANGUAGE=$(lang)) $(python) -m quizzes progress $(if $(class),--class $(class),--all)

challenge: $(all_forms) ## the challenge: a service of your own for 1 GB at 50 requests a second (lang=ja)
	@$(python) -m challenges start $(if $(lang),--lang $(lang))

# A verdict of "not passed yet" (status 3) is no error of make.
grade: $(all_forms) $(if $(filter reference,$(path)),$(catalogue)) ## load your service and say why it fails (path=reference quick=1 lang=ja)
	@$(if $(lang),WORKSHOP_LANGUAGE=$(lang)) $(python) -m challenges grade \
		$(path) $(if $(quick),--quick) || [ $$? -eq 3 ]

grade-selftest: .development $(all_forms) $(catalogue) ## for developers, hours: plant faults; does the grader find each? (quick=1 only=NAME times=3)
	@$(python) -m tests.selftest $(if $(quick),--quick) $(if $(only),--only $(only)) \
		$(if $(times),--times $(times))

check: .development $(all_forms) ## check format, lint, types and the fast tests of what changed, within two minutes
	@$(python) authoring/run_checks.py --changed

test: .development $(all_forms) ## check format, lint and types, and run all tests
	@$(python) authoring/run_checks.py

test-faults: .development $(all_forms) ## hours: inject faults under load, into reports/faults/ (quick=1: minutes; only=soak)
	@$(python) -m tests.faults $(if $(quick),--quick) $(if $(only),--only $(only))

bench: .development $(all_forms) ## measure the service beside its peers, into reports/ (quick=1: roughly; peers="mosec litserve")
	@$(python) -m tests.performance.startup
	@$(python) -m tests.performance $(if $(quick),--quick) $(if $(peers),--only $(peers))

bench-gpu: .development ## measure ViT-L/16 on a GPU, beside its peers (options="--device cpu --architecture small-vit")
	@$(python) -m tests.performance.gpu $(options)

load: .workshop ## load a running service (port=8000 rate=50 seconds=20)
	@$(python) -m challenges.load --port $(port) --rate $(rate) --seconds $(seconds)

site: .workshop ## the lessons as web pages in three languages, into site/
	@$(python) -m authoring.publishing.site

slides: .workshop ## slides with speaker notes and timetables, into slides/ (lang=ja)
	@$(python) -m authoring.publishing.slides $(if $(lang),--lang $(lang))

timetable: .workshop ## what fits into 90 minutes, half a day, a day (lang=ja)
	@$(python) -m authoring.publishing.timetable $(if $(lang),--lang $(lang))

lessons: $(all_forms) ## for authors: run the lessons of all languages and store their outputs (only=03 lang=ja)
	@$(python) authoring/execute_lessons.py $(only) $(if $(lang),--lang $(lang))

translations: .development ## for translators: renew catalogues and generated lessons, say what is left (check=1: only check)
	@$(python) -m authoring.translations $(if $(check),--check)

recording: $(all_forms) ## for authors: record the run that the panel plays where no kernel is
	@$(python) -m notebooks.panel.record

format: .development ## format the code and mend what the linter can mend
	@$(python) -m ruff format . && $(python) -m ruff check --fix .

lock: .development ## renew requirements.lock from pyproject.toml
	@$(python) authoring/lock.py

audit: .development ## look for known vulnerabilities of the locked packages (needs the network)
	@$(python) -m authoring.supply_chain audit

sbom: .development ## write the bill of materials of the container's packages into reports/ (gpu=1: of that for GPUs)
	@$(python) -m authoring.supply_chain sbom $(if $(gpu),--gpu)

picture: $(all_forms) ## draw the picture of the README from the service's real answers
	@$(python) authoring/draw_predictions.py

clean: ## remove what was built and measured (the environment stays)
	rm -rf artifacts reports site slides .peers .mypy_cache .pytest_cache .ruff_cache

# The bundle is built again when what it was validated with changes.
inputs := $(addprefix service/, preprocessing.py model_definition.py) \
	$(wildcard service/artifact/*.py service/engines/*.py)
$(artifact): requirements.lock $(inputs) | .service
	@$(python) -m service.artifact build
$(all_forms): requirements.lock $(inputs) | .workshop
	@$(python) -m service.artifact build

# What a target needs of the environment; each is done in a moment when it is there.
.PHONY: .service .workshop .development
.service .workshop .development:
	@$(PYTHON) learner/setup_environment.py $(patsubst .%,%,$@)

# The 1 GB model of the challenge, made from a seed, and the reference's artifact of it.
$(catalogue): $(all_forms) $(wildcard challenges/catalogue/*.py)
	@$(python) -m challenges.catalogue
