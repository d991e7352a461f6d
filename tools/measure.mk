# Measurements: minutes, on a machine with nothing else to do.  No test is timed.
BENCH ?=

bench: $(READY)    ## downloads beside curl, aria2, wget2, rclone; BENCH="--corpora M --rounds 3"
	@$(PY) -m bench.downloads $(BENCH)

.PHONY: bench
