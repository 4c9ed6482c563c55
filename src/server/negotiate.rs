//! Which format a client asks for (RFC 9110, 12.5.1): of the metrics page, and of pages that are HTML for browsers.
//!
//! OpenMetrics is for those who name it, as Prometheus does. Everyone else gets text: browsers and curl take anything, and
//! old tools that send `text/plain` with some version of their own can read 0.0.4 as a rule.

use http::HeaderMap;
use http::header::ACCEPT;

use crate::metrics::Format;

/// One media range of an Accept header that we can answer.
struct Offer {
    format: Format,
    quality: f32,
    /// It names the format, and not just anything.
    named: bool,
}

/// The format that is wanted most. Of those wanted equally, one that is named goes before a wildcard, and the first before
/// the later ones.
pub(super) fn format(headers: &HeaderMap) -> Format {
    let mut best: Option<Offer> = None;
    for value in headers.get_all(ACCEPT) {
        let Ok(value) = value.to_str() else { continue };
        for offer in split(value, ',').filter_map(offer) {
            let better = best.as_ref().is_none_or(|best| {
                offer.quality > best.quality || (offer.quality == best.quality && offer.named && !best.named)
            });
            if better {
                best = Some(offer);
            }
        }
    }
    best.map_or(Format::Text, |offer| offer.format)
}

/// Text for people, as it can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Html,
    Markdown,
    /// For those who name none of the others, such as curl: it is to be read as it is.
    Plain,
}

/// What is wanted most of those that are named, and of those wanted equally the first.
pub(super) fn text(headers: &HeaderMap) -> Text {
    let mut best: Option<(Text, f32)> = None;
    for value in headers.get_all(ACCEPT) {
        let Ok(value) = value.to_str() else { continue };
        for range in split(value, ',').filter_map(Range::new) {
            let is = |media: &str| range.media.eq_ignore_ascii_case(media);
            let text = if is("text/html") || is("application/xhtml+xml") {
                Text::Html
            } else if is("text/markdown") {
                Text::Markdown
            } else if is("text/plain") {
                Text::Plain
            } else {
                continue;
            };
            if range.quality > best.map_or(0.0, |(_, quality)| quality) {
                best = Some((text, range.quality));
            }
        }
    }
    best.map_or(Text::Plain, |(text, _)| text)
}

/// One media range.
struct Range<'a> {
    media: &'a str,
    version: Option<&'a str>,
    quality: f32,
}

impl<'a> Range<'a> {
    /// `None` for one whose quality is none.
    fn new(range: &'a str) -> Option<Self> {
        let mut parts = split(range, ';');
        let media = parts.next()?.trim();
        let (mut version, mut quality) = (None, 1.0);
        for parameter in parts {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("q") {
                quality = value.parse::<f32>().ok().filter(|quality| (0.0..=1.0).contains(quality))?;
            } else if name.eq_ignore_ascii_case("version") {
                version = Some(value.trim_matches('"'));
            }
        }
        Some(Self { media, version, quality })
    }
}

fn offer(range: &str) -> Option<Offer> {
    let Range { media, version, quality } = Range::new(range)?;
    let (format, named) = if media.eq_ignore_ascii_case("application/openmetrics-text") {
        match version {
            None | Some("1.0.0") => (Format::OpenMetrics1, true),
            Some("0.0.1") => (Format::OpenMetrics0, true),
            Some(_) => return None,
        }
    } else if media.eq_ignore_ascii_case("text/plain") {
        match version {
            None | Some("0.0.4") => (Format::Text, true),
            Some(_) => return None,
        }
    } else if media == "*/*" || media.eq_ignore_ascii_case("text/*") {
        (Format::Text, false)
    } else {
        return None;
    };
    (quality > 0.0).then_some(Offer { format, quality, named })
}

/// The parts between separators that stand in no quoted string.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        }
        c == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn asked(accept: &[&str]) -> Format {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(ACCEPT, value.parse().unwrap());
        }
        format(&headers)
    }

    #[test]
    fn every_prometheus_gets_what_it_asks_for() {
        use Format::{OpenMetrics0, OpenMetrics1, Text};
        for (version, accept, format) in [
            ("1", "text/plain;version=0.0.4;q=1,*/*;q=0.1", Text),
            (
                "2.4",
                "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics0,
            ),
            (
                "2.42",
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics1,
            ),
            (
                "2.53 with native histograms",
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                 application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics1,
            ),
            (
                "3",
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics1,
            ),
            (
                "3, told to scrape text",
                "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,\
                 application/openmetrics-text;version=1.0.0;q=0.4,*/*;q=0.3",
                Text,
            ),
        ] {
            assert_eq!(asked(&[accept]), format, "{version}");
        }
    }

    #[test]
    fn open_metrics_is_for_those_who_name_it() {
        use Format::{OpenMetrics0, OpenMetrics1, Text};
        for (accept, format) in [
            (&[][..], Text),
            (&["*/*"], Text),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], Text),
            (&["application/*"], Text),
            (&["application/openmetrics-text"], OpenMetrics1),
            (&["Application/OpenMetrics-Text; Version=1.0.0; Charset=utf-8"], OpenMetrics1),
            (&["application/openmetrics-text; version=\"0.0.1\""], OpenMetrics0),
            (&["application/openmetrics-text; version=2.0.0"], Text),
            (&["application/openmetrics-text;q=0"], Text),
            (&["application/openmetrics-text;q=0.000, text/plain;q=0.1"], Text),
            (&["application/openmetrics-text;q=0.4", "text/plain;q=0.5"], Text),
            (&["application/openmetrics-text;q=0.5", "text/plain;q=0.4"], OpenMetrics1),
            (&["text/plain, application/openmetrics-text"], Text),
            (&["application/openmetrics-text, text/plain"], OpenMetrics1),
            (&["*/*, application/openmetrics-text"], OpenMetrics1),
            (&["application/openmetrics-text;q=high"], Text),
            (&["application/openmetrics-text;q=2"], Text),
            (&["application/openmetrics-text; x=\"a,b;q=0\"; q=0.5, */*;q=0.1"], OpenMetrics1),
            (&["application/json; x=\"application/openmetrics-text,\""], Text),
        ] {
            assert_eq!(asked(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn browsers_get_html_and_curl_what_can_be_read_as_it_is() {
        use Text::{Html, Markdown, Plain};
        for (accept, expected) in [
            (&[][..], Plain),
            (&["*/*"], Plain),
            (&["text/*"], Plain),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"], Html),
            (&["text/html, text/markdown"], Html),
            (&["text/markdown, text/html"], Markdown),
            (&["text/html;q=0.5, text/markdown"], Markdown),
            (&["text/plain", "Text/HTML"], Plain),
            (&["text/plain;q=0.3", "Text/HTML;level=1"], Html),
            (&["text/html;q=0"], Plain),
            (&["text/html;q=2, text/markdown;q=0.1"], Markdown),
            (&["application/json"], Plain),
        ] {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(ACCEPT, value.parse().unwrap());
            }
            assert_eq!(text(&headers), expected, "{accept:?}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_answered_by_some_format(accept in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&accept) {
                headers.insert(ACCEPT, value);
            }
            let names_it = String::from_utf8_lossy(&accept).to_lowercase().contains("openmetrics");
            prop_assert!(names_it || format(&headers) == Format::Text);
            let named = String::from_utf8_lossy(&accept).to_lowercase();
            prop_assert!(named.contains("html") || text(&headers) != Text::Html);
        }
    }
}
