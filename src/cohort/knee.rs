//! One knee, before and after.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Which knee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Left knee.
    Left,
    /// Right knee.
    Right,
}

/// When it was scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Session {
    /// Before the exposure.
    Before,
    /// After it.
    After,
}

/// One endpoint of one knee at one session.
#[derive(Debug, Clone, PartialEq)]
pub struct KneeValue {
    /// Participant, such as `sub-01`.
    pub subject: String,
    /// Which knee.
    pub side: Side,
    /// Whether this knee was treated.
    pub treated: bool,
    /// When it was scanned.
    pub session: Session,
    /// Value of the endpoint, any unit; `None` where it could not be measured.
    pub value: Option<f64>,
}

/// One endpoint of one knee at both sessions.
#[derive(Debug, Clone, PartialEq)]
pub struct Knee {
    /// Participant.
    pub subject: String,
    /// Which knee.
    pub side: Side,
    /// Whether this knee was treated.
    pub treated: bool,
    /// Value before.
    pub before: Option<f64>,
    /// Value after.
    pub after: Option<f64>,
}

impl Knee {
    /// After − before; `None` where either is missing.
    pub fn change(&self) -> Option<f64> {
        Some(self.after? - self.before?)
    }
}

/// Brings the sessions of each knee together, knees by subject and side.
///
/// # Errors
///
/// `Value`: a session twice, or a value not finite; `Mismatch`: a knee treated at one session and
/// untreated at the other.
pub fn knees(values: &[KneeValue]) -> Result<Vec<Knee>> {
    let mut knees: BTreeMap<(&str, Side), Knee> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for row in values {
        let place = format!("{} {:?} {:?}", row.subject, row.side, row.session).to_lowercase();
        if !seen.insert((row.subject.as_str(), row.side, row.session)) {
            return Err(Error::value(format!("{place} is given twice")).at_field("knees"));
        }
        if let Some(value) = row.value.filter(|value| !value.is_finite()) {
            let message = format!("{place} has the value {value}, which is not finite");
            return Err(Error::value(message).at_field("knees"));
        }
        let knee = knees.entry((&row.subject, row.side)).or_insert_with(|| Knee {
            subject: row.subject.clone(),
            side: row.side,
            treated: row.treated,
            before: None,
            after: None,
        });
        if knee.treated != row.treated {
            return Err(Error::mismatch(format!("{place} disagrees on the treatment"))
                .at_field("knees")
                .hint("a knee is treated or untreated at both sessions"));
        }
        match row.session {
            Session::Before => knee.before = row.value,
            Session::After => knee.after = row.value,
        }
    }
    Ok(knees.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subject: &str, treated: bool, session: Session, value: f64) -> KneeValue {
        let (subject, side) = (subject.into(), Side::Left);
        KneeValue { subject, side, treated, session, value: Some(value) }
    }

    #[test]
    fn sessions_of_a_knee_come_together_in_any_order() {
        let rows = [
            row("sub-02", false, Session::After, 40.0),
            row("sub-01", true, Session::Before, 36.0),
            row("sub-02", false, Session::Before, 38.5),
        ];
        let paired = knees(&rows).unwrap();
        assert_eq!(paired[0].subject, "sub-01");
        assert_eq!((paired[0].change(), paired[1].change()), (None, Some(1.5)));
        assert!(knees(&[]).unwrap().is_empty());
    }

    #[test]
    fn rows_that_contradict_each_other_are_refused() {
        let twice = [row("a", true, Session::After, 1.0), row("a", true, Session::After, 1.0)];
        assert_eq!(knees(&twice).unwrap_err().to_string(), "`knees`: a left after is given twice");
        let mixed = [row("a", true, Session::After, 1.0), row("a", false, Session::Before, 1.0)];
        assert!(knees(&mixed).unwrap_err().hint_text().is_some());
        assert!(knees(&[row("a", true, Session::After, f64::NAN)]).is_err());
    }
}
