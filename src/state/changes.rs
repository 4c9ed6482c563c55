//! What was otherwise before: addresses, certificate, redirect target, server. Half of all outages begin with one.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::observation::{Detail, Observation};

/// A fact of a target that should not change by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The addresses of the name: counted as changed when none of the old ones is left, because names behind which
    /// many servers stand show another few of them each time.
    Address,
    /// The certificate of the peer, by its fingerprint.
    Certificate,
    /// Where redirects end.
    Redirect,
    /// The `Server` header.
    Server,
}

impl What {
    pub const ALL: [Self; 4] = [Self::Address, Self::Certificate, Self::Redirect, Self::Server];

    /// Stable label value.
    pub fn as_label(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Certificate => "certificate",
            Self::Redirect => "redirect",
            Self::Server => "server",
        }
    }
}

/// A change that was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    pub what: What,
    /// Start of the first run that saw it so.
    pub time: SystemTime,
    pub before: Box<str>,
    pub after: Box<str>,
}

/// The last change of each fact; most targets have none. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Changes(Option<Arc<Vec<Changed>>>);

impl Changes {
    /// One of each fact at most, in their order.
    pub fn new(changes: Vec<Changed>) -> Self {
        Self((!changes.is_empty()).then(|| Arc::new(changes)))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Changed> {
        self.0.iter().flat_map(|changes| changes.iter())
    }

    /// Notes in what `run` differs from the latest run that saw the same fact: the last one, or the last good one.
    pub(super) fn note(&mut self, run: &Observation, last: Option<&Observation>, last_good: Option<&Observation>) {
        let mut changed = Vec::new();
        for what in What::ALL {
            let Some(after) = fact(what, run) else { continue };
            let Some(before) = [last, last_good].into_iter().flatten().find_map(|run| fact(what, run)) else {
                continue;
            };
            if after.differs_from(&before) {
                changed.push(Changed { what, time: run.started, before: before.text(), after: after.text() });
            }
        }
        if changed.is_empty() {
            return;
        }
        let kept = self.iter().filter(|old| changed.iter().all(|new| new.what != old.what));
        let mut all: Vec<Changed> = kept.cloned().collect();
        all.extend(changed);
        all.sort_by_key(|change| change.what);
        *self = Self::new(all);
    }
}

/// A fact as one run saw it.
#[derive(PartialEq)]
enum Fact<'a> {
    Addresses(&'a [IpAddr]),
    Text(&'a str),
}

impl Fact<'_> {
    fn differs_from(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Addresses(now), Self::Addresses(before)) => !now.iter().any(|address| before.contains(address)),
            (Self::Text(now), Self::Text(before)) => now != before,
            (Self::Addresses(_), Self::Text(_)) | (Self::Text(_), Self::Addresses(_)) => false,
        }
    }

    fn text(&self) -> Box<str> {
        match self {
            Self::Addresses(addresses) => {
                let sorted: BTreeSet<_> = addresses.iter().collect();
                sorted.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ").into()
            }
            Self::Text(text) => (*text).into(),
        }
    }
}

/// `None`: this run did not see it.
fn fact(what: What, run: &Observation) -> Option<Fact<'_>> {
    match what {
        What::Address => {
            let addresses = &run.resolution.as_ref()?.addresses;
            (!addresses.is_empty()).then_some(Fact::Addresses(addresses))
        }
        What::Certificate => Some(Fact::Text(&run.tls.as_ref()?.chain.certificates.first()?.fingerprint_sha256)),
        What::Redirect => {
            let Detail::Http(detail) = &run.detail else { return None };
            detail.status?;
            // A target that does not redirect any more has changed as well.
            Some(Fact::Text(detail.redirect_chain.last().map_or("", |url| &**url)))
        }
        What::Server => {
            let Detail::Http(detail) = &run.detail else { return None };
            let (_, value) = detail.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("server"))?;
            Some(Fact::Text(value))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::observation::{HttpDetail, Resolution};
    use crate::state::tests::up;

    fn run(second: u64, addresses: &[&str], server: Option<&str>, redirect: Option<&str>) -> Observation {
        let addresses: Box<[IpAddr]> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let detail = HttpDetail {
            status: Some(200),
            headers: server.map(|server| ("server".into(), server.into())).into_iter().collect(),
            redirect_chain: redirect.map(Into::into).into_iter().collect(),
            ..HttpDetail::default()
        };
        Observation {
            started: UNIX_EPOCH + Duration::from_secs(second),
            resolution: Some(Resolution {
                elapsed: Duration::ZERO,
                chosen: addresses.first().copied(),
                addresses,
                lookup: None,
            }),
            detail: Detail::Http(Box::new(detail)),
            ..up()
        }
    }

    fn noted(runs: &[Observation]) -> Vec<(What, u64, String)> {
        let mut changes = Changes::default();
        for (index, run) in runs.iter().enumerate() {
            changes.note(run, index.checked_sub(1).map(|last| &runs[last]), runs.first());
        }
        changes
            .iter()
            .map(|change| {
                let second = change.time.duration_since(UNIX_EPOCH).unwrap().as_secs();
                (change.what, second, format!("{} -> {}", change.before, change.after))
            })
            .collect()
    }

    #[test]
    fn the_last_change_of_each_fact_is_kept() {
        let changes = noted(&[
            run(0, &["192.0.2.1"], Some("a"), None),
            run(10, &["192.0.2.1"], Some("b"), Some("https://h/login")),
            run(20, &["192.0.2.9", "192.0.2.8"], Some("c"), Some("https://h/login")),
            run(30, &["192.0.2.9"], Some("c"), Some("https://h/login")),
        ]);
        assert_eq!(
            changes,
            [
                (What::Address, 20, "192.0.2.1 -> 192.0.2.8, 192.0.2.9".to_owned()),
                (What::Redirect, 10, " -> https://h/login".to_owned()),
                (What::Server, 20, "b -> c".to_owned()),
            ]
        );
    }

    #[test]
    fn a_name_that_shows_another_few_of_its_addresses_has_not_changed() {
        let changes = noted(&[
            run(0, &["192.0.2.1", "192.0.2.2"], None, None),
            run(10, &["192.0.2.2", "192.0.2.3"], None, None),
            run(20, &["192.0.2.3", "192.0.2.4"], None, None),
        ]);
        assert_eq!(changes, []);
    }

    #[test]
    fn a_run_that_saw_nothing_changes_nothing_and_hides_nothing() {
        let changes = noted(&[run(0, &["192.0.2.1"], Some("a"), None), up(), run(20, &["192.0.2.1"], Some("b"), None)]);
        assert_eq!(changes, [(What::Server, 20, "a -> b".to_owned())]);
    }
}
