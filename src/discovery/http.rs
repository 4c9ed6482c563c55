//! Prometheus's HTTP service discovery: a JSON list of groups behind a URL.
//! <https://prometheus.io/docs/prometheus/latest/http_sd/>

use std::collections::BTreeMap;

use serde::Deserialize;
use tokio::time::Instant;

use crate::config::discovery::Group;
use crate::probe::http::{Fetched, HttpProber};

/// A group as it is written. Other keys are passed over, as Prometheus does.
#[derive(Debug, Deserialize)]
struct WrittenGroup {
    #[serde(default)]
    targets: Option<Vec<String>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

pub(super) async fn ask(prober: &HttpProber, deadline: Instant) -> Result<Vec<Group>, String> {
    let fetched = prober.fetch(deadline).await.map_err(|failure| failure.sentence.to_string())?;
    read(&fetched)
}

/// The list in an answer.
fn read(fetched: &Fetched) -> Result<Vec<Group>, String> {
    let kind = fetched.content_type.as_ref().map_or("", |value| value.to_str().unwrap_or("?"));
    if !is_json(kind) {
        return Err(format!("the Content-Type is {kind:?}, expected application/json"));
    }
    let groups: Vec<Option<WrittenGroup>> = serde_json::from_slice(&fetched.body)
        .map_err(|error| format!("the answer is not a list of {{\"targets\": [...], \"labels\": {{...}}}}: {error}"))?;
    let group = |written: WrittenGroup| Group {
        targets: written.targets.unwrap_or_default(),
        labels: written.labels.unwrap_or_default().into_iter().collect(),
    };
    Ok(groups.into_iter().flatten().map(group).collect())
}

/// Prometheus's rule: application/json, in UTF-8 if it says in what.
fn is_json(content_type: &str) -> bool {
    let (kind, parameter) = match content_type.split_once(';') {
        Some((kind, parameter)) => (kind, Some(parameter)),
        None => (content_type, None),
    };
    let utf8 = parameter.is_none_or(|parameter| {
        let charset = parameter.trim().to_ascii_lowercase();
        matches!(charset.as_str(), "charset=utf-8" | "charset=\"utf-8\"")
    });
    utf8 && kind.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn answer(kind: &'static str, body: &[u8]) -> Result<Vec<Group>, String> {
        read(&Fetched { content_type: Some(HeaderValue::from_static(kind)), body: body.to_vec() })
    }

    fn json(body: &str) -> Result<Vec<Group>, String> {
        answer("application/json", body.as_bytes())
    }

    #[test]
    fn a_list_is_read_as_prometheus_reads_it() {
        let text =
            r#"[{"targets": ["a:1", "b"], "labels": {"z": "1", "a": "2"}, "source": "x"}, {"targets": []}, {}, null]"#;
        let groups = json(text).unwrap();
        let labels = vec![("a".to_owned(), "2".to_owned()), ("z".to_owned(), "1".to_owned())];
        assert_eq!(groups[0], Group { targets: vec!["a:1".to_owned(), "b".to_owned()], labels });
        assert_eq!(groups[1..], [Group::default(), Group::default()]);
        assert_eq!(json("[]").unwrap(), []);
        for bad in
            ["", "{}", "null", "[1]", "[{\"targets\": [1]}]", "[{\"labels\": {\"a\": 1}}]", "[]x", "[", "\u{feff}[]"]
        {
            let problem = json(bad).unwrap_err();
            assert!(problem.starts_with("the answer is not a list of "), "{bad}: {problem}");
        }
    }

    #[test]
    fn the_content_type_must_say_json() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert_eq!(answer(good, b"[]").unwrap(), [], "{good}");
        }
        for bad in ["", "text/json", "text/html", "application/json; charset=latin1", "application/jsonx"] {
            let problem = answer(bad, b"[]").unwrap_err();
            assert_eq!(problem, format!("the Content-Type is {bad:?}, expected application/json"));
        }
    }

    proptest! {
        #[test]
        fn no_answer_is_too_odd(body: Vec<u8>) {
            let _ = answer("application/json", &body);
        }
    }
}
