//! Spin echoes of one train.

use super::{n_distinct, require_range};
use crate::error::{Error, Result};

/// The echo time of every volume.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiEcho {
    echo_times_s: Vec<f64>,
}

impl MultiEcho {
    /// Checks one echo time per volume, s.
    ///
    /// # Errors
    ///
    /// `Value` when an echo time is not in 0.1 ms–1 s (larger ones look like milliseconds), two
    /// volumes share one, or there are fewer than two.
    pub fn new(echo_times_s: Vec<f64>) -> Result<Self> {
        require_range("echo_times_s", &echo_times_s, 1e-4, 1.0).map_err(|error| {
            error.hint("echo times are in seconds here; a value above 1 looks like milliseconds")
        })?;
        if echo_times_s.len() < 2 || n_distinct(&echo_times_s) < echo_times_s.len() {
            return Err(Error::value(format!(
                "{echo_times_s:?} must be at least two different echo times"
            ))
            .at_field("echo_times_s"));
        }
        Ok(Self { echo_times_s })
    }

    /// One echo time per volume, s.
    pub fn echo_times_s(&self) -> &[f64] {
        &self.echo_times_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_refused_with_the_fix() {
        let error = MultiEcho::new(vec![10.0, 20.0]).unwrap_err();
        assert!(error.hint_text().unwrap().contains("milliseconds"));
        assert_eq!(error.field(), Some("echo_times_s[0]"));
    }

    #[test]
    fn echo_times_must_differ() {
        assert!(MultiEcho::new(vec![0.01, 0.02, 0.03]).is_ok());
        assert!(MultiEcho::new(vec![0.01, 0.01]).is_err());
        assert!(MultiEcho::new(vec![0.01]).is_err());
    }
}
