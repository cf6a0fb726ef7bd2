//! From dynamic signal to concentration and its area under the curve.
