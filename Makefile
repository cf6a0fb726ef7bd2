# What a user types. `make demo` and `make test` set up what is missing first.

.PHONY: demo test lint blas release

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

# A BLAS without threads does not fight the program's own.
blas:
	@sh scripts/install_blas.sh
