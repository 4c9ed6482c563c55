//! The `tcp` block, and the dialogue that it shares with `unix` and `websocket`.

use super::{Resolver, tls};
use crate::config::problem::{At, shorten};
use crate::config::raw::{RawStep, RawStepLabel, RawTcp};
use crate::config::tcp::{Expect, Step, TcpSettings};
use crate::config::{DnsServers, LabelSet};

pub(super) fn tcp(raw: RawTcp, at: &At<'_>, r: &mut Resolver<'_>) -> TcpSettings {
    let RawTcp { preferred_ip_protocol, ip_protocol_fallback, source_ip_address, tls, tls_config, query_response } =
        raw;
    let tls_first = tls.unwrap_or(false);
    let steps = steps(query_response, tls_first, &at.key("query_response"), r);
    let speaks_tls = tls_first || steps.iter().any(|step| step.starttls);
    TcpSettings {
        ip: r.ip(preferred_ip_protocol, ip_protocol_fallback, at),
        dns_servers: DnsServers::System,
        source_address: r.source_address(source_ip_address, at),
        tls: tls_first,
        tls_config: tls::tls_where(speaks_tls, "tls: true", tls_config, &at.key("tls_config"), r),
        steps,
        keep_excerpt: true,
    }
}

pub(super) fn steps(raw: Option<Vec<RawStep>>, tls: bool, at: &At<'_>, r: &mut Resolver<'_>) -> Vec<Step> {
    let mut encrypted = tls;
    let mut steps = Vec::new();
    for (index, raw) in raw.unwrap_or_default().into_iter().enumerate() {
        let at = at.index(index);
        let RawStep { expect, expect_bytes, send, starttls, labels } = raw;
        // An empty expression is one that matches every line.
        let expect_bytes = expect_bytes.map(|bytes| bytes.0).filter(|bytes| !bytes.is_empty());
        let send = send.map(|bytes| bytes.0).filter(|bytes| !bytes.is_empty());
        let starttls = starttls.unwrap_or(false);
        r.at_most_one(&at, &[("expect", expect.is_some()), ("expect_bytes", expect_bytes.is_some())]);
        if expect.is_none() && expect_bytes.is_none() && send.is_none() && !starttls {
            r.warn(&at, "does nothing; give it expect, expect_bytes, send or starttls: true");
        }
        if starttls {
            if encrypted {
                r.problems.add_fault(&at.key("starttls"), "the connection is TLS already when this step begins");
            }
            encrypted = true;
        }
        let labels = step_labels(labels, &at.key("labels"), r);
        if !labels.is_empty() && expect.is_none() && expect_bytes.is_none() {
            r.warn(&at.key("labels"), "needs expect; labels are made from what was received");
        }
        let expect = match (expect, expect_bytes) {
            (Some(text), _) => r.pattern(&text, &at.key("expect")).map(Expect::Line),
            (None, bytes) => bytes.map(Expect::Bytes),
        };
        steps.push(Step { expect, send, starttls, labels });
    }
    steps
}

const MAX_LABELS: usize = 64;

fn step_labels(raw: Option<Vec<RawStepLabel>>, at: &At<'_>, r: &mut Resolver<'_>) -> Vec<(String, String)> {
    let mut labels: Vec<(String, String)> = Vec::new();
    for (index, RawStepLabel { name, value }) in raw.unwrap_or_default().into_iter().enumerate() {
        let at = at.index(index);
        let name = name.unwrap_or_default();
        if labels.len() == MAX_LABELS {
            r.problems.add_fault(&at, format!("is one label too many; a step has at most {MAX_LABELS}"));
            break;
        }
        if labels.iter().any(|(other, _)| *other == name) {
            r.problems
                .add_fault(&at.key("name"), format!("the label {:?} is given twice in this step", shorten(&name)));
        }
        labels.push((name, value.unwrap_or_default()));
        let (name, _) = &labels[labels.len() - 1];
        // What the target has already gets another name on `probe_expect_info`.
        if let Err(
            error @ (crate::config::value::LabelError::Name(_) | crate::config::value::LabelError::Internal(_)),
        ) = LabelSet::check_name(name)
        {
            r.problems.add_fault(&at.key("name"), error.to_string());
        }
    }
    labels
}
