//! `trace_context` of a block, and `global.trace_url`.

use http::HeaderMap;
use url::Position;

use super::Resolver;
use super::web_url::web_url;
use crate::config::masked::{mask_broken_address, names_a_secret};
use crate::config::problem::{At, shorten};
use crate::config::raw::{RawTraceContext, SwitchOr};
use crate::config::trace_context::{HEADER, TraceContext, TraceUrl};

const EXAMPLE: &str = "https://tempo.example/{trace_id}";

/// `headers` are those that the block sets by `key`, one of which may be the one that a trace is told by.
pub(super) fn trace_context(
    raw: Option<SwitchOr<RawTraceContext>>,
    headers: &HeaderMap,
    key: &str,
    at: &At<'_>,
    r: &mut Resolver<'_>,
) -> Option<TraceContext> {
    let SwitchOr(RawTraceContext { enabled, sampled }) = raw?;
    if enabled == Some(false) {
        return None;
    }
    if headers.contains_key(&HEADER) {
        let message = format!("conflicts with the traceparent header in {key}; remove one of the two");
        r.problems.add(&at.key("trace_context"), message);
    }
    Some(TraceContext { sampled: sampled.unwrap_or(true) })
}

pub(super) fn trace_url(raw: Option<String>, at: &At<'_>, r: &mut Resolver<'_>) -> Option<TraceUrl> {
    let text = raw.filter(|text| !text.is_empty())?;
    match parse(&text) {
        Ok(url) => Some(url),
        Err(message) => {
            r.problems.add(at, message);
            None
        }
    }
}

/// # Errors
/// A sentence without the password that the text may have.
fn parse(text: &str) -> Result<TraceUrl, String> {
    let shown = format!("{:?}", shorten(&mask_broken_address(text.trim())));
    if !text.contains(TraceUrl::PLACE) {
        return Err(format!(
            "{shown} lacks {}, where the id of the trace goes; write it like {EXAMPLE}",
            TraceUrl::PLACE
        ));
    }
    // Something that every part of a URL takes as it is.
    let mut place = "0af7651916cd43dd8448eb211c80319c".to_owned();
    while text.contains(&place) {
        place.push('0');
    }
    let url = web_url(&text.replace(TraceUrl::PLACE, &place), EXAMPLE)
        .map_err(|message| message.replace(&place, TraceUrl::PLACE))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{shown} is not an http or https URL; write it like {EXAMPLE}"));
    }
    if url.zone().is_some() {
        return Err(format!("{shown} has a zone, which no browser knows"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{shown} has credentials, and everybody who sees a page or an alert would see them"));
    }
    if url.url()[..Position::BeforePath].contains(&place) {
        return Err(format!(
            "{shown} has {} in its host; it goes into the path, the query or the fragment",
            TraceUrl::PLACE
        ));
    }
    if let Some((name, _)) = url.url().query_pairs().find(|(name, _)| names_a_secret(name)) {
        let name = shorten(&name);
        return Err(format!(
            "has the parameter {name:?}, which looks like a secret; everybody who sees an alert would see it"
        ));
    }
    Ok(TraceUrl::new(url.url().as_str(), &place))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_template_makes_links_that_any_page_can_hold() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap();
        for (text, link) in [
            ("https://tempo.example/{trace_id}", "https://tempo.example/4bf92f3577b34da6a3ce929d0e0e4736"),
            (" http://[::1]:16686/trace/{trace_id} ", "http://[::1]:16686/trace/4bf92f3577b34da6a3ce929d0e0e4736"),
            (
                "https://b\u{fc}cher.example/a b?id={trace_id}&x=\"<{trace_id}>\"#{trace_id}",
                "https://xn--bcher-kva.example/a%20b?id=4bf92f3577b34da6a3ce929d0e0e4736&x=%22%3C4bf92f3577b34da6a3ce929d0e0e4736%3E%22#4bf92f3577b34da6a3ce929d0e0e4736",
            ),
            (
                "https://g.example/0af7651916cd43dd8448eb211c80319c/{trace_id}",
                "https://g.example/0af7651916cd43dd8448eb211c80319c/4bf92f3577b34da6a3ce929d0e0e4736",
            ),
        ] {
            assert_eq!(parse(text).unwrap().of(id), link, "{text}");
        }
        assert_eq!(parse("http://a/{trace_id}?q").unwrap().to_string(), "http://a/{trace_id}?q");
    }

    proptest! {
        #[test]
        fn no_template_ends_in_a_link_that_is_no_url(text in "(https?://)?[a-z{}%@:/?#&=\"'<> .-]{0,40}(\\{trace_id\\})?.{0,10}") {
            let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap();
            if let Ok(template) = parse(&text) {
                let link = template.of(id);
                let url = url::Url::parse(&link).unwrap();
                prop_assert_eq!(url.as_str(), link.as_str());
                prop_assert!(matches!(url.scheme(), "http" | "https") && link.contains("4bf92f3577b34da6a3ce929d0e0e4736"));
                prop_assert!(!link.contains(['<', '>', '"', '\n', ' ']), "{}", link);
            }
        }
    }
}
