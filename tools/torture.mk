# Long proofs, beside `make test`: minutes to hours.
N ?= 200
IMAGES ?= 100
STRIDE ?= 1

crash: $(DEV)    ## a power cut at every change of the disk, IMAGES=n of what it may leave each
	@$(PY) -m tests.crash cut $(IMAGES) $(ONLY)

nth: $(DEV)    ## the n-th call of each port fails, n = 1, 2, ... until a run never comes to it
	@$(PY) -m tests.crash nth $(STRIDE) $(ONLY)

kill: $(DEV)    ## N real kills of the real program at random moments
	@$(PY) -m tests.crash kill $(N)

steps: $(DEV)    ## killed, stopped and cut at every single step, and the other slow tests of crashes
	@$(PY) -m pytest tests/crash -m slow

slow: $(DEV)    ## every other slow test
	@$(PY) -m pytest --ignore tests/crash -m slow

.PHONY: crash nth kill steps slow

SECONDS ?= 30
fuzz: $(GATES)    ## every parser of foreign bytes, SECONDS=n each, steered by coverage
	@$(PY) -m tests.fuzz $(SECONDS)

.PHONY: fuzz
