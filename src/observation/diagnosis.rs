//! What re-checks that vary one thing at a time found out about a failure.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// What was found out right after a failing run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// When the re-checks began.
    pub time: SystemTime,
    pub finding: Finding,
    /// One sentence for people, with the addresses and reasons.
    pub sentence: Box<str>,
    /// Each re-check that was made, in order.
    pub attempts: Box<[Attempt]>,
}

/// One re-check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// What was varied, such as `address 192.0.2.1` or `without certificate verification`.
    pub what: Box<str>,
    pub succeeded: bool,
    /// Reason and sentence of a failure; how it succeeded otherwise.
    pub result: Box<str>,
}

/// Declares the vocabulary once: variant, label, meaning.
macro_rules! findings {
    ($($variant:ident $label:literal $meaning:literal;)*) => {
        /// The closed vocabulary of findings, most telling first.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Finding {
            $(#[doc = $meaning] #[serde(rename = $label)] $variant,)*
        }

        impl Finding {
            /// Every finding, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Stable label value; dashboards and alerts depend on it.
            pub fn as_label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }

            /// What it means, one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

findings! {
    NameResolutionOnly "name_resolution_only" "Only the name does not resolve: the service answers at an address known from before, or another name server knows the name.";
    CertificateOnly "certificate_only" "Only the certificate is at fault: without verification the target is fine.";
    OneFamilyOnly "one_family_only" "Only one address family fails; over the other the target is fine.";
    SomeAddressesFail "some_addresses_fail" "Some addresses of the name fail, others are fine.";
    EdgeAnswers "edge_answers" "A CDN, firewall or load balancer in front answers by itself, not the origin.";
    AnswersWrongly "answers_wrongly" "Every address that was tried answers, but not as it should.";
    BreaksOff "breaks_off" "An answer begins, but breaks off or stops before its end.";
    PortOpenNoAnswer "port_open_no_answer" "The port takes connections, but no usable answer comes.";
    PortClosed "port_closed" "The host answers, but nothing listens on the port.";
    PathEnds "path_ends" "Nothing answers, and the way there ends at some hop: behind it there is silence.";
    PathUnreachable "path_unreachable" "Nothing answers, and a router, or the exporter's own host, says that it goes no further.";
    PathLoop "path_loop" "Nothing answers, and there is a routing loop on the way.";
    PathWhole "path_whole" "The host can be reached, but the service does not answer.";
    NothingAnswers "nothing_answers" "Nothing answers at any address that was tried.";
}
