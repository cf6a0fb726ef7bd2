//! Tumours in classes: the abstract's table, the dots, and the details.

use super::participants::address;
use super::{cell, count, mean_and_sd, page_unit, probability, table};
use crate::error::Result;
use crate::pipeline::group::{integer, real, text};
use crate::pipeline::pages::written;
use crate::pipeline::plan::TumourPlan;
use crate::report::{Cell, Dot, DotColumn, DotFigure, Figure, PageTable};
use crate::table::Table;

/// Prefix of columns, how people call it, and whether it is the method.
const WAYS: [(&str, &str, bool); 2] =
    [("method", "method", true), ("naive", "voxel by voxel", false)];

/// Rows of `classes` about one class alone, for one parameter.
struct Parameter {
    name: String,
    rows: Vec<usize>,
}

fn parameters(classes: &Table) -> Result<Vec<Parameter>> {
    let mut all: Vec<Parameter> = Vec::new();
    for row in 0..classes.n_rows() {
        if !text(classes, "versus_class", row)?.is_empty() {
            continue;
        }
        let name = text(classes, "parameter", row)?;
        match all.iter_mut().find(|own| own.name == name) {
            Some(own) => own.rows.push(row),
            None => all.push(Parameter { name: name.to_owned(), rows: vec![row] }),
        }
    }
    Ok(all)
}

/// One row per parameter and way, one column per class, as in an abstract.
pub(super) fn summary(plan: &TumourPlan, classes: &Table) -> Result<PageTable> {
    let parameters = parameters(classes)?;
    let mut columns = vec!["parameter".to_owned(), "unit".into(), "way".into()];
    if let Some(first) = parameters.first() {
        for &row in &first.rows {
            let n = count(classes, "naive_n", row)?;
            columns.push(format!("{} (n = {n})", text(classes, "class", row)?));
        }
    }
    let positive = plan.positive_class.as_deref().unwrap_or("–");
    columns.push("p".into());
    columns.push(format!("AUC {positive} [95 %]"));
    let mut rows = Vec::new();
    for parameter in &parameters {
        for (prefix, way, _) in WAYS {
            rows.push(summary_row(classes, parameter, [prefix, way])?);
        }
    }
    let caption = format!(
        "Mean of the tumours' means; in brackets the standard deviation between tumours in percent \
         of it. p: Kruskal–Wallis over all classes. AUC: {positive} against all other classes, \
         with its 95 % interval."
    );
    Ok(PageTable { title: "Classes".into(), caption, columns, rows })
}

fn summary_row(
    classes: &Table,
    parameter: &Parameter,
    [prefix, way]: [&str; 2],
) -> Result<Vec<Cell>> {
    let Some(&first) = parameter.rows.first() else { return Ok(Vec::new()) };
    let (factor, unit) = page_unit(text(classes, "units", first)?);
    let mut row = vec![written(&parameter.name).into(), unit.into(), way.into()];
    for &of_class in &parameter.rows {
        row.push(with_percent(classes, prefix, of_class, factor)?.into());
    }
    let p = probability(classes, &format!("{prefix}_p_kruskal_wallis"), first)?;
    row.push(p.into());
    let mut area = "–".to_owned();
    for &of_class in &parameter.rows {
        if real(classes, &format!("{prefix}_auc"), of_class)?.is_some() {
            area = with_interval(classes, &format!("{prefix}_auc"), of_class, 1.0)?;
        }
    }
    row.push(area.into());
    Ok(row)
}

/// `1.20 (37 %)`, with the number of tumours where some have no number by this way.
fn with_percent(table: &Table, prefix: &str, row: usize, factor: f64) -> Result<String> {
    let mean = cell(table, &format!("{prefix}_mean"), row, factor)?;
    let percent = real(table, &format!("{prefix}_percent"), row)?;
    let spread = percent.map_or_else(String::new, |percent| format!(" ({percent:.0} %)"));
    let n = integer(table, &format!("{prefix}_n"), row)?;
    let all = integer(table, "naive_n", row)?;
    let fewer = match n {
        Some(own) if n != all => format!(", n = {own}"),
        _ => String::new(),
    };
    Ok(format!("{mean}{spread}{fewer}"))
}

/// `0.875 [0.410 to 1.00]`.
fn with_interval(table: &Table, column: &str, row: usize, factor: f64) -> Result<String> {
    let value = cell(table, column, row, factor)?;
    let low = cell(table, &format!("{column}_ci95_low"), row, factor)?;
    let high = cell(table, &format!("{column}_ci95_high"), row, factor)?;
    Ok(if low == "–" { value } else { format!("{value} [{low} to {high}]") })
}

/// Interval, cut, and what the cut achieves, one row per class and way.
pub(super) fn details(classes: &Table) -> Result<PageTable> {
    let mut rows = Vec::new();
    for parameter in parameters(classes)? {
        for &row in &parameter.rows {
            for (prefix, way, _) in WAYS {
                rows.push(detail(classes, row, [prefix, way])?);
            }
        }
    }
    Ok(table(
        "Classes in detail",
        "95 % t interval of the mean over tumours. Cut of the greatest Youden index; sensitivity, \
         specificity and negative predictive value (NPV) leave one tumour out.",
        &[
            "parameter",
            "class",
            "way",
            "tumours",
            "mean",
            "95 % interval",
            "unit",
            "cut",
            "sensitivity",
            "specificity",
            "NPV",
        ],
        rows,
    ))
}

fn detail(classes: &Table, row: usize, [prefix, way]: [&str; 2]) -> Result<Vec<Cell>> {
    let (factor, unit) = page_unit(text(classes, "units", row)?);
    let of = |name: &str, factor: f64| cell(classes, &format!("{prefix}_{name}"), row, factor);
    let low = of("ci95_low", factor)?;
    let interval = match low.as_str() {
        "–" => low,
        low => format!("{low} to {}", of("ci95_high", factor)?),
    };
    Ok(vec![
        written(text(classes, "parameter", row)?).into(),
        text(classes, "class", row)?.into(),
        way.into(),
        count(classes, &format!("{prefix}_n"), row)?.into(),
        of("mean", factor)?.into(),
        interval.into(),
        unit.into(),
        of("cut", factor)?.into(),
        of("sensitivity", 1.0)?.into(),
        of("specificity", 1.0)?.into(),
        of("npv", 1.0)?.into(),
    ])
}

/// Tests of each pair of classes.
pub(super) fn pairs(classes: &Table) -> Result<PageTable> {
    let mut rows = Vec::new();
    for row in 0..classes.n_rows() {
        let versus = text(classes, "versus_class", row)?;
        if !versus.is_empty() {
            rows.push(vec![
                written(text(classes, "parameter", row)?).into(),
                format!("{} – {versus}", text(classes, "class", row)?).into(),
                probability(classes, "method_p_mann_whitney", row)?.into(),
                probability(classes, "method_p_holm", row)?.into(),
                probability(classes, "naive_p_mann_whitney", row)?.into(),
                probability(classes, "naive_p_holm", row)?.into(),
            ]);
        }
    }
    Ok(table(
        "Pairs of classes",
        "Exact Mann–Whitney tests of the tumours' means, and the same adjusted by Holm.",
        &["parameter", "classes", "p method", "Holm", "p voxel by voxel", "Holm"],
        rows,
    ))
}

/// One row per tumour and parameter.
pub(super) fn tumours(tumours: &Table) -> Result<PageTable> {
    let rows: Result<Vec<Vec<Cell>>> =
        (0..tumours.n_rows()).map(|row| tumour(tumours, row)).collect();
    Ok(table(
        "Tumours",
        "Mean ± standard deviation over the voxels of each tumour (in percent of the mean); \
         insufficient where the gate left too few voxels.",
        &[
            "participant",
            "class",
            "parameter",
            "method",
            "voxels",
            "voxel by voxel",
            "voxels",
            "unit",
            "kept",
        ],
        rows?,
    ))
}

fn tumour(tumours: &Table, row: usize) -> Result<Vec<Cell>> {
    let (factor, unit) = page_unit(text(tumours, "units", row)?);
    let spread = |prefix: &str| -> Result<String> {
        let spread = mean_and_sd(tumours, &format!("{prefix}_"), row, factor)?;
        let percent = real(tumours, &format!("{prefix}_uncertainty_percent"), row)?;
        Ok(percent.map_or_else(|| spread.clone(), |own| format!("{spread} ({own:.0} %)")))
    };
    let method = match text(tumours, "status", row)? {
        "reported" => spread("method")?.into(),
        status => Cell::alarming(status),
    };
    let participant = text(tumours, "participant_id", row)?;
    Ok(vec![
        Cell::linked(participant, address(participant, text(tumours, "session_id", row)?)),
        text(tumours, "class", row)?.into(),
        written(text(tumours, "parameter", row)?).into(),
        method,
        count(tumours, "method_n", row)?.into(),
        spread("naive")?.into(),
        count(tumours, "naive_n", row)?.into(),
        unit.into(),
        format!("{} %", cell(tumours, "kept_fraction", row, 100.0)?).into(),
    ])
}

/// One figure per parameter: the tumours of each class by both ways.
pub(super) fn figures(classes: &Table, tumours: &Table) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for parameter in parameters(classes)? {
        let Some(&first) = parameter.rows.first() else { continue };
        let (factor, unit) = page_unit(text(classes, "units", first)?);
        let mut columns = Vec::new();
        for &row in &parameter.rows {
            for (prefix, way, is_filled) in WAYS {
                let class = text(classes, "class", row)?;
                let mean = real(classes, &format!("{prefix}_mean"), row)?;
                let sd = real(classes, &format!("{prefix}_sd_between"), row)?;
                let bar = mean.zip(sd).map(|(mean, sd)| [mean - sd, mean + sd]);
                columns.push(DotColumn {
                    group: class.to_owned(),
                    way: way.to_owned(),
                    is_filled,
                    dots: dots(tumours, [&parameter.name, class, prefix], factor)?,
                    mean: mean.map(|mean| mean * factor),
                    interval: bar.map(|ends| ends.map(|end| end * factor)),
                });
            }
        }
        let name = written(&parameter.name);
        figures.push(Figure::Dots(DotFigure {
            title: format!("{name} by class"),
            axis: format!("{name} [{unit}]"),
            caption: "One dot per tumour; mean and standard deviation between tumours.".into(),
            columns,
        }));
    }
    Ok(figures)
}

fn dots(tumours: &Table, [parameter, class, prefix]: [&str; 3], factor: f64) -> Result<Vec<Dot>> {
    let mut dots = Vec::new();
    for row in 0..tumours.n_rows() {
        let is_of =
            text(tumours, "parameter", row)? == parameter && text(tumours, "class", row)? == class;
        let value = real(tumours, &format!("{prefix}_mean"), row)?;
        if let Some(value) = value.filter(|_| is_of) {
            let name = text(tumours, "participant_id", row)?.to_owned();
            dots.push(Dot { name, value: value * factor });
        }
    }
    Ok(dots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::schemas::{CLASSES, TUMOURS};

    fn class_rows() -> Table {
        let mut table = Table::new(&CLASSES);
        for (class, mean, percent, auc) in
            [("GN", 1.21e-3, 38.0, None), ("NB", 0.54e-3, 20.0, Some(0.875))]
        {
            let row = table
                .row()
                .text("class", class)
                .text("parameter", "adc")
                .text("units", "mm^2/s")
                .integer("naive_n", 5_usize)
                .integer("method_n", 4_usize)
                .real("method_mean", mean)
                .real("method_sd_between", mean * percent / 100.0)
                .real("method_percent", percent);
            row.real("method_p_kruskal_wallis", 0.02)
                .optional_real("method_auc", auc)
                .finish()
                .unwrap();
        }
        table
    }

    fn tumour_rows() -> Table {
        let mut table = Table::new(&TUMOURS);
        for (participant, class, mean) in [("sub-01", "GN", Some(1.2e-3)), ("sub-02", "NB", None)] {
            let row = table
                .row()
                .text("participant_id", participant)
                .text("region", "tumour")
                .text("class", class)
                .text("parameter", "adc")
                .text("units", "mm^2/s")
                .text("status", if mean.is_some() { "reported" } else { "insufficient" })
                .integer("n_region", 100_usize)
                .integer("naive_n", 90_usize);
            row.optional_real("method_mean", mean).finish().unwrap();
        }
        table
    }

    fn texts(row: &[Cell]) -> Vec<&str> {
        row.iter().map(|cell| cell.text.as_str()).collect()
    }

    #[test]
    fn the_summary_reads_like_an_abstract() {
        let plan = TumourPlan {
            class_column: "class".into(),
            classes: vec![],
            positive_class: Some("NB".into()),
        };
        let table = summary(&plan, &class_rows()).unwrap();
        assert_eq!(table.columns[3..], ["GN (n = 5)", "NB (n = 5)", "p", "AUC NB [95 %]"]);
        assert_eq!(
            texts(&table.rows[0]),
            [
                "ADC",
                "10⁻³ mm²/s",
                "method",
                "1.21 (38 %), n = 4",
                "0.540 (20 %), n = 4",
                "0.0200",
                "0.875"
            ]
        );
        assert_eq!(
            texts(&table.rows[1])[3..],
            ["–", "–", "–", "–"],
            "no naive number, no invention"
        );
    }

    #[test]
    fn dots_are_in_the_unit_of_the_page_and_only_of_their_class() {
        let figures = figures(&class_rows(), &tumour_rows()).unwrap();
        let Figure::Dots(figure) = &figures[0] else { panic!("{figures:?}") };
        assert_eq!(figure.axis, "ADC [10⁻³ mm²/s]");
        let [method_gn, naive_gn, method_nb, _] = &figure.columns[..] else { panic!() };
        assert_eq!((method_gn.dots.len(), naive_gn.dots.len(), method_nb.dots.len()), (1, 0, 0));
        assert!((method_gn.dots[0].value - 1.2).abs() < 1e-12);
        let [low, high] = method_gn.interval.unwrap();
        assert!((low - 0.7502).abs() < 1e-9 && (high - 1.6698).abs() < 1e-9);
    }

    #[test]
    fn a_tumour_without_a_number_is_red_and_leads_to_its_page() {
        let table = tumours(&tumour_rows()).unwrap();
        assert_eq!(table.rows[1][3], Cell::alarming("insufficient"));
        assert_eq!(table.rows[1][0], Cell::linked("sub-02", "sub-02.html"));
        assert_eq!(table.rows[0][3].text, "1.20 ± –");
    }
}
