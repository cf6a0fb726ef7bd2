//! Links the system's OpenBLAS, which `ndarray-linalg` needs and does not bring.

fn main() {
    println!("cargo:rustc-link-lib=dylib=openblas");
    println!("cargo:rerun-if-changed=build.rs");
}
