//! What no lint can hold: the layers, references, file sizes, pipelines and the README's commands.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use biomarker::pipeline::plan::Plan;

/// Rooms that may use only rooms of earlier lines; the drawing stands in ARCHITECTURE.md.
const LAYERS: &[&[&str]] = &[
    &["error", "unit", "random"],
    &["image", "acquisition", "solver", "statistics"],
    &["model", "noise", "registration"],
    &["fit", "perfusion"],
    &["uncertainty", "simulate"],
    &["quality", "habitat", "thickness"],
    &["cohort", "table"],
    &["io", "report"],
    &["pipeline"],
    &["cli", "main"],
];

const CODE_LINES_MAX: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn layer_of(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

/// Code of a file without comments and without its unit tests.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..end]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// First names behind every `crate::`, braces included.
fn rooms_used(code: &str) -> BTreeSet<String> {
    let name = |text: &str| -> String {
        text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let mut rooms = BTreeSet::new();
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut at_start = true;
            for (place, c) in list.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => at_start = true,
                    c if at_start && (c.is_alphabetic()) => {
                        rooms.insert(name(&list[place..]));
                        at_start = false;
                    }
                    _ => {}
                }
            }
        } else {
            rooms.insert(name(rest));
        }
    }
    rooms
}

/// Breaches of the layers in one file of `room`.
fn breaches(room: &str, file: &str, text: &str) -> Vec<String> {
    let Some(own) = layer_of(room) else {
        return vec![format!("{file}: room `{room}` stands in no layer")];
    };
    rooms_used(&code(text))
        .into_iter()
        .filter(|used| used != room)
        .filter(|used| layer_of(used).is_some_and(|layer| layer >= own))
        .map(|used| format!("{file}: `{room}` must not use `{used}`"))
        .collect()
}

#[test]
fn rooms_use_only_rooms_of_earlier_layers() {
    let source = root().join("src");
    let mut found = Vec::new();
    for path in files(&source, "rs") {
        let inside = path.strip_prefix(&source).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
        let room = first.trim_end_matches(".rs");
        if room != "lib" {
            let text = fs::read_to_string(&path).unwrap();
            found.extend(breaches(room, &format!("src/{}", inside.display()), &text));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_breach_is_found_in_every_spelling() {
    let expected = ["src/model/a.rs: `model` must not use `pipeline`"];
    for text in [
        "use crate::pipeline::Plan;",
        "use crate::{error::Error, pipeline::{plan::Plan, spec}};",
        "fn f() { crate::pipeline::run() }",
    ] {
        assert_eq!(breaches("model", "src/model/a.rs", text), expected, "{text}");
    }
    assert!(breaches("model", "a", "use crate::{error::Error, image};").is_empty());
    assert!(breaches("model", "a", "// use crate::pipeline;").is_empty());
    assert_eq!(breaches("fit", "a", "use crate::perfusion;").len(), 1, "same layer");
    assert_eq!(breaches("attic", "a", "").len(), 1);
}

#[test]
fn every_room_stands_in_the_drawing() {
    let drawing = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (layer, rooms) in LAYERS.iter().enumerate() {
        let line = format!("{layer}  {}", rooms.join(" · "));
        assert!(drawing.contains(&line), "ARCHITECTURE.md lacks the line `{line}`");
    }
}

#[test]
fn every_model_solver_and_noise_file_names_its_source() {
    for room in ["model", "solver", "noise"] {
        for path in files(&root().join("src").join(room), "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let other = ["mod.rs", "estimate.rs", "fit_block.rs", "tests.rs"];
            let is_method = !other.iter().any(|name| path.ends_with(name));
            assert!(
                !is_method || text.contains("# Reference"),
                "{} has no `# Reference`",
                path.display()
            );
        }
    }
}

#[test]
fn files_stay_small() {
    for path in files(&root().join("src"), "rs") {
        let text = fs::read_to_string(&path).unwrap();
        let lines = code(&text).lines().filter(|line| !line.trim().is_empty()).count();
        assert!(lines <= CODE_LINES_MAX, "{}: {lines} lines of code", path.display());
    }
}

#[test]
fn every_pipeline_checks() {
    let pipelines = files(&root().join("pipelines"), "toml");
    assert!(pipelines.len() >= 2);
    for path in pipelines {
        if let Err(errors) = Plan::read(&path, &[]) {
            let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert!(texts.is_empty(), "{}", texts.join("\n"));
        }
    }
}

#[test]
fn every_command_of_the_readme_exists() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let commands = biomarker::cli::command_names();
    let mut n_found = 0;
    for line in readme.lines().filter_map(|line| line.trim().strip_prefix("biomarker ")) {
        let command = line.split_whitespace().next().unwrap_or_default();
        assert!(commands.iter().any(|name| name == command), "unknown command in: {line}");
        n_found += 1;
    }
    assert!(n_found >= 4, "the README shows how to use the program");
}
