# Every target sets up what it needs and then calls one Python entry point.

port ?= 8000
rate ?= 50
seconds ?= 20
PYTHON ?= python3
python := .venv/bin/python
artifact := artifacts/default/manifest.json
catalogue := artifacts/catalogue/manifest.json

.DEFAULT_GOAL := help
.PHONY: help setup lab serve quiz task progress challenge grade grade-selftest check test bench bench-gpu load site slides timetable lessons translations \
	recording format lock picture clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## set up the environment in .venv (once; goes on where it was interrupted)
	@$(PYTHON) learner/setup_environment.py

lab: $(artifact) ## open the lessons in JupyterLab (lang=ja or id; port=9000; fresh=1: new copies, yours are kept)
	@exec $(python) -m notebooks.lab $(if $(lang),--lang $(lang)) \
		$(if $(filter command line,$(origin port)),--port $(port)) $(if $(fresh),--fresh)

serve: $(artifact) ## serve the model on 127.0.0.1:8000 (port=8123; console=1: with a page about itself at /console)
	@exec $(python) -m service.inference_service --port $(port) $(if $(console),--console)

quiz: $(artifact) ## ask the quiz, missed questions first (lang=ja lesson=3)
	@$(if $(lang),WORKSHOP_LANGUAGE=$(lang)) $(python) -m quizzes $(if $(lesson),--lesson $(lesson))

# A verdict of "not yet" is no error of make.
task: setup ## check what you wrote in my_work/service, or list the tasks (name=drain hint=1 solution=1 lang=ja)
	@$(if $(lang),WORKSHOP_LANGUAGE=$(lang)) $(python) -m challenges $(if $(name),task $(name) \
		$(if $(hint),--hint) $(if $(solution),--solution),tasks) || true

progress: setup ## what you have reached: quiz, tasks and challenge (lang=ja; class=FOLDER: a class)
	@$(if $(lang),WORKSHOP_LANGUAGE=$(lang)) $(python) -m quizzes progress $(if $(class),--class $(class),--all)

challenge: $(artifact) ## the challenge: a service of your own for 1 GB at 50 requests a second (lang=ja)
	@$(python) -m challenges start $(if $(lang),--lang $(lang))

# A verdict of "not passed yet" (status 3) is no error of make.
grade: $(artifact) $(if $(filter reference,$(path)),$(catalogue)) ## load your service and say why it fails (path=reference quick=1 lang=ja)
	@$(if $(lang),WORKSHOP_LANGUAGE=$(lang)) $(python) -m challenges grade \
		$(path) $(if $(quick),--quick) || [ $$? -eq 3 ]

grade-selftest: $(artifact) $(catalogue) ## for developers, hours: plant faults; does the grader find each? (quick=1 only=NAME times=3)
	@$(python) -m tests.selftest $(if $(quick),--quick) $(if $(only),--only $(only)) \
		$(if $(times),--times $(times))

check: $(artifact) ## check format, lint, types and the fast tests of what changed, within two minutes
	@$(python) authoring/run_checks.py --changed

test: $(artifact) ## check format, lint and types, and run all tests
	@$(python) authoring/run_checks.py

bench: $(artifact) ## measure the service beside its peers, into reports/ (quick=1: roughly; peers="mosec litserve")
	@$(python) -m tests.performance.startup
	@$(python) -m tests.performance $(if $(quick),--quick) $(if $(peers),--only $(peers))

bench-gpu: setup ## measure ViT-L/16 on a GPU, beside its peers (options="--device cpu --architecture small-vit")
	@$(python) -m tests.performance.gpu $(options)

load: $(artifact) ## load a running service (port=8000 rate=50 seconds=20)
	@$(python) -m challenges.load --port $(port) --rate $(rate) --seconds $(seconds)

site: $(artifact) ## the lessons as web pages in three languages, into site/ (stored=1: run nothing)
	@$(python) -m authoring.publishing.site $(if $(stored),--stored)

slides: $(artifact) ## slides with speaker notes and timetables, into slides/ (lang=ja)
	@$(python) -m authoring.publishing.slides $(if $(lang),--lang $(lang)) $(if $(stored),--stored)

timetable: setup ## what fits into 90 minutes, half a day, a day (lang=ja)
	@$(python) -m authoring.publishing.timetable $(if $(lang),--lang $(lang))

lessons: $(artifact) ## for authors: run the English lessons and store their outputs (only=03)
	@$(python) authoring/execute_lessons.py $(only)

translations: setup ## for translators: renew catalogues and generated lessons, say what is left (check=1: only check)
	@$(python) -m authoring.translations $(if $(check),--check)

recording: $(artifact) ## for authors: record the run that the panel plays where no kernel is
	@$(python) -m notebooks.panel.record

format: setup ## format the code and mend what the linter can mend
	@$(python) -m ruff format . && $(python) -m ruff check --fix .

lock: setup ## renew requirements.lock from pyproject.toml
	@$(python) authoring/lock.py

picture: $(artifact) ## draw the picture of the README from the service's real answers
	@$(python) authoring/draw_predictions.py

clean: ## remove what was built and measured (the environment stays)
	rm -rf artifacts reports site slides .peers .mypy_cache .pytest_cache .ruff_cache

# The bundle is built again when what it was validated with changes.
inputs := $(addprefix service/, preprocessing.py model_definition.py) \
	$(wildcard service/artifact/*.py service/engines/*.py)
$(artifact): requirements.lock $(inputs) | setup
	@$(python) -m service.artifact build

# The 1 GB model of the challenge, made from a seed, and the reference's artifact of it.
$(catalogue): $(artifact) $(wildcard challenges/catalogue/*.py)
	@$(python) -m challenges.catalogue
