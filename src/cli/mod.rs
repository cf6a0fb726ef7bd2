//! The program: one file per command, results on stdout, everything else on stderr.

mod check;
mod console;
mod inspect;
mod map;
mod models;
mod run;
mod shell;
mod simulate;
mod size;
mod thickness;
mod validate;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::error::{Error, ErrorKind};

/// Quantitative MRI to imaging biomarkers that carry their own uncertainty.
///
/// For research. Not a medical device.
#[derive(Debug, Parser)]
#[command(name = "biomarker", version, propagate_version = true)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, clap::Args)]
struct Common {
    /// Worker threads; all cores by default. Results do not depend on it.
    #[arg(long, global = true, env = "BIOMARKER_THREADS", value_name = "N")]
    threads: Option<usize>,
    /// No progress and no warnings.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Machine-readable result on stdout.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole pipeline: maps, tables and pages from a dataset.
    Run(run::Options),
    /// Check a pipeline and the header of every input; fit nothing.
    Check(check::Options),
    /// Fit one model to one series.
    Map(Box<map::Options>),
    /// Measure cartilage thickness of one label image.
    Thickness(thickness::Options),
    /// Say what a file or dataset is.
    Inspect(inspect::Options),
    /// List the models, or describe one.
    Models(models::Options),
    /// Make a digital reference dataset with known truth.
    Simulate(simulate::Options),
    /// Compare with public reference values on real data.
    Validate(validate::Options),
    /// Say whether the files of a run are still those it wrote.
    Verify(verify::Options),
    /// Print the completion script of a shell.
    Completions(shell::CompletionOptions),
    /// Write the manual pages.
    Man(shell::ManOptions),
}

/// How a command ended when it did not fail.
type Outcome = Result<ExitCode, Vec<Error>>;

/// Runs the program on the arguments it was started with.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            let code = if error.use_stderr() { ErrorKind::Usage.exit_code() } else { 0 };
            return ExitCode::from(code);
        }
    };
    if let Err(error) = set_threads(arguments.common.threads) {
        return fail(&[error]);
    }
    let common = &arguments.common;
    let outcome = match &arguments.command {
        Command::Run(options) => run::run(options, common),
        Command::Check(options) => check::run(options, common),
        Command::Map(options) => map::run(options, common),
        Command::Thickness(options) => thickness::run(options, common),
        Command::Inspect(options) => inspect::run(options, common),
        Command::Models(options) => models::run(options, common),
        Command::Simulate(options) => simulate::run(options, common),
        Command::Validate(options) => validate::run(options, common),
        Command::Verify(options) => verify::run(options, common),
        Command::Completions(options) => Ok(shell::completions(options)),
        Command::Man(options) => shell::man(options),
    };
    outcome.unwrap_or_else(|errors| fail(&errors))
}

/// Names of all commands, for the test that holds the README to them.
pub fn command_names() -> Vec<String> {
    Arguments::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

fn set_threads(threads: Option<usize>) -> Result<(), Error> {
    let Some(threads) = threads else { return Ok(()) };
    if !(1..=1024).contains(&threads) {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("`--threads {threads}` is not between 1 and 1024"),
        ));
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| Error::internal(error.to_string()))
}

fn fail(errors: &[Error]) -> ExitCode {
    for error in errors {
        console::note(&console::describe(error));
    }
    if errors.len() > 1 {
        console::note(&format!("{} errors", errors.len()));
    }
    ExitCode::from(errors.first().map_or(70, |error| error.kind().exit_code()))
}
