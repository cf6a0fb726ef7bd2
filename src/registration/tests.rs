//! Proofs of the search: gradients against an independent comparison, known movements found again,
//! hostile input.

mod free_form;
mod gradient;
mod motion;
mod phantom;
mod rigid;
