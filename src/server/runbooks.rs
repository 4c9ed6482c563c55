//! The runbooks of `docs/runbooks`, in the binary: an alert links to them when little else may work.

macro_rules! runbooks {
    ($($name:literal)*) => {
        /// Name and Markdown.
        pub(super) const RUNBOOKS: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../docs/runbooks/", $name, ".md"))),)*
        ];
    };
}

runbooks! {
    "README"
    "body_mismatch"
    "body_too_large"
    "connect_refused"
    "connect_reset"
    "connect_timeout"
    "connect_unreachable"
    "dns_answer_mismatch"
    "dns_no_address"
    "dns_nxdomain"
    "dns_rcode"
    "dns_refused"
    "dns_servfail"
    "dns_timeout"
    "error-budget-burn"
    "expect_mismatch"
    "exporter-not-probing"
    "exporter-not-reporting"
    "grpc_not_serving"
    "grpc_status"
    "header_mismatch"
    "http_redirect"
    "http_status"
    "http_version"
    "icmp_timeout"
    "icmp_unreachable"
    "internal"
    "prober-blind"
    "protocol_error"
    "proxy_error"
    "reload-failed"
    "request_timeout"
    "resolver"
    "response_timeout"
    "response_truncated"
    "shared-outage"
    "ssl_forbidden"
    "ssl_required"
    "target-intermittent"
    "target-list"
    "target-slow"
    "target_forbidden"
    "tls_expired"
    "tls_handshake"
    "tls_name_mismatch"
    "tls_not_yet_valid"
    "tls_revoked"
    "tls_timeout"
    "tls_untrusted"
    "vantage"
    "vantage-cut-off"
    "vantage-lost"
}

/// The runbook of a reason or of an alert.
pub(super) fn find(name: &str) -> Option<&'static str> {
    RUNBOOKS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::observation::Reason;

    #[test]
    fn every_reason_and_every_file_has_its_runbook() {
        for reason in Reason::ALL {
            assert!(find(reason.as_label()).is_some(), "{}", reason.as_label());
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/runbooks");
        for file in std::fs::read_dir(folder).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(find(name.trim_end_matches(".md")).is_some(), "{name} is not in the list above");
        }
    }
}
