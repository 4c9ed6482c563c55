//! What one run of one probe saw, as plain values: no handles, no metric types.
//!
//! Probers make an [`Observation`]; `state` keeps some; `metrics` and the JSON API render it.
//! [`Reason`] is the closed vocabulary of failures. A fact that was not reached is `None`, never zero.

mod base64_text;
mod diagnosis;
mod dns;
mod edge;
mod grpc;
mod http;
mod icmp;
mod path;
mod phase;
mod shared_cause;
mod tcp;
mod trace;
mod websocket;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

pub use self::diagnosis::{Attempt, Diagnosis, Finding};
pub use self::dns::{DnsDetail, DnsReply};
pub use self::edge::Edge;
pub use self::grpc::{GrpcDetail, ServingStatus};
pub use self::http::{HttpDetail, HttpPhases};
pub use self::icmp::{IcmpDetail, RoundTrips};
pub use self::path::{Ending, GoodPath, Hop, Parting, Path, Protocol, Trace, Untraced, ordinal};
pub use self::phase::Phase;
pub use self::shared_cause::{CauseKind, SharedCause};
pub use self::tcp::{ExpectInfo, TcpDetail};
pub use self::trace::{TraceId, TraceIdError};
pub use self::websocket::WebsocketDetail;

/// What one run of one probe saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Wall clock at the start of the run.
    pub started: SystemTime,
    /// Time spent, on failure too: a slow failure and a fast one differ.
    pub elapsed: Duration,
    /// The time that the run was given.
    pub timeout: Duration,
    pub outcome: Outcome,
    /// Name resolution of the first hop. `None`: not tried (a proxy resolves, or the run failed before).
    pub resolution: Option<Resolution>,
    /// The last TLS handshake in which the peer showed its certificates, verified or not.
    pub tls: Option<TlsSession>,
    pub detail: Detail,
    /// Each address by itself, for a target that is probed at several; the fields above are then those of the address
    /// that decided the outcome.
    pub addresses: Box<[AddressRun]>,
}

impl Observation {
    /// What to look at first: what the evidence says, or else what the reason does. `None` for a run that did not fail.
    pub fn look_first(&self) -> Option<Cow<'static, str>> {
        let reason = self.outcome.failure()?.reason;
        if reason.is_of_answer()
            && let Detail::Http(detail) = &self.detail
        {
            if let Some(edge) = Edge::of(detail) {
                return Some(Cow::Owned(edge.look_first(detail)));
            }
            if edge::is_of_gateway(detail) {
                let text =
                    "The service behind the gateway: a gateway answers so when that one does not answer as it should.";
                return Some(Cow::Borrowed(text));
            }
        }
        Some(Cow::Borrowed(reason.look_first()))
    }

    /// A run that did not come to pass, and says nothing about the target.
    pub fn not_begun(timeout: Duration, sentence: impl Into<Box<str>>) -> Self {
        Self {
            started: SystemTime::now(),
            elapsed: Duration::ZERO,
            timeout,
            outcome: Outcome::Down(Failure::new(Reason::Internal, sentence)),
            resolution: None,
            tls: None,
            detail: Detail::None,
            addresses: Box::default(),
        }
    }

    /// The trace that the server was told of; `None` where no request was sent.
    pub fn trace_id(&self) -> Option<TraceId> {
        match &self.detail {
            Detail::Http(detail) => detail.trace_id,
            Detail::Grpc(detail) => detail.trace_id,
            Detail::Websocket(detail) => detail.trace_id,
            Detail::None | Detail::Tcp(_) | Detail::Dns(_) | Detail::Icmp(_) | Detail::Unix(_) => None,
        }
    }
}

/// One run at one of several addresses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddressRun {
    /// `None`: the address that a family lacks, of a target that wants both.
    pub address: Option<IpAddr>,
    pub elapsed: Duration,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Up,
    Down(Failure),
}

impl Outcome {
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Up => None,
            Self::Down(failure) => Some(failure),
        }
    }

    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up)
    }
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    pub reason: Reason,
    /// One sentence for people: what was expected, what was found. Never a label. Holds no secret.
    pub sentence: Box<str>,
}

impl Failure {
    pub fn new(reason: Reason, sentence: impl Into<Box<str>>) -> Self {
        Self { reason, sentence: sentence.into() }
    }
}

/// Declares the vocabulary once: variant, label, meaning, and what to look at first.
macro_rules! reasons {
    ($($variant:ident $label:literal $meaning:literal $look:literal;)*) => {
        /// The closed vocabulary of failures, graded by what an operator would do next.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Reason {
            $(#[doc = $meaning] #[serde(rename = $label)] $variant,)*
        }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Stable label value; dashboards and alerts depend on it.
            pub fn as_label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }

            /// What it means, one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// What to look at first, one sentence.
            pub fn look_first(self) -> &'static str {
                match self { $(Self::$variant => $look,)* }
            }
        }
    };
}

reasons! {
    DnsNxdomain "dns_nxdomain" "The name does not exist." "The record in the zone, and whether the domain has lapsed.";
    DnsServfail "dns_servfail" "The name server answered that it failed, or its answer could not be understood." "The zone's name servers and DNSSEC, then the resolver in between.";
    DnsRefused "dns_refused" "The name server refused to answer." "Whether the name server is meant to serve the exporter's network, and this zone; dns_servers.";
    DnsTimeout "dns_timeout" "No answer from the name server in time." "The resolver that the exporter uses, and the way to it.";
    DnsNoAddress "dns_no_address" "The name exists, but has no address of the wanted family." "A and AAAA records, and the target's preferred_ip_protocol and ip_protocol_fallback.";
    ConnectRefused "connect_refused" "The host answered that nothing listens on the port." "Whether the service runs, and on which port and address it listens.";
    ConnectTimeout "connect_timeout" "No answer to the connection attempt in time." "Firewalls and security groups, and whether the host is up.";
    ConnectUnreachable "connect_unreachable" "No route to the host or its network." "Routing, and whether the exporter has the address family at all.";
    ConnectReset "connect_reset" "The peer broke the connection off." "The service's log, load balancers and their idle limits.";
    TlsHandshake "tls_handshake" "The TLS handshake failed, other than by the certificate." "Protocol versions, ciphers, client certificates, or a plain-text service on the port.";
    TlsTimeout "tls_timeout" "Connected, but the TLS handshake did not finish in time." "An overloaded or stuck TLS terminator.";
    TlsExpired "tls_expired" "A certificate of the chain has expired." "The renewal job, and whether the service was reloaded after it.";
    TlsNotYetValid "tls_not_yet_valid" "A certificate of the chain is not valid yet." "Clocks, on the exporter too, and the certificate's start date.";
    TlsUntrusted "tls_untrusted" "The chain does not lead to a trusted root." "A missing intermediate certificate, a self-signed one, or the target's ca_file.";
    TlsNameMismatch "tls_name_mismatch" "The certificate is for another name." "The certificate's names, the virtual host, and where the name resolves to.";
    TlsRevoked "tls_revoked" "A certificate of the chain was revoked." "The certificate authority's notice; replace the certificate.";
    RequestTimeout "request_timeout" "The request was sent, but no answer began in time." "The application: its queue, its database, its threads.";
    ResponseTimeout "response_timeout" "The answer began, but did not end in time." "Slow generation of the answer, bandwidth, packet loss.";
    ResponseTruncated "response_truncated" "The connection ended in the middle of the answer." "The service's log, crashes, and proxies in between.";
    ProtocolError "protocol_error" "The answer is not what the protocol allows." "Whether the right service listens on this port.";
    HttpStatus "http_status" "The HTTP status is not one of the valid ones." "The application's log at that time.";
    HttpRedirect "http_redirect" "Redirects did not come to an end, or led to a bad address." "The redirect chain in the evidence.";
    HttpVersion "http_version" "The HTTP version is not one of the valid ones." "valid_http_versions, and the server's or load balancer's settings.";
    HeaderMismatch "header_mismatch" "A rule on the response headers failed." "The header in the evidence and the rule of the target.";
    BodyMismatch "body_mismatch" "A rule on the body failed." "The body excerpt in the evidence and the rule of the target.";
    BodyTooLarge "body_too_large" "The body is larger than its limit." "body_size_limit, and what is sent so large.";
    SslRequired "ssl_required" "The final answer came without TLS, which the target requires." "Redirects from https to http.";
    SslForbidden "ssl_forbidden" "The final answer came over TLS, which the target forbids." "Redirects from http to https.";
    DnsRcode "dns_rcode" "A DNS probe was answered with an rcode that is not valid." "The zone on that server.";
    DnsAnswerMismatch "dns_answer_mismatch" "A rule on the records of a DNS answer failed." "The records in the evidence and the rule of the target.";
    ExpectMismatch "expect_mismatch" "The peer did not say what the dialogue expects." "The transcript in the evidence and the rule of the target.";
    IcmpTimeout "icmp_timeout" "No echo reply in time." "Whether the host is up, and whether ICMP is filtered.";
    IcmpUnreachable "icmp_unreachable" "A router, or the exporter's own host, said that the packet cannot get there." "The sentence in the evidence, which names the router; routing, filters, and the MTU for dont_fragment.";
    GrpcStatus "grpc_status" "The gRPC call ended with a status other than OK." "The service's log; UNIMPLEMENTED means that it has no health service.";
    GrpcNotServing "grpc_not_serving" "The gRPC health service says that it is not serving." "The service's own health checks.";
    ProxyError "proxy_error" "The proxy could not be used or refused." "The proxy itself: its address, its credentials, its log.";
    TargetForbidden "target_forbidden" "The rules for /probe do not allow what the target's name or a redirect leads to; no scheduled run fails so." "probe_endpoint.allow in the config, and where the name or the redirect leads.";
    Vantage "vantage" "The exporter reached none of its anchors either, so it is most likely cut off; this says nothing about the target." "The exporter's own network, its uplink and its name servers.";
    Resolver "resolver" "Lookups of unrelated domains through the same name servers failed too; this says nothing about the target." "The name servers that the exporter asks, and the way to them; dns_servers.";
    Internal "internal" "The exporter itself could not run the probe; this says nothing about the target." "The exporter's log, a file that the module names, the limit of open files and the load.";
}

impl Reason {
    /// `None` for a text that is the label of none.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_label() == label)
    }

    /// True when the run says nothing about the target, so it must not count against it.
    pub fn is_inconclusive(self) -> bool {
        matches!(self, Self::Internal | Self::Vantage | Self::Resolver)
    }

    /// Whether the name of the target gave no address.
    pub fn is_name_resolution(self) -> bool {
        matches!(self, Self::DnsNxdomain | Self::DnsServfail | Self::DnsRefused | Self::DnsTimeout | Self::DnsNoAddress)
    }

    /// Whether verification refused the certificate.
    pub fn is_certificate(self) -> bool {
        matches!(
            self,
            Self::TlsExpired | Self::TlsNotYetValid | Self::TlsUntrusted | Self::TlsNameMismatch | Self::TlsRevoked
        )
    }

    /// Whether a whole HTTP answer came, and was not the wanted one.
    pub fn is_of_answer(self) -> bool {
        matches!(self, Self::HttpStatus | Self::HeaderMismatch | Self::BodyMismatch)
    }

    /// Whether no answer came that could be judged.
    pub fn is_unanswered(self) -> bool {
        matches!(
            self,
            Self::ConnectRefused
                | Self::ConnectTimeout
                | Self::ConnectUnreachable
                | Self::ConnectReset
                | Self::TlsTimeout
                | Self::RequestTimeout
                | Self::ResponseTimeout
                | Self::ResponseTruncated
                | Self::IcmpTimeout
                | Self::IcmpUnreachable
        )
    }

    /// Whether trouble of the exporter's own network could look like this. What only the target, or something near
    /// to it, can have said is not among them.
    pub fn may_be_ours(self) -> bool {
        match self {
            Self::DnsNxdomain
            | Self::DnsServfail
            | Self::DnsRefused
            | Self::DnsTimeout
            | Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::ConnectUnreachable
            | Self::ConnectReset
            | Self::TlsTimeout
            | Self::RequestTimeout
            | Self::ResponseTimeout
            | Self::ResponseTruncated
            | Self::IcmpTimeout
            | Self::IcmpUnreachable
            | Self::ProxyError
            | Self::Vantage
            | Self::Resolver
            | Self::Internal => true,
            Self::DnsNoAddress
            | Self::TlsHandshake
            | Self::TlsExpired
            | Self::TlsNotYetValid
            | Self::TlsUntrusted
            | Self::TlsNameMismatch
            | Self::TlsRevoked
            | Self::ProtocolError
            | Self::HttpStatus
            | Self::HttpRedirect
            | Self::HttpVersion
            | Self::HeaderMismatch
            | Self::BodyMismatch
            | Self::BodyTooLarge
            | Self::SslRequired
            | Self::SslForbidden
            | Self::DnsRcode
            | Self::DnsAnswerMismatch
            | Self::ExpectMismatch
            | Self::GrpcStatus
            | Self::GrpcNotServing
            | Self::TargetForbidden => false,
        }
    }
}

/// How the name of the target became an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resolution {
    /// Time of the lookup, on failure too. Zero for an address literal.
    pub elapsed: Duration,
    /// Every address found, in the order found.
    pub addresses: Box<[IpAddr]>,
    /// The one that was used. `None` when the lookup failed.
    pub chosen: Option<IpAddr>,
    /// `None` where no name server was asked, or none answered. A thin pointer: runs against addresses have none.
    #[serde(default)]
    pub lookup: Option<Box<Lookup>>,
}

/// What name servers said of a name besides its addresses. Names are lower-case, without the dot at the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lookup {
    /// The server whose answer, or whose failure, decided.
    pub server: Option<SocketAddr>,
    /// The names that the name is an alias of (CNAME), in their order.
    pub aliases: Box<[Box<str>]>,
    /// Name servers of the zone, where the answer names them.
    pub name_servers: Box<[Box<str>]>,
}

/// One TLS handshake, whether or not its certificates were accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TlsSession {
    /// As the incumbent spells it: `TLS 1.2`, `TLS 1.3`. `None` when the handshake ended before.
    pub version: Option<Cow<'static, str>>,
    /// IANA name, such as `TLS_AES_128_GCM_SHA256`.
    pub cipher: Option<Cow<'static, str>>,
    /// What the peer sent, leaf first.
    pub chain: Arc<Chain>,
    /// For each verified chain its earliest notAfter, then the latest of those, in Unix seconds.
    /// `None` when no chain was verified.
    pub last_chain_expiry: Option<i64>,
    /// Why verification refused the chain, one sentence.
    pub verify_error: Option<Box<str>>,
    /// With `insecure_skip_verify`: why verification would have refused what was accepted. A thin pointer, since every
    /// idle target has room for one and few have any.
    #[serde(default)]
    pub skipped_error: Option<Box<String>>,
}

/// Certificates that a peer sent, leaf first. Shared between runs that saw the same ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    pub certificates: Box<[Certificate]>,
    /// Earliest notAfter among them, Unix seconds. `None` for a chain with no readable certificate.
    pub earliest_expiry: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// RFC 2253-style, such as `CN=example.org,O=Example`.
    pub subject: Box<str>,
    pub issuer: Box<str>,
    /// DNS names of the subjectAltName, joined by commas.
    pub dns_names: Box<str>,
    /// Lower-case hex, bytewise.
    pub serial: Box<str>,
    /// SHA-256 of the DER, lower-case hex.
    pub fingerprint_sha256: Box<str>,
    /// Unix seconds.
    pub not_before: i64,
    /// Unix seconds.
    pub not_after: i64,
}

/// What the protocol showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Nothing: the run ended before the protocol was spoken, or a test made it.
    None,
    Http(Box<HttpDetail>),
    Tcp(Box<TcpDetail>),
    Dns(Box<DnsDetail>),
    Icmp(Box<IcmpDetail>),
    Grpc(Box<GrpcDetail>),
    /// The dialogue of the TCP prober over a Unix socket.
    Unix(Box<TcpDetail>),
    Websocket(Box<WebsocketDetail>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_look_at_first_goes_by_whose_answer_it_is() {
        let run = |reason, status, headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            let detail = HttpDetail { status: Some(status), headers, ..HttpDetail::default() };
            let run = Observation {
                outcome: Outcome::Down(Failure::new(reason, "")),
                detail: Detail::Http(Box::new(detail)),
                ..Observation::not_begun(Duration::ZERO, "")
            };
            run.look_first().unwrap_or_default().into_owned()
        };
        let log = Reason::HttpStatus.look_first();
        assert_eq!(run(Reason::HttpStatus, 500, &[("server", "nginx")]), log);
        assert!(run(Reason::HttpStatus, 522, &[("cf-ray", "8a")]).contains("Cloudflare answers, not the origin"));
        assert!(run(Reason::BodyMismatch, 200, &[("x-cdn", "Imperva")]).contains("Whether Imperva or the origin"));
        assert!(run(Reason::HttpStatus, 502, &[("server", "nginx")]).contains("behind the gateway"));
        assert_eq!(run(Reason::ResponseTimeout, 200, &[("cf-ray", "8a")]), Reason::ResponseTimeout.look_first());
        let up = Observation { outcome: Outcome::Up, ..Observation::not_begun(Duration::ZERO, "") };
        assert_eq!(up.look_first(), None);
    }

    #[test]
    fn labels_are_unique_and_look_like_labels() {
        let mut seen = std::collections::BTreeSet::new();
        for reason in Reason::ALL {
            let label = reason.as_label();
            assert!(seen.insert(label), "{label} twice");
            assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{label}");
        }
        assert_eq!(seen.len(), 40);
    }
}
