//! Who was measured: one row per participant, one column per session.

use crate::error::Result;
use crate::pipeline::group::text;
use crate::pipeline::plan::KneePlan;
use crate::report::{Cell, Level, Notice, Page, PageTable};
use crate::table::Table;

/// Adds the table of participants, and a notice for each session that is missing.
pub(super) fn add(plan: Option<&KneePlan>, runs: &Table, page: &mut Page) -> Result<()> {
    let sessions = sessions(plan, runs)?;
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut n_failed = 0;
    for row in 0..runs.n_rows() {
        let participant = text(runs, "participant_id", row)?;
        let session = text(runs, "session_id", row)?;
        let place = 1 + sessions.iter().position(|own| own == session).unwrap_or(0);
        let index = index_of(&mut rows, participant, sessions.len());
        rows[index][place] = if text(runs, "status", row)? == "done" {
            Cell::linked("done", address(participant, session))
        } else {
            n_failed += 1;
            let reason = text(runs, "reason", row)?;
            page.notices.push(Notice::of_page(
                Level::Failure,
                format!("{participant} {session} is missing: {reason}"),
            ));
            Cell::alarming(format!("{}: {reason}", text(runs, "status", row)?))
        };
    }
    let named = sessions.iter().map(|session| match session.as_str() {
        "" => "page".to_owned(),
        session => session.to_owned(),
    });
    page.tables.push(PageTable {
        title: "Participants".into(),
        caption: format!("{} sessions, {n_failed} of them failed.", runs.n_rows()),
        columns: ["participant".to_owned()].into_iter().chain(named).collect(),
        rows,
    });
    Ok(())
}

/// The row of a participant, which is added where there is none.
fn index_of(rows: &mut Vec<Vec<Cell>>, participant: &str, n_sessions: usize) -> usize {
    rows.iter().position(|own| own[0].text == participant).unwrap_or_else(|| {
        let mut row = vec![Cell::from("–"); 1 + n_sessions];
        row[0] = participant.into();
        rows.push(row);
        rows.len() - 1
    })
}

/// Relative address of the page of a session.
pub(super) fn address(participant: &str, session: &str) -> String {
    match session {
        "" => format!("{participant}.html"),
        session => format!("{participant}_{session}.html"),
    }
}

/// Sessions that occur; before stands before after.
fn sessions(plan: Option<&KneePlan>, runs: &Table) -> Result<Vec<String>> {
    let mut sessions: Vec<String> = Vec::new();
    for row in 0..runs.n_rows() {
        let session = text(runs, "session_id", row)?;
        if sessions.iter().all(|own| own != session) {
            sessions.push(session.to_owned());
        }
    }
    if let Some(knees) = plan {
        sessions.sort_by_key(|session| match session {
            own if *own == knees.before => 0,
            own if *own == knees.after => 1,
            _ => 2,
        });
    }
    Ok(sessions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::schemas::RUNS;

    fn runs(rows: &[[&str; 3]]) -> Table {
        let mut table = Table::new(&RUNS);
        for [participant, session, reason] in rows {
            let row = table
                .row()
                .text("participant_id", participant)
                .optional_text("session_id", Some(*session).filter(|own| !own.is_empty()))
                .text("status", if reason.is_empty() { "done" } else { "failed" })
                .optional_text("reason", Some(*reason).filter(|own| !own.is_empty()));
            row.integer("exit_code", 0)
                .text("version", "1")
                .text("plan_sha256", "0")
                .finish()
                .unwrap();
        }
        table
    }

    #[test]
    fn sessions_stand_side_by_side_before_first_and_failures_are_alarming() {
        let plan = KneePlan::of_sessions("ses-pre", "ses-post");
        let runs = runs(&[
            ["sub-01", "ses-post", ""],
            ["sub-01", "ses-pre", ""],
            ["sub-02", "ses-pre", "no mask"],
        ]);
        let mut page = Page::default();
        add(Some(&plan), &runs, &mut page).unwrap();
        let table = &page.tables[0];
        assert_eq!(table.columns, ["participant", "ses-pre", "ses-post"]);
        assert_eq!(table.rows[0][1], Cell::linked("done", "sub-01_ses-pre.html"));
        assert_eq!(table.rows[1][1], Cell::alarming("failed: no mask"));
        assert_eq!(table.rows[1][2], Cell::from("–"));
        assert_eq!(table.caption, "3 sessions, 1 of them failed.");
        assert_eq!(page.notices[0].level, Level::Failure);
        assert_eq!(page.notices[0].text, "sub-02 ses-pre is missing: no mask");
    }

    #[test]
    fn participants_without_sessions_have_one_page() {
        let mut page = Page::default();
        add(None, &runs(&[["sub-01", "", ""]]), &mut page).unwrap();
        assert_eq!(page.tables[0].columns, ["participant", "page"]);
        assert_eq!(page.tables[0].rows[0][1], Cell::linked("done", "sub-01.html"));
    }
}
