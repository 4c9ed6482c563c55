//! One target as a row: what there is to be known of it at a glance.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use maud::{Markup, html};

use super::runs::{sparkline, strip};
use crate::config::dns_numbers;
use crate::observation::{Detail, Observation};
use crate::server::html::show::{Shown, badge, explained, name, target as page_of, time};
use crate::server::standing::{Since, Standing};
use crate::server::text::{span, took};
use crate::state::{TargetSnapshot, Verdict};

/// From here the alert CertificateExpiring warns, and then is critical.
const ENDS_SOON: Duration = Duration::from_secs(14 * 86_400);
const ENDS_NOW: Duration = Duration::from_secs(3 * 86_400);

/// Longer texts are cut in a row; the page of the target has all of them.
const MOST_CHARACTERS: usize = 160;

/// A target, and what is worked out of it once for sorting, counting and drawing.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub target: &'a TargetSnapshot,
    pub standing: Standing,
}

impl<'a> Row<'a> {
    pub(super) fn new(target: &'a TargetSnapshot) -> Self {
        Self { target, standing: Standing::of(target) }
    }

    pub(super) fn name(&self) -> &'a str {
        self.target.target.name.as_str()
    }

    /// Of several chains that clients can build the last end; else that of the first certificate. Unix seconds.
    pub(super) fn certificate_end(&self) -> Option<i64> {
        let runs = [self.target.last.as_deref(), self.target.capsules.last_good.as_deref()];
        let session = runs.into_iter().flatten().find_map(|run| run.tls.as_ref())?;
        session.last_chain_expiry.or(session.chain.earliest_expiry)
    }

    /// Heads of the columns.
    pub(super) const COLUMNS: [&'static str; 7] =
        ["State", "Target", "Last runs", "Latency", "Status", "Certificate", "Last run"];

    pub(super) fn render(&self, taken: SystemTime) -> Markup {
        let target = self.target;
        let last = target.last.as_deref();
        html! {
            tr role="row" data-target=(Shown(self.name())) {
                td role="cell" { (badge(self.standing)) (self.since(taken)) }
                th role="rowheader" scope="row" { (self.identity()) }
                td role="cell" { (strip(target)) }
                td.n role="cell" { @if let Some(run) = last { (latency(target, run)) } }
                td.n role="cell" { @if let Some(status) = last.and_then(status) { (status) } }
                td.n role="cell" { @if let Some(end) = self.certificate_end() { (certificate(end, taken)) } }
                td.n role="cell" {
                    @match last {
                        Some(run) => { (span(taken.duration_since(run.started).unwrap_or_default())) " ago" }
                        None => { "never" }
                    }
                }
            }
        }
    }

    fn since(&self, taken: SystemTime) -> Markup {
        let window = target_window(self.target, taken).filter(|_| self.standing == Standing::Maintenance);
        let since = match self.standing {
            Standing::Failing => self.target.failing_since().map(|time| Since {
                time,
                length: taken.duration_since(time).unwrap_or_default(),
                at_least: false,
            }),
            Standing::Maintenance | Standing::Unknown => None,
            Standing::Down | Standing::Slow | Standing::Up => Since::of(self.target, taken),
        };
        html! {
            @if let Some(since) = since {
                small title=[crate::server::text::rfc3339(since.time).map(|time| format!("since {time}"))] {
                    @if since.at_least { "at least " } @else { "for " } (span(since.length))
                }
            }
            @if let Some(end) = window { small { "until " (time(end)) } }
            @if self.standing == Standing::Maintenance {
                small {
                    @match self.target.verdict {
                        Verdict::Up => "it is up",
                        Verdict::Down => "it is down",
                        Verdict::Unknown => "it is not known how it is",
                    }
                }
            }
        }
    }

    /// Name, where to, labels, and why it does not work.
    fn identity(&self) -> Markup {
        let target = &self.target.target;
        let labels: Vec<String> = target.labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        let failure = self.target.last.as_deref().and_then(|run| run.outcome.failure());
        html! {
            a href=(page_of("targets/", self.name())) { (shown_name(self.target)) }
            @if target.display_name.is_some() { " " small { (name(self.name())) } }
            small.block {
                bdi { (Shown(&cut(&target.address))) }
                @if !labels.is_empty() { " " bdi.labels { (Shown(&cut(&labels.join(" ")))) } }
            }
            @if let Some(failure) = failure {
                span.block { code { (failure.reason.as_label()) } ": " (Shown(&cut(&failure.sentence))) }
            }
            @if let Some(parent) = &self.target.explained { small.block { (explained(parent, "targets/")) } }
        }
    }
}

/// What customers call it, or the name.
pub(super) fn shown_name(target: &TargetSnapshot) -> Markup {
    let known = target.target.display_name.as_deref().unwrap_or(target.target.name.as_str());
    html! { bdi { (Shown(&cut(known))) } }
}

/// When the window ends that is on.
pub(super) fn target_window(target: &TargetSnapshot, taken: SystemTime) -> Option<SystemTime> {
    target.target.maintenance.current(taken).map(|current| current.end.into())
}

fn latency(target: &TargetSnapshot, run: &Observation) -> Markup {
    let slow = target.target.slow_threshold.filter(|slow| run.outcome.failure().is_none() && run.elapsed > *slow);
    html! {
        (sparkline(target)) " " (took(run.elapsed))
        @if let Some(slow) = slow { " " span.badge.slow { "slow" } small.block { "more than " (took(slow)) } }
    }
}

/// What the answer was, in a word of its protocol.
fn status(run: &Observation) -> Option<Cow<'static, str>> {
    match &run.detail {
        Detail::Http(detail) => detail.status.map(|status| status.to_string().into()),
        Detail::Websocket(detail) => detail.status.map(|status| status.to_string().into()),
        Detail::Grpc(detail) => detail
            .serving
            .map(|serving| serving.as_str().into())
            .or_else(|| detail.status.map(|status| format!("code {status}").into())),
        Detail::Dns(detail) => {
            detail.reply.as_ref().map(|reply| dns_numbers::name(dns_numbers::RCODES, "RCODE", reply.rcode).into())
        }
        Detail::Icmp(detail) => Some(format!("{} of {}", detail.packets_received, detail.packets_sent).into()),
        Detail::Tcp(_) | Detail::Unix(_) | Detail::None => None,
    }
}

fn certificate(end: i64, taken: SystemTime) -> Markup {
    let Ok(end) = jiff::Timestamp::from_second(end).map(SystemTime::from) else { return html! {} };
    let day = |time| crate::server::text::rfc3339(time).map(|text| format!("ends {}", &text[..10]));
    match end.duration_since(taken) {
        Err(passed) => html! { span.badge.down title=[day(end)] { "ended " (span(passed.duration())) " ago" } },
        Ok(left) if left < ENDS_NOW => html! { span.badge.down title=[day(end)] { (span(left)) " left" } },
        Ok(left) if left < ENDS_SOON => html! { span.badge.slow title=[day(end)] { (days(left)) " left" } },
        Ok(left) => html! { span title=[day(end)] { (days(left)) } },
    }
}

fn days(left: Duration) -> String {
    format!("{} d", left.as_secs() / 86_400)
}

/// Cut in the middle of nothing: at a character.
pub(super) fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MOST_CHARACTERS) {
        None => text.into(),
        Some((at, _)) => format!("{}\u{2026}", &text[..at]).into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::metrics::fixture::{complete, varied};
    use crate::state::Snapshot;

    fn row_of(snapshot: &Snapshot, name: &str) -> String {
        let target = snapshot.targets.iter().find(|target| target.target.name.as_str() == name).unwrap();
        Row::new(target).render(snapshot.taken).into_string()
    }

    #[test]
    fn a_row_has_what_there_is_to_be_known_at_a_glance() {
        let snapshot = varied();
        for (name, parts) in [
            (
                "expired",
                &[
                    "badge down",
                    "for 1 min 1 s</small>",
                    "href=\"targets/expired\"",
                    "<code>tls_expired</code>: the certificate CN=shop.example.com expired",
                    "region:eu-west",
                    "30 d</span>",
                    "3 s ago",
                ][..],
            ),
            ("gone", &["explained by <a href=\"targets/expired\">", "dns_nxdomain"]),
            ("new", &["badge unknown", ">never</td>"]),
            ("mail", &["badge maintenance", "it is up", "<bdi>E-mail</bdi></a> <small><bdi>mail</bdi>"]),
            ("shop", &["badge up", "123 ms", ">200</td>", "title=\"ends 2026-02-02\""]),
        ] {
            let row = row_of(&snapshot, name);
            for part in parts {
                assert!(row.contains(part), "{name}: {part}\n{row}");
            }
        }
    }

    #[test]
    fn the_answer_is_told_in_the_words_of_its_protocol() {
        for (name, status) in
            [("over-grpc", "SERVING"), ("over-dns", "NOERROR"), ("over-websocket", "101"), ("ping", "3 of 4")]
        {
            assert!(row_of(&complete(), name).contains(&format!(">{status}</td>")), "{name}");
        }
    }

    #[test]
    fn a_certificate_that_ends_soon_stands_out_and_says_when() {
        let taken = crate::metrics::fixture::now();
        let at = |seconds: i64| certificate(1_767_323_045 + seconds, taken).into_string();
        assert_eq!(at(20 * 86_400), "<span title=\"ends 2026-01-22\">20 d</span>");
        assert_eq!(at(13 * 86_400), "<span class=\"badge slow\" title=\"ends 2026-01-15\">13 d left</span>");
        assert_eq!(at(2 * 86_400), "<span class=\"badge down\" title=\"ends 2026-01-04\">2 d 0 h left</span>");
        assert_eq!(at(-7200), "<span class=\"badge down\" title=\"ends 2026-01-02\">ended 2 h 0 min ago</span>");
        assert_eq!(certificate(i64::MAX, taken).into_string(), "");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(cut("short"), "short");
        let long = "\u{e9}".repeat(MOST_CHARACTERS + 1);
        assert_eq!(cut(&long), format!("{}\u{2026}", "\u{e9}".repeat(MOST_CHARACTERS)));
    }
}
