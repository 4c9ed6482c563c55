//! Prometheus's HTTP API, as far as a report needs it, and its answers as plain series.
//! <https://prometheus.io/docs/prometheus/latest/querying/api/>

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use url::Url;

use super::Moment;
use crate::config::TlsSettings;
use crate::probe::ProberError;
use crate::probe::Shared;
use crate::probe::tls::Alpn;

/// A month of raw samples takes its time.
const TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("{0:?} is not an http or https URL")]
    Url(String),
    #[error("{0:?} is not a header; write Name: value")]
    Header(String),
    #[error("cannot use the trust store")]
    Tls(#[source] ProberError),
    #[error("cannot build the HTTP client")]
    Client(#[source] reqwest::Error),
    #[error("no answer from {url}")]
    Request { url: String, source: reqwest::Error },
    #[error("{url} answered {status}: {text}")]
    Refused { url: String, status: u16, text: String },
    #[error("{url} did not answer as Prometheus does: {what}")]
    Answer { url: String, what: String },
}

impl QueryError {
    /// The server would answer a smaller question.
    pub(crate) fn is_too_much(&self) -> bool {
        matches!(self, Self::Refused { text, .. }
            if ["too many samples", "exceed", "too long", "limit"].iter().any(|part| text.contains(part)))
    }
}

pub(crate) struct Prometheus {
    client: reqwest::Client,
    base: Url,
    headers: HeaderMap,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: BTreeMap<String, String>,
    /// In order of time.
    pub(crate) samples: Vec<Sample>,
}

/// Unix seconds, and what was there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) time: f64,
    pub(crate) value: f64,
}

impl Series {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }
}

/// A label value in a matcher.
pub(crate) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

impl Prometheus {
    /// # Errors
    /// What is given is no URL, or no header.
    pub(crate) fn new(url: &str, headers: &[String]) -> Result<Self, QueryError> {
        let mut base = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| QueryError::Url(url.to_owned()))?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut map = HeaderMap::new();
        for text in headers {
            let parsed = text.split_once(':').and_then(|(name, value)| {
                let name = name.trim().parse::<HeaderName>().ok()?;
                Some((name, HeaderValue::from_str(value.trim()).ok()?))
            });
            let (name, value) = parsed.ok_or_else(|| QueryError::Header(text.clone()))?;
            map.append(name, value);
        }
        let tls = Shared::default().tls.client(&TlsSettings::default(), Alpn::Http2AndHttp1);
        let tls = tls.map_err(|error| QueryError::Tls(error.into()))?;
        let client = reqwest::Client::builder().tls_backend_preconfigured((*tls).clone()).timeout(TIMEOUT).build();
        Ok(Self { client: client.map_err(QueryError::Client)?, base, headers: map })
    }

    /// `expr` at one moment: a vector, or with a range selector every sample of it.
    pub(crate) async fn instant(&self, expr: &str, at: Moment) -> Result<Vec<Series>, QueryError> {
        let fields = [("query", expr), ("time", &at.seconds().to_string())];
        self.ask("api/v1/query", &fields, |text| serde_json::from_str::<Answer<Data>>(text)).await.map(Data::series)
    }

    /// `expr` every `step` seconds.
    pub(crate) async fn range(&self, expr: &str, from: f64, to: f64, step: f64) -> Result<Vec<Series>, QueryError> {
        let (start, end, step) = (from.to_string(), to.to_string(), step.to_string());
        // VictoriaMetrics moves the times unless it is told not to; others do not know the last one.
        let fields = [("query", expr), ("start", &start), ("end", &end), ("step", &step), ("nocache", "1")];
        let parse = |text: &str| serde_json::from_str::<Answer<Data>>(text);
        self.ask("api/v1/query_range", &fields, parse).await.map(Data::series)
    }

    /// The label sets of a selector that there were between two moments, or near them.
    pub(crate) async fn label_sets(
        &self,
        selector: &str,
        from: Moment,
        to: Moment,
    ) -> Result<Vec<BTreeMap<String, String>>, QueryError> {
        let (start, end) = (from.seconds().to_string(), to.seconds().to_string());
        let fields = [("match[]", selector), ("start", &start), ("end", &end)];
        self.ask("api/v1/series", &fields, |text| serde_json::from_str(text)).await
    }

    /// By POST: expressions may be longer than URLs.
    async fn ask<T>(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        parse: impl Fn(&str) -> Result<Answer<T>, serde_json::Error>,
    ) -> Result<T, QueryError> {
        let mut endpoint = self.base.clone();
        endpoint.set_path(&format!("{}{path}", self.base.path()));
        let mut shown = endpoint.clone();
        // Neither fails on an http or https URL.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        let url = shown.to_string();
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self
            .client
            .post(endpoint)
            .headers(self.headers.clone())
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        let failed = |source: reqwest::Error| QueryError::Request { url: url.clone(), source: source.without_url() };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let text = response.text().await.map_err(failed)?;
        match (parse(&text), status.is_success()) {
            (Ok(Answer { data: Some(data), .. }), true) => Ok(data),
            (Ok(Answer { error: Some(text), .. }), _) => {
                Err(QueryError::Refused { url, status: status.as_u16(), text })
            }
            (Ok(_), _) => Err(QueryError::Answer { url, what: "there is neither data nor an error".to_owned() }),
            (Err(_), false) => {
                let text = text.trim().chars().take(200).collect();
                Err(QueryError::Refused { url, status: status.as_u16(), text })
            }
            (Err(error), true) => Err(QueryError::Answer { url, what: error.to_string() }),
        }
    }
}

#[derive(Deserialize)]
struct Answer<T> {
    data: Option<T>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Instant>),
    Matrix(Vec<Range>),
}

#[derive(Deserialize)]
struct Instant {
    metric: BTreeMap<String, String>,
    value: Point,
}

#[derive(Deserialize)]
struct Range {
    metric: BTreeMap<String, String>,
    values: Vec<Point>,
}

/// Seconds as a number, the value as text, because JSON knows no infinity.
#[derive(Deserialize)]
struct Point(f64, Value);

/// Read where it stands: a long answer has millions of them.
struct Value(f64);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number as text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
                text.parse().map(Value).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl Data {
    fn series(self) -> Vec<Series> {
        match self {
            Self::Vector(all) => all
                .into_iter()
                .map(|one| Series { labels: one.metric, samples: one.value.sample().into_iter().collect() })
                .collect(),
            Self::Matrix(all) => all
                .into_iter()
                .map(|one| Series {
                    labels: one.metric,
                    samples: one.values.into_iter().filter_map(Point::sample).collect(),
                })
                .collect(),
        }
    }
}

impl Point {
    fn sample(self) -> Option<Sample> {
        // What is no number is no figure for a report.
        let Self(time, Value(value)) = self;
        value.is_finite().then_some(Sample { time, value })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn answers_of_both_kinds_become_series() {
        let vector = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"target":"a"},"value":[10.5,"1"]},{"metric":{},"value":[1,"NaN"]}]}}"#;
        let series = serde_json::from_str::<Answer<Data>>(vector).unwrap().data.unwrap().series();
        assert_eq!(series[0].label("target"), Some("a"));
        assert_eq!(series[0].samples, [Sample { time: 10.5, value: 1.0 }]);
        assert_eq!(series[1].samples, []);
        let matrix = r#"{"data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[3,"4.5"]]}]}}"#;
        let series = serde_json::from_str::<Answer<Data>>(matrix).unwrap().data.unwrap().series();
        assert_eq!(series[0].samples.len(), 2);
    }

    #[test]
    fn a_value_that_is_no_number_is_no_answer_of_prometheus() {
        let odd = r#"{"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"many"]}]}}"#;
        let error = serde_json::from_str::<Answer<Data>>(odd).err().unwrap().to_string();
        assert!(error.contains("expected a number as text"), "{error}");
    }

    #[test]
    fn what_is_no_url_or_header_is_refused() {
        assert!(matches!(Prometheus::new("localhost:9090", &[]), Err(QueryError::Url(_))));
        assert!(matches!(Prometheus::new("ftp://h/", &[]), Err(QueryError::Url(_))));
        assert!(matches!(Prometheus::new("http://h/", &["nonsense".to_owned()]), Err(QueryError::Header(_))));
        assert_eq!(Prometheus::new("http://h/prom", &[]).unwrap().base.as_str(), "http://h/prom/");
        assert_eq!(quoted("a\"b\\c\n"), r#""a\"b\\c\n""#);
    }
}
