//! The rules of a target, in the incumbent's order: status, headers, body, CEL, version, TLS. The first failing one
//! gives the reason.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{HeaderMap, StatusCode, Version};

use super::body::Whole;
use super::json;
use super::text::{Text, Told};
use crate::config::http::{FailIf, HttpVersion, StatusRange};
use crate::config::{CelRule, HttpSettings, Stop, Subject};
use crate::observation::{Failure, Reason};

/// Above this size, and with loops over elements of the body, rules run on the blocking pool: they would hold up other
/// targets' tasks.
const INLINE_BYTES: usize = 256 * 1024;

pub(super) fn status(settings: &HttpSettings, status: StatusCode) -> Result<(), Failure> {
    let code = status.as_u16();
    let ranges = &settings.valid_status_codes;
    let valid = match ranges.is_empty() {
        true => (200..=299).contains(&code),
        false => ranges.iter().any(|range| range.contains(code)),
    };
    if valid {
        return Ok(());
    }
    let wanted = if ranges.is_empty() { "2xx".to_owned() } else { list_ranges(ranges) };
    Err(Failure::new(Reason::HttpStatus, format!("the status is {code}, expected {wanted}")))
}

fn list_ranges(ranges: &[StatusRange]) -> String {
    let texts: Vec<String> = ranges
        .iter()
        .map(|range| match range.first == range.last {
            true => range.first.to_string(),
            false => format!("{}-{}", range.first, range.last),
        })
        .collect();
    texts.join(", ")
}

/// Values are matched one by one, and are not quoted in the sentence: they may be secret.
pub(super) fn headers(settings: &HttpSettings, headers: &HeaderMap) -> Result<(), Failure> {
    for rule in &settings.header_rules {
        let mut values = headers.get_all(&rule.header).iter().peekable();
        if values.peek().is_none() {
            if rule.allow_missing {
                continue;
            }
            return Err(Failure::new(Reason::HeaderMismatch, format!("the header {} is missing", rule.header)));
        }
        let matches = values.any(|value| rule.pattern.is_match(value.as_bytes()));
        let pattern = rule.pattern.as_str();
        match (rule.fail_if, matches) {
            (FailIf::Matches, false) | (FailIf::NotMatches, true) => {}
            (FailIf::Matches, true) => {
                let sentence = format!("the header {} matches {pattern:?}, which it must not", rule.header);
                return Err(Failure::new(Reason::HeaderMismatch, sentence));
            }
            (FailIf::NotMatches, false) => {
                let sentence = format!("the header {} does not match {pattern:?}", rule.header);
                return Err(Failure::new(Reason::HeaderMismatch, sentence));
            }
        }
    }
    Ok(())
}

/// What the rules on the body found.
#[derive(Debug, Default, PartialEq)]
pub(super) struct BodyVerdict {
    pub(super) regex: Option<Failure>,
    pub(super) cel: Option<Failure>,
}

pub(super) async fn body(settings: &Arc<HttpSettings>, told: Told, body: Whole) -> BodyVerdict {
    let rules = [&settings.fail_if_json_matches, &settings.fail_if_json_not_matches];
    let may_last = rules.into_iter().flatten().any(CelRule::has_loops);
    if body.bytes.len() <= INLINE_BYTES && !may_last {
        return judge_body(settings, &told, body, &Stop::default());
    }
    let settings = Arc::clone(settings);
    // When the run ends before the rules do, they are to end too.
    let stop = StopOnDrop(Stop::default());
    let judged = tokio::task::spawn_blocking({
        let stop = Arc::clone(&stop.0);
        move || judge_body(&settings, &told, body, &stop)
    });
    judged.await.unwrap_or_else(|_| BodyVerdict {
        regex: Some(Failure::new(Reason::Internal, "the rules on the body could not be run")),
        cel: None,
    })
}

struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// CEL is asked only while the regexes are content, as in the incumbent.
fn judge_body(settings: &HttpSettings, told: &Told, body: Whole, stop: &Stop) -> BodyVerdict {
    let text = Text::of(settings, told, body);
    let subject = (!settings.body_rules.is_empty()).then(|| Subject::known(&text.bytes, text.is_ascii));
    for rule in &settings.body_rules {
        let pattern = rule.pattern.as_str();
        let matches = subject.as_ref().is_some_and(|subject| rule.pattern.is_match_in(subject));
        let sentence = match (rule.fail_if, matches) {
            (FailIf::Matches, false) | (FailIf::NotMatches, true) => continue,
            (FailIf::Matches, true) => format!("the body matches {pattern:?}, which it must not"),
            (FailIf::NotMatches, false) => format!("the body does not match {pattern:?}{}", text.remark()),
        };
        return BodyVerdict { regex: Some(Failure::new(Reason::BodyMismatch, sentence)), cel: None };
    }
    // A large body that is not UTF-8 is not kept twice.
    drop(subject);
    let cel =
        json::judge(settings, &text.bytes, stop).err().map(|failure| match failure.reason == Reason::BodyMismatch {
            true => Failure::new(failure.reason, failure.sentence.into_string() + &text.remark()),
            false => failure,
        });
    BodyVerdict { regex: None, cel }
}

pub(super) fn version(settings: &HttpSettings, version: Version) -> Result<(), Failure> {
    let wanted = &settings.valid_http_versions;
    let valid = wanted.is_empty()
        || wanted.iter().any(|wanted| match wanted {
            HttpVersion::Http10 => version == Version::HTTP_10,
            HttpVersion::Http11 => version == Version::HTTP_11,
            HttpVersion::Http2 => version == Version::HTTP_2,
            HttpVersion::Http3 => version == Version::HTTP_3,
        });
    if valid {
        return Ok(());
    }
    let names: Vec<&str> = wanted
        .iter()
        .map(|version| match version {
            HttpVersion::Http10 => "HTTP/1.0",
            HttpVersion::Http11 => "HTTP/1.1",
            HttpVersion::Http2 => "HTTP/2.0",
            HttpVersion::Http3 => "HTTP/3.0",
        })
        .collect();
    let sentence = format!("the answer is {version:?}, expected {}", names.join(", "));
    Err(Failure::new(Reason::HttpVersion, sentence))
}

pub(super) fn ssl(settings: &HttpSettings, ssl: bool) -> Result<(), Failure> {
    if ssl && settings.fail_if_ssl {
        return Err(Failure::new(Reason::SslForbidden, "the final answer came over TLS, which the target forbids"));
    }
    if !ssl && settings.fail_if_not_ssl {
        return Err(Failure::new(Reason::SslRequired, "the final answer came without TLS, which the target requires"));
    }
    Ok(())
}
