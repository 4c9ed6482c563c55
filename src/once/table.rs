//! The results for people: a table that fits the terminal.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::{Result, State};
use crate::figures;
use crate::observation::{Detail, Outcome};

const HEADS: [&str; COLUMNS] = ["TARGET", "STATE", "STATUS", "LATENCY", "REASON"];
const COLUMNS: usize = REASON + 1;
/// Of the columns.
const TARGET: usize = 0;
const LATENCY: usize = 3;
const REASON: usize = 4;
/// Between two columns.
const GAP: u16 = 2;

/// A terminal that claims to be narrower gets this: below it no column has room for a word.
const LEAST_WIDTH: u16 = 40;
/// With less beside the rest, reasons stand below it.
const LEAST_FOR_REASONS: u16 = 40;
/// Without a width, longer names do not move the other rows.
const ALIGNED_NAMES: usize = 40;

/// Stands before a state until it is coloured. It takes no room, and [`figures::printable`] leaves none in other cells.
const MARK: char = '\u{2060}';

/// What is written on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sheet {
    /// Columns of characters; `None` for a file or a pipe, in which a row is a line, however long.
    pub(super) width: Option<u16>,
    pub(super) colour: Colour,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Off,
    On,
}

impl Sheet {
    /// As wide as `COLUMNS` says, or else the terminal is. Coloured if it is a terminal, unless NO_COLOR is set to anything
    /// (<https://no-color.org>).
    pub(super) fn for_stdout() -> Self {
        let stdout = std::io::stdout();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = if stdout.is_terminal() && !refused { Colour::On } else { Colour::Off };
        let told = std::env::var("COLUMNS").ok();
        let measured = terminal_size::terminal_size_of(&stdout).map(|(terminal_size::Width(width), _)| width);
        Self { width: width(told.as_deref(), measured), colour }
    }
}

/// What the user says goes before what the terminal says; nonsense and zero say nothing.
fn width(told: Option<&str>, measured: Option<u16>) -> Option<u16> {
    let told = told.and_then(|told| told.trim().parse::<u16>().ok());
    told.filter(|width| *width > 0).or(measured.filter(|width| *width > 0))
}

/// The table. What is down comes last, next to the prompt, however long the list is.
pub(super) fn text(results: &[Result], sheet: Sheet) -> String {
    let mut sorted: Vec<_> = results.iter().collect();
    sorted.sort_by(|a, b| (a.state(), &a.target.name).cmp(&(b.state(), &b.target.name)));
    let rows: Vec<_> = sorted.iter().map(|result| cells(result)).collect();
    let mut text = match sheet.width {
        Some(width) => fitted(&rows, width.max(LEAST_WIDTH)),
        None => lines(&rows),
    };
    for state in State::ALL {
        let word = state.as_str();
        let shown = match sheet.colour {
            Colour::Off => word.to_owned(),
            Colour::On => format!("\x1b[{}m{word}\x1b[0m", code(state)),
        };
        text = text.replace(&format!("{MARK}{word}"), &shown);
    }
    text.push_str(&summary(results));
    text
}

fn code(state: State) -> &'static str {
    match state {
        State::Up => "32",
        State::NotRun | State::Unknown => "33",
        State::Down => "31",
    }
}

/// Within `width`: names, for which are two fifths of it at most, and reasons are wrapped. Where reasons would have no room beside the rest, they stand below it.
fn fitted(rows: &[[String; COLUMNS]], width: u16) -> String {
    let mut table = table(width);
    table.set_header(HEADS).add_rows(rows);
    let mut widths = table.column_max_content_widths();
    // The three between are short: 26 columns at most, with their gaps.
    let between = widths[TARGET + 1..REASON].iter().sum::<u16>() + GAP * 3;
    widths[TARGET] = widths[TARGET].min(width / 5 * 2).min(width.saturating_sub(between));
    let room = width.saturating_sub(widths[TARGET] + between + GAP);
    let below = room < LEAST_FOR_REASONS && room < widths[REASON];
    widths[REASON] = room;
    for ((index, column), width) in table.column_iter_mut().enumerate().zip(widths) {
        let gap = if index == REASON { 0 } else { GAP };
        let constraint = if index == REASON && below {
            ColumnConstraint::Hidden
        } else {
            ColumnConstraint::Absolute(Width::Fixed(width.saturating_add(gap)))
        };
        column.set_padding((0, gap)).set_constraint(constraint);
        if index == LATENCY {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.trim_fmt();
    if below { with_reasons(&text, rows, width) } else { text + "\n" }
}

/// The reasons below the rows to which they belong: a row begins with the line that has its state.
fn with_reasons(text: &str, rows: &[[String; COLUMNS]], width: u16) -> String {
    let mut reasons = rows.iter().map(|row| &row[REASON]);
    let mut due: Option<&String> = None;
    let mut out = String::new();
    for line in text.lines().map(Some).chain([None]) {
        if line.is_none_or(|line| line.contains(MARK))
            && let Some(reason) = due.take()
        {
            let mut block = table(width);
            block.add_row([reason]);
            block.column_iter_mut().for_each(|column| {
                column.set_padding((GAP, 0));
            });
            out.push_str(&block.trim_fmt());
            out.push('\n');
        }
        let Some(line) = line else { break };
        if line.contains(MARK) {
            due = reasons.next().filter(|reason| !reason.is_empty());
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

fn table(width: u16) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table
}

/// A line a row.
fn lines(rows: &[[String; COLUMNS]]) -> String {
    let heads = HEADS.map(str::to_owned);
    let length = |cell: &str| cell.chars().filter(|c| *c != MARK).count();
    let mut widths = [0; COLUMNS];
    for row in [&heads].into_iter().chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(length(cell));
        }
    }
    widths[TARGET] = widths[TARGET].min(ALIGNED_NAMES);
    let mut text = String::new();
    for row in [&heads].into_iter().chain(rows) {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
            let pad = " ".repeat(width.saturating_sub(length(cell)));
            let (before, after) = if index == LATENCY { (&*pad, "") } else { ("", &*pad) };
            // Writing to a String cannot fail.
            let _ = write!(line, "{before}{cell}{after}{:gap$}", "", gap = usize::from(GAP));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn cells(result: &Result) -> [String; COLUMNS] {
    let name = figures::printable(result.target.name.as_str());
    let state = format!("{MARK}{}", result.state().as_str());
    let none = || "-".to_owned();
    let Some(run) = &result.observation else {
        return [name, state, none(), none(), "stopped before it was probed".to_owned()];
    };
    let reason = match &run.outcome {
        Outcome::Up => String::new(),
        Outcome::Down(failure) => {
            let by = result.explained_by.as_ref().map(|by| format!(", explained by {}", by.name)).unwrap_or_default();
            figures::printable(&format!("{}{by}: {}", failure.reason.as_label(), failure.sentence))
        }
    };
    let status = match &run.detail {
        Detail::Http(detail) => detail.status,
        Detail::Websocket(detail) => detail.status,
        Detail::Tcp(_) | Detail::Dns(_) | Detail::Icmp(_) | Detail::Grpc(_) | Detail::Unix(_) | Detail::None => None,
    };
    [name, state, status.map_or_else(none, |status| status.to_string()), figures::took(run.elapsed), reason]
}

fn summary(results: &[Result]) -> String {
    let count = |state| results.iter().filter(|result| result.state() == state).count();
    let mut parts = vec![format!("{} up", count(State::Up)), format!("{} down", count(State::Down))];
    for state in [State::Unknown, State::NotRun] {
        let n = count(state);
        if n > 0 {
            parts.push(format!("{n} {}", state.as_str()));
        }
    }
    let explained = results.iter().filter(|result| result.explained_by.is_some()).count();
    if explained > 0 {
        parts[1].push_str(&format!(" ({explained} explained)"));
    }
    let targets = if results.len() == 1 { "1 target".to_owned() } else { format!("{} targets", results.len()) };
    format!("\n{targets}: {}.\n", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_says_goes_before_what_the_terminal_says() {
        for (told, measured, expected) in [
            (None, None, None),
            (None, Some(80), Some(80)),
            (Some("120"), Some(80), Some(120)),
            (Some(" 120\n"), None, Some(120)),
            (Some("0"), Some(80), Some(80)),
            (Some("wide"), None, None),
            (Some("-1"), Some(80), Some(80)),
            (Some("70000"), None, None),
            (None, Some(0), None),
        ] {
            assert_eq!(width(told, measured), expected, "{told:?} {measured:?}");
        }
    }
}
