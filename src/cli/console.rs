//! What a person sees on the terminal: errors with place and hint, progress, nothing on stdout.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::Error;
use crate::pipeline::{Event, Observer};

/// Writes `text` and a line end to stdout; a reader that went away is not an error.
pub(super) fn print(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Writes `text` and a line end to stderr.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// One error as people read it: what, where, and what to do.
pub(super) fn describe(error: &Error) -> String {
    let mut text = String::from("error: ");
    if let Some(field) = error.field() {
        text.push('`');
        text.push_str(field);
        text.push_str("`: ");
    }
    text.push_str(error.message());
    if let Some(path) = error.path() {
        text.push_str("\n  --> ");
        text.push_str(&path.to_string_lossy());
        if let Some((line, column)) = error.position() {
            let _ = write!(text, ":{line}:{column}");
        }
    }
    if let Some(hint) = error.hint_text() {
        text.push_str("\n   = hint: ");
        text.push_str(hint);
    }
    text
}

/// Progress on stderr: a bar on a terminal, plain lines otherwise, nothing when quiet.
pub(super) enum Console {
    /// A live bar.
    Bar(ProgressBar),
    /// One line per session and warning.
    Lines,
    /// Nothing.
    Quiet,
}

impl Console {
    /// The console that fits stderr.
    pub(super) fn new(quiet: bool) -> Self {
        if quiet {
            return Self::Quiet;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines;
        }
        let bar = ProgressBar::no_length();
        let template = "{spinner} {prefix} {msg} {wide_bar} {human_pos}/{human_len} voxels \
                        {per_sec} ETA {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self::Bar(bar)
    }

    fn line(&self, text: &str) {
        match self {
            Self::Bar(bar) => bar.suspend(|| note(text)),
            Self::Lines => note(text),
            Self::Quiet => {}
        }
    }
}

impl Observer for Console {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::SessionStarted { name, number, of } => match self {
                Self::Bar(bar) => bar.set_prefix(format!("[{number}/{of}] {name}")),
                _ => self.line(&format!("[{number}/{of}] {name}")),
            },
            Event::SessionCached { name, number, of } => {
                self.line(&format!("[{number}/{of}] {name}: unchanged, kept"));
            }
            Event::SessionFailed { name, error } => {
                self.line(&format!("{name}: failed\n{}", describe(error)));
            }
            Event::StageStarted { name, n_voxels } => {
                if let Self::Bar(bar) = self {
                    bar.set_length(*n_voxels as u64);
                    bar.reset();
                    bar.set_message((*name).to_owned());
                }
            }
            Event::VoxelsDone(count) => {
                if let Self::Bar(bar) = self {
                    bar.inc(*count as u64);
                }
            }
            Event::Warning(text) => self.line(&format!("warning: {text}")),
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_place_and_hint_on_lines_of_their_own() {
        let error = Error::value("0.5 is not between 1 and 500")
            .at_field("fit[0].acquisition.echo_times_ms[0]")
            .at_path("pipelines/a.toml")
            .at_position(4, 9)
            .hint("looks like seconds; write ms");
        assert_eq!(
            describe(&error),
            "error: `fit[0].acquisition.echo_times_ms[0]`: 0.5 is not between 1 and 500\n  --> \
             pipelines/a.toml:4:9\n   = hint: looks like seconds; write ms"
        );
    }
}
