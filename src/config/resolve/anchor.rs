//! `global.anchors`: addresses, from `host:port` to whole URLs, each as a probe that any answer satisfies.

use std::sync::Arc;

use super::services::Transport;
use super::{Resolver, address, http, tcp};
use crate::config::http::names_default_port;
use crate::config::problem::At;
use crate::config::raw::{RawHttp, RawTcp};
use crate::config::{Anchor, ProbeSpec};

const MOST: usize = 16;

pub(super) fn anchors(raw: Option<Vec<String>>, at: &At<'_>, r: &mut Resolver<'_>) -> Vec<Anchor> {
    let texts = raw.unwrap_or_default();
    if texts.len() > MOST {
        r.problems
            .add(at, format!("has {} anchors; two or three are enough, and at most {MOST} are allowed", texts.len()));
    }
    let mut anchors = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let at = at.index(index);
        let probe = if text.contains("://") {
            url(text, &at, r)
        } else {
            address::host_port(text, Transport::Tcp).map(|address| {
                let settings = Arc::new(tcp::tcp(RawTcp::default(), &at, r));
                ProbeSpec::Tcp { settings, address }
            })
        };
        match probe {
            Ok(probe) => anchors.push(Anchor { address: address::shown(text), probe }),
            Err(message) => r.problems.add(&at, message),
        }
    }
    anchors
}

/// Any response of a server will do: it shows that the way there is open.
fn url(text: &str, at: &At<'_>, r: &mut Resolver<'_>) -> Result<ProbeSpec, String> {
    let (url, _) = address::http_url(text)?;
    let raw = RawHttp {
        method: Some("HEAD".to_owned()),
        accept_any_response: Some(true),
        follow_redirects: Some(false),
        ..RawHttp::default()
    };
    let mut settings = http::http(raw, at, r);
    // The certificate is the anchor's own affair.
    settings.tls.insecure_skip_verify = true;
    settings.keep_excerpt = false;
    let names_port = names_default_port(text, url.url());
    Ok(ProbeSpec::Http { settings: Arc::new(settings), url, names_port })
}
