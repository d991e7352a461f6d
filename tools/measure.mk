# Measurements: minutes, on a machine with nothing else to do.  No test is timed.
BENCH ?=

bench: $(READY)    ## downloads beside curl, aria2, wget2, rclone; BENCH="--corpora M --rounds 3"
	@$(PY) -m bench.downloads $(BENCH)

pipeline: $(DEV)    ## a run against what nobody could beat: on virtual time, and on sockets
	@$(PY) bench/makespan.py
	@$(PY) bench/pipeline.py

scale: $(READY)    ## what the bookkeeping of 1,000 to 1,000,000 videos costs (VIDEOS="1000 10000")
	@$(PY) bench/scale.py $(VIDEOS)

.PHONY: bench scale pipeline
