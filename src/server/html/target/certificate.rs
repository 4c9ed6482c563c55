//! When the certificate ends, said openly: half of the outages that nobody wanted begin so.

use std::time::SystemTime;

use maud::{Markup, html};

use super::stamp_of;
use crate::figures::span;
use crate::observation::TlsSession;
use crate::server::html::show::Shown;
use crate::state::TargetSnapshot;

const DAY: i64 = 86_400;
/// The bounds of the alert CertificateExpiring.
const SOON: i64 = 14 * DAY;
const VERY_SOON: i64 = 3 * DAY;

/// The end of what the peer shows, as the alerts count it.
pub(super) struct End<'a> {
    subject: &'a str,
    /// Unix seconds.
    end: i64,
    /// Until then; below zero when it is over.
    left: i64,
}

impl<'a> End<'a> {
    /// By the last run that saw a certificate. `None`: none did.
    pub(super) fn of(target: &'a TargetSnapshot, taken: SystemTime) -> Option<Self> {
        let capsules = &target.capsules;
        let runs = [&target.last, &capsules.latest_failure, &capsules.last_good];
        let session: &TlsSession =
            runs.into_iter().flatten().filter(|run| run.tls.is_some()).max_by_key(|run| run.started)?.tls.as_ref()?;
        let end = session.last_chain_expiry.or(session.chain.earliest_expiry)?;
        let now = jiff::Timestamp::try_from(taken).ok()?.as_second();
        let subject = session.chain.certificates.first().map_or("", |certificate| &*certificate.subject);
        Some(Self { subject, end, left: end.saturating_sub(now) })
    }

    /// `ends in 30 d 23 h`, `ended 2 d 1 h ago`.
    pub(super) fn words(&self) -> String {
        let length = span(std::time::Duration::from_secs(self.left.unsigned_abs()));
        if self.left > 0 { format!("ends in {length}") } else { format!("ended {length} ago") }
    }

    /// Whether it is worth a word in a summary.
    pub(super) fn nears(&self) -> bool {
        self.left < SOON
    }
}

pub(super) fn certificate(target: &TargetSnapshot, taken: SystemTime) -> Markup {
    let Some(end) = End::of(target, taken) else { return html! {} };
    let class = if end.left <= VERY_SOON {
        "down"
    } else if end.nears() {
        "slow"
    } else {
        ""
    };
    html! {
        p #certificate {
            "Certificate " @if !end.subject.is_empty() { small { (Shown(end.subject)) } " " }
            strong class=(class) { @if end.nears() { "! " } (end.words()) } ", " (stamp_of(end.end)) "."
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::metrics::fixture::varied;

    #[test]
    fn its_end_is_told_with_what_is_left_and_marked_when_it_nears() {
        let snapshot = varied();
        let target = snapshot.targets.iter().find(|target| target.target.name.as_str() == "shop").unwrap();
        let end = target.last.as_ref().unwrap().tls.as_ref().unwrap().last_chain_expiry.unwrap();
        for (left, words, class) in [
            (30 * DAY + 3601, "ends in 30 d 1 h", ""),
            (13 * DAY, "! ends in 13 d 0 h", "slow"),
            (2 * DAY, "! ends in 2 d 0 h", "down"),
            (60, "! ends in 1 min 0 s", "down"),
            (-3600, "! ended 1 h 0 min ago", "down"),
        ] {
            let taken = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(end - left).unwrap());
            let shown = certificate(target, taken).into_string();
            assert!(shown.contains(&format!("<strong class=\"{class}\">{words}</strong>, <time ")), "{shown}");
        }
    }

    #[test]
    fn the_newest_run_that_saw_one_counts_and_a_target_without_has_none() {
        let snapshot = varied();
        let mut target = snapshot.targets.iter().find(|target| target.target.name.as_str() == "shop").unwrap().clone();
        let mut renewed = (**target.last.as_ref().unwrap()).clone();
        renewed.started += Duration::from_secs(60);
        renewed.tls.as_mut().unwrap().last_chain_expiry = Some(2_000_000_000);
        target.capsules.latest_failure = Some(Arc::new(renewed));
        assert_eq!(End::of(&target, snapshot.taken).unwrap().end, 2_000_000_000);
        let new = snapshot.targets.iter().find(|target| target.target.name.as_str() == "new").unwrap();
        assert!(End::of(new, snapshot.taken).is_none());
    }
}
