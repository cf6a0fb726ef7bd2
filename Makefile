# What a user types. `make demo` and `make test` set up what is missing first.

.PHONY: demo test lint blas release bench peers

demo: blas
	cargo build
	cargo run --quiet -- run pipelines/neuroblastoma.toml
	cargo run --quiet -- run pipelines/cartilage.toml

test: blas
	cargo test

lint: blas
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet

# The optimised program, for large studies: ten minutes from nothing, polars most of it.
release: blas
	cargo build --release

# Kernels with their spread; `make bench BENCH=t2` for one group. A package of its own (see there).
bench: blas
	cp Cargo.lock benches/kernels/Cargo.lock
	CARGO_TARGET_DIR=$(CURDIR)/target cargo bench --manifest-path benches/kernels/Cargo.toml --bench kernels -- $(BENCH)

# Other programs and ours on the same files; writes reports/validation/performance.md.
PEERS_FOLDER ?= target/peers
peers: blas
	python3 benches/peers/run.py --folder $(PEERS_FOLDER)

# A BLAS without threads does not fight the program's own.
blas:
	@sh scripts/install_blas.sh
