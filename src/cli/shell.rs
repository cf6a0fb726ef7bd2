//! `biomarker completions` and `biomarker man`: what shells and `man` know of the commands.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::CommandFactory;

use super::{Arguments, Outcome, console};
use crate::error::{Error, Result};
use crate::io::atomic;

/// Options of `biomarker completions`.
#[derive(Debug, clap::Args)]
pub(super) struct CompletionOptions {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Options of `biomarker man`.
#[derive(Debug, clap::Args)]
pub(super) struct ManOptions {
    /// Folder of the pages, one per command.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

/// Prints the completion script of a shell.
pub(super) fn completions(options: &CompletionOptions) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "biomarker", &mut script);
    console::print(String::from_utf8_lossy(&script).trim_end());
    ExitCode::SUCCESS
}

/// Writes the manual pages and prints their paths.
pub(super) fn man(options: &ManOptions) -> Outcome {
    pages(options).map_err(|error| vec![error])?;
    Ok(ExitCode::SUCCESS)
}

fn pages(options: &ManOptions) -> Result<()> {
    atomic::create_folder(&options.output)?;
    let mut program = Arguments::command();
    program.build();
    let mut commands = vec![program.clone()];
    commands.extend(program.get_subcommands().filter(|own| own.get_name() != "help").cloned());
    for command in commands {
        let page = clap_mangen::Man::new(command.clone());
        let mut text = Vec::new();
        page.render(&mut text).map_err(|error| Error::internal(error.to_string()))?;
        let path = options.output.join(page.get_filename());
        atomic::write(&path, &text)?;
        console::print(&path.to_string_lossy());
    }
    Ok(())
}
