# Every job is in ./dev, which needs nothing but Python; this only lends it make's words.
.PHONY: setup demo test lint bench soak prove prove-fast
setup demo test lint bench soak prove:
	@./dev $@
prove-fast:
	@./dev prove fast
