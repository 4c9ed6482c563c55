//! What targets that fail at the same time have in common, and others do not.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// A fact that explains why several targets fail. One value, shared by all that it explains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SharedCause {
    pub kind: CauseKind,
    /// For people and as a label: short, without control characters.
    pub value: Box<str>,
    /// The earliest start of the outages that it explains.
    pub since: SystemTime,
    /// Targets with the fact that are down.
    pub failing: u32,
    /// Targets with the fact that are up.
    pub good: u32,
    /// Targets without the fact that are up.
    pub elsewhere: u32,
    /// Facts that would explain the outage as well, the narrowest first.
    pub tied: Box<[(CauseKind, Box<str>)]>,
    /// The first names of the targets that it explains, sorted.
    pub targets: Box<[Box<str>]>,
}

impl SharedCause {
    /// Names that are kept.
    pub const MOST_TARGETS: usize = 10;
    /// Tied facts that are kept.
    pub const MOST_TIED: usize = 4;

    /// One sentence, or two: `12 of the 12 targets on 192.0.2.0/24 fail, 48 elsewhere do not.`
    pub fn sentence(&self) -> String {
        let Self { failing, good, elsewhere, .. } = self;
        let all = u64::from(*failing) + u64::from(*good);
        let others = match elsewhere {
            0 => "no other is known to be up".to_owned(),
            1 => "1 elsewhere does not".to_owned(),
            _ => format!("{elsewhere} elsewhere do not"),
        };
        let fact = self.kind.phrase(&self.value);
        let mut sentence = format!("{failing} of the {all} targets {fact} fail, {others}.");
        if !self.tied.is_empty() {
            let tied: Vec<String> = self.tied.iter().map(|(kind, value)| format!("{} {value}", kind.words())).collect();
            sentence += &format!(" It could as well be what else they share: {}.", tied.join("; "));
        }
        sentence
    }
}

/// Declares the vocabulary once: variant, label, words, meaning.
macro_rules! kinds {
    ($($variant:ident $label:literal $words:literal $meaning:literal;)*) => {
        /// The closed vocabulary of facts, the narrowest first.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum CauseKind {
            $(#[doc = $meaning] #[serde(rename = $label)] $variant,)*
        }

        impl CauseKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Stable label value; dashboards and alerts depend on it.
            pub fn as_label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }

            /// As a sentence has it.
            pub fn words(self) -> &'static str {
                match self { $(Self::$variant => $words,)* }
            }

            /// What it is, one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

kinds! {
    Address "address" "address" "The address that was used.";
    CanonicalName "canonical_name" "name" "The name that was looked up, or one of those that it is an alias of (CNAME).";
    Certificate "certificate" "certificate" "The certificate of the peer, by subject and serial number.";
    Host "host" "final host" "The host that redirects led to.";
    Proxy "proxy" "proxy" "The proxy that was used.";
    NameServer "name_server" "name server" "A name server of the zone, where an answer told, or the server that a DNS target is.";
    Network "network" "network" "The network of the address: /24 of IPv4, /48 of IPv6.";
    Domain "domain" "domain" "The registrable domain of a name.";
    Label "label" "label" "A label that the config chose, as name=value.";
    Resolver "resolver" "resolver" "The name server that the exporter asked.";
    Issuer "issuer" "issuer" "The issuer of the certificate.";
    Port "port" "port" "The port.";
    Reason "reason" "reason" "The reason of the failure, where most of those fail that could fail so.";
}

impl CauseKind {
    /// After "the targets": `on 192.0.2.0/24`.
    fn phrase(self, value: &str) -> String {
        match self {
            Self::Address | Self::Network => format!("on {value}"),
            Self::CanonicalName | Self::Domain | Self::Host => format!("behind {value}"),
            Self::Proxy => format!("behind the proxy {value}"),
            Self::Certificate => format!("with the certificate {value}"),
            Self::Issuer => format!("with a certificate by {value}"),
            Self::NameServer => format!("with the name server {value}"),
            Self::Resolver => format!("that are looked up through {value}"),
            Self::Label => format!("with {value}"),
            Self::Port => format!("on port {value}"),
            Self::Reason => format!("that could fail by {value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(kind: CauseKind, value: &str) -> SharedCause {
        SharedCause {
            kind,
            value: value.into(),
            since: SystemTime::UNIX_EPOCH,
            failing: 12,
            good: 0,
            elsewhere: 48,
            tied: Box::default(),
            targets: Box::default(),
        }
    }

    #[test]
    fn the_sentence_says_how_many_of_how_many() {
        let network = cause(CauseKind::Network, "192.0.2.0/24");
        assert_eq!(network.sentence(), "12 of the 12 targets on 192.0.2.0/24 fail, 48 elsewhere do not.");
        let one = SharedCause { good: 1, elsewhere: 1, ..cause(CauseKind::Port, "25") };
        assert_eq!(one.sentence(), "12 of the 13 targets on port 25 fail, 1 elsewhere does not.");
        let tied = [(CauseKind::CanonicalName, "a.cdn.example".into()), (CauseKind::Label, "rack=7".into())];
        let tied = SharedCause { elsewhere: 0, tied: tied.into(), ..cause(CauseKind::Address, "192.0.2.1") };
        assert_eq!(
            tied.sentence(),
            "12 of the 12 targets on 192.0.2.1 fail, no other is known to be up. It could as well be what else they \
             share: name a.cdn.example; label rack=7."
        );
    }

    #[test]
    fn labels_are_unique_and_look_like_labels() {
        let mut seen = std::collections::BTreeSet::new();
        for kind in CauseKind::ALL {
            assert!(seen.insert(kind.as_label()));
            assert!(kind.as_label().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert!(kind.meaning().ends_with('.') && !kind.phrase("x").is_empty());
        }
        assert_eq!(seen.len(), 13);
    }
}
