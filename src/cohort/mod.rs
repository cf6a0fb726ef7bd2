//! Statistics over all subjects, from plain rows to plain rows.
//!
//! Tumours: each is one number with its spread, by the method and by the naive average of all its
//! voxels; classes are means over tumours. Knees: each is measured before and after, treated or not;
//! subjects, not knees, are the independent units. Voxels are never tested.

mod class;
mod knee;
mod paired;
mod power;
mod tumour;

pub use class::{ClassPair, ClassSummary, ClassTests, Contrast, class_summaries, class_tests};
pub use knee::{Knee, KneeValue, Session, Side, knees};
pub use paired::{Endpoint, Group, HeadlineTest, PairedRow, PairedSettings, paired_rows};
pub use power::{Design, Reached, reached};
pub use tumour::{Selection, Summary, Tumour};
