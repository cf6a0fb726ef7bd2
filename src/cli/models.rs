//! `biomarker models`: what can be fitted.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::json;

use super::{Common, Outcome, console};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::measure::{self, Measure};

/// Options of `biomarker models`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Describe this model only.
    name: Option<String>,
}

/// Prints one line per model, or all about one.
pub(super) fn run(options: &Options, common: &Common) -> Outcome {
    let all = measure::all();
    let chosen: Vec<&Measure> = match &options.name {
        None => all.iter().collect(),
        Some(name) => {
            let found = all.iter().find(|measure| measure.name == name);
            vec![found.ok_or_else(|| vec![unknown(name)])?]
        }
    };
    if common.json {
        let list: Result<Vec<_>> = chosen.iter().map(|measure| as_json(measure)).collect();
        let list = list.map_err(|error| vec![error])?;
        console::print(&serde_json::Value::from(list).to_string());
    } else if options.name.is_some() {
        for measure in chosen {
            console::print(&describe(measure).map_err(|error| vec![error])?);
        }
    } else {
        for measure in chosen {
            console::print(&format!("{:<10} {}", measure.name, measure.summary));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("`{name}` is not a model"))
        .hint(format!("one of {}", measure::names().join(", ")))
}

fn describe(measure: &Measure) -> Result<String> {
    let mut text = format!(
        "{}\n{}\n\nequation   {}\nreference  {}\n\nparameters",
        measure.name, measure.summary, measure.equation, measure.reference
    );
    for parameter in &measure.parameters {
        let [low, high] = parameter.bounds;
        let _ = write!(
            text,
            "\n  {} [{}] from {low} to {high}, map suffix {}",
            parameter.name,
            parameter.unit.symbol(),
            parameter.suffix
        );
    }
    let estimators = measure::estimators(measure.name)?;
    if !estimators.is_empty() {
        let _ = write!(text, "\n\nestimators {}", estimators.join(", "));
    }
    Ok(text)
}

fn as_json(measure: &Measure) -> Result<serde_json::Value> {
    let parameters: Vec<_> = measure
        .parameters
        .iter()
        .map(|parameter| {
            json!({
                "name": parameter.name,
                "units": parameter.unit.symbol(),
                "bounds": parameter.bounds,
                "suffix": parameter.suffix,
            })
        })
        .collect();
    Ok(json!({
        "name": measure.name,
        "summary": measure.summary,
        "equation": measure.equation,
        "reference": measure.reference,
        "parameters": parameters,
        "estimators": measure::estimators(measure.name)?,
    }))
}
