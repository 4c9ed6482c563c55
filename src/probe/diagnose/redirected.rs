//! A failure behind a redirect: it is another host that failed, and the target's own answered.

use futures_util::future::join_all;
use url::Url;

use super::{ADDRESSES, Case, Found, answer, answered, failed, list, no_help, reason_and_sentence, success};
use crate::config::zoned::literal;
use crate::observation::{Attempt, Detail, Failure, Finding, Observation, Reason};
use crate::probe::address::destination;

/// Where the run had come to when it failed.
pub(super) struct Elsewhere {
    host: String,
    port: u16,
    redirects: usize,
    /// The target resolves names for a proxy no more than the proxy would have it.
    proxied: bool,
}

impl Elsewhere {
    /// `None` for a run that failed at the host and port that the target names; and for an answer by that host behind a
    /// redirect from http to https, which other addresses can be asked for too.
    pub(super) fn of(run: &Observation, failure: &Failure, host: &str, port: Option<u16>) -> Option<Self> {
        let Detail::Http(detail) = &run.detail else { return None };
        let url = Url::parse(detail.redirect_chain.last()?).ok()?;
        let there = url.host_str()?.to_owned();
        let port_there = url.port_or_known_default()?;
        let is_upgrade = port == Some(80) && port_there == 443 && !failure.reason.is_unanswered();
        if there.eq_ignore_ascii_case(host) && (Some(port_there) == port || is_upgrade) {
            return None;
        }
        let redirects = detail.redirect_chain.len();
        Some(Self { host: there, port: port_there, redirects, proxied: detail.proxy.is_some() })
    }

    fn described(&self) -> String {
        let Self { host, port, redirects, .. } = self;
        let what = if *redirects == 1 { "a redirect leads".to_owned() } else { format!("{redirects} redirects lead") };
        format!("{host}:{port}, where {what},")
    }
}

impl Case<'_> {
    /// What the host that failed says, which may have several addresses. The request itself is not repeated: it would
    /// have to be led there again.
    pub(super) async fn behind_redirect(
        &self,
        there: &Elsewhere,
        run: &Observation,
        failure: &Failure,
        attempts: &mut Vec<Attempt>,
    ) -> Option<Found> {
        let who = there.described();
        if failure.reason.is_name_resolution() {
            return self.without_name_there(there, failure, attempts).await;
        }
        if let Some(after) = answer::beginning(run, failure) {
            return Some((Finding::BreaksOff, answer::breaks_off(&who, &after, failure)));
        }
        if !failure.reason.is_unanswered() {
            return Some((answered(run, failure), format!("{who} answers, but: {}", failure.sentence)));
        }
        if there.proxied {
            return None;
        }
        let bare = there.host.trim_matches(['[', ']']);
        let mut addresses = match literal(bare) {
            Some(address) => vec![address],
            None => {
                let resolver = self.shared.resolvers.resolver(self.place.servers).ok()?;
                let found = resolver.resolve(bare, self.place.ip);
                tokio::time::timeout_at(self.deadline, found).await.ok()?.ok()?.addresses.into_vec()
            }
        };
        addresses.truncate(ADDRESSES);
        let tries = addresses.iter().map(|address| self.connect(destination(bare, *address, there.port)));
        let (mut open, mut shut, mut last) = (Vec::new(), Vec::new(), None);
        for (address, result) in addresses.iter().zip(join_all(tries).await) {
            let what = format!("TCP connection to {bare} at {address}, port {}", there.port);
            match result {
                Ok(()) => {
                    attempts.push(success(what, "connected".to_owned()));
                    open.push(*address);
                }
                Err(why) => {
                    attempts.push(failed(what, reason_and_sentence(&why)));
                    shut.push(*address);
                    last = Some(why);
                }
            }
        }
        let connecting =
            matches!(failure.reason, Reason::ConnectRefused | Reason::ConnectTimeout | Reason::ConnectUnreachable);
        Some(match (last, open.is_empty()) {
            (Some(why), true) => (no_help(why.reason), format!("{who} was tried at {}: {}", list(&shut), why.sentence)),
            (Some(why), false) if connecting => {
                let count = format!("{} of {} addresses of {who} fail", shut.len(), shut.len() + open.len());
                let which = format!("{} ({}) but not {}", list(&shut), why.reason.as_label(), list(&open));
                (Finding::SomeAddressesFail, format!("{count}: {which}"))
            }
            (_, _) => {
                let sentence = format!("{who} takes connections at {}, and yet: {}", list(&open), failure.sentence);
                (Finding::PortOpenNoAnswer, sentence)
            }
        })
    }

    async fn without_name_there(
        &self,
        there: &Elsewhere,
        failure: &Failure,
        attempts: &mut Vec<Attempt>,
    ) -> Option<Found> {
        let knows = self.ask_each_server(&there.host, attempts).await?;
        let sentence = format!("{} is known to name server {knows}, but: {}", there.described(), failure.sentence);
        Some((Finding::NameResolutionOnly, sentence))
    }
}
