//! What a regular expression costs on a page of 1 MiB in which it finds nothing, or finds it at the end.
//!
//! `cargo bench --bench patterns`. Beside it, in the same process, the crate's matcher on bytes with Unicode off, which
//! patterns ran on before they were matched on characters. docs/benchmarks.md has figures.

// A bench may panic, and measures the wall clock.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use uptime_exporter::config::{Pattern, Subject};

const MIB: usize = 1 << 20;
const ROUNDS: usize = 40;

/// As users write them.
const PATTERNS: &[&str] = &[
    "needle",
    "(?i)needle",
    "(?i)status: *ok",
    "(?i)healthy|kicked|success",
    r"\bneedle\b",
    r"[0-9]{3}-[0-9]{4}",
    r"\d+ days? left",
    r"\w+@\w+\.example",
    r"up.*needle",
    r"(?s)<body.*needle.*</html>",
    r"[^<>]{40}needle",
    r"^.{64}$",
    r#""status" *: *"[^"]*needle"#,
    r"needle$",
    r"\s{3}x",
    r"\p{Greek}",
    r"(error|warning|fatal): .*needle",
];

/// Whole lines, about 1 MiB of them.
fn page(line: &str, end: &str) -> String {
    line.repeat(MIB / line.len()) + end
}

/// The matcher that came before. Of its translation, `\s` without the vertical tab is all that these patterns need.
fn on_bytes(written: &str) -> regex::bytes::Regex {
    let pattern = written.replace(r"\s", r"[\t\n\f\r\x20]");
    let build = |unicode| regex::bytes::RegexBuilder::new(&pattern).unicode(unicode).build();
    build(false).or_else(|_| build(true)).unwrap()
}

/// The fastest of many rounds, in microseconds: other work on the machine only ever adds. Both in turn, so that it is the
/// same work.
fn fastest(now: &Pattern, before: &regex::bytes::Regex, page: &[u8], is_ascii: bool) -> [f64; 2] {
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        black_box(now.is_match_in(&Subject::known(black_box(page), is_ascii)));
        let between = Instant::now();
        black_box(before.is_match(black_box(page)));
        best = [best[0].min(between - begun), best[1].min(between.elapsed())];
    }
    best.map(|best| best.as_secs_f64() * 1e6)
}

fn main() {
    const ASCII: &str = "<p class=\"x\">All 17 systems are up; the quick brown fox (5551 times) jumps at 12:30.</p>\n";
    const MIXED: &str = "<p>Größe: 17 cm, Preis 3 €, Füße und Straßen; 日本語 steht auch da, nach 12:30.</p>\n";
    let ascii = page(ASCII, "").into_bytes();
    let ends_in_it = page(ASCII, "up needle").into_bytes();
    let mixed = page(MIXED, "");
    let latin1: Vec<u8> = mixed.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
    let mixed = mixed.into_bytes();
    println!("| pattern | ASCII: now, on bytes, ratio | found at the end | UTF-8 | Latin-1 |");
    println!("|---|---|---|---|---|");
    let mut highest: f64 = 0.0;
    for written in PATTERNS {
        let (now, before) = (Pattern::new(written).unwrap(), on_bytes(written));
        let cell = |page: &[u8]| {
            // The prober finds out as the page arrives.
            let [now, before] = fastest(&now, &before, page, page.is_ascii());
            (format!("{now:.0} us, {before:.0} us, {:.2}", now / before), now / before)
        };
        let (pure, ratio) = cell(&ascii);
        let (found, other) = cell(&ends_in_it);
        highest = highest.max(ratio).max(other);
        let written = written.replace('|', "\\|");
        println!("| `{written}` | {pure} | {found} | {} | {} |", cell(&mixed).0, cell(&latin1).0);
    }
    let look = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        black_box(black_box(&ascii).is_ascii());
        begun.elapsed()
    });
    println!("\nwhether a page of 1 MiB is ASCII, asked once a page as it arrives: {:?}", look.min().unwrap());
    println!("highest ratio on ASCII: {highest:.2}");
}
