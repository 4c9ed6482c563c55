//! Prometheus's HTTP API, as far as a report needs it, and its answers as plain series.
//! <https://prometheus.io/docs/prometheus/latest/querying/api/>

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
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

pub(super) struct Prometheus {
    client: reqwest::Client,
    base: Url,
    headers: HeaderMap,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    pub(super) labels: BTreeMap<String, String>,
    /// In order of time.
    pub(super) samples: Vec<Sample>,
}

/// Unix seconds, and what was there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) time: f64,
    pub(super) value: f64,
}

impl Series {
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    /// How much a counter grew between its first and its last sample. A fall is a restart from zero.
    pub(super) fn increase(&self) -> f64 {
        increase(&self.samples)
    }
}

/// See [`Series::increase`].
pub(super) fn increase(samples: &[Sample]) -> f64 {
    samples
        .windows(2)
        .map(|pair| if pair[1].value >= pair[0].value { pair[1].value - pair[0].value } else { pair[1].value })
        .sum()
}

/// A label value in a matcher.
pub(super) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

impl Prometheus {
    /// # Errors
    /// What is given is no URL, or no header.
    pub(super) fn new(url: &str, headers: &[String]) -> Result<Self, QueryError> {
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
    pub(super) async fn instant(&self, expr: &str, at: Moment) -> Result<Vec<Series>, QueryError> {
        self.ask("api/v1/query", &[("query", expr), ("time", &at.seconds().to_string())]).await
    }

    /// `expr` at even steps of so many seconds.
    pub(super) async fn range(
        &self,
        expr: &str,
        from: Moment,
        to: Moment,
        step: u64,
    ) -> Result<Vec<Series>, QueryError> {
        let (start, end) = (from.seconds().to_string(), to.seconds().to_string());
        let step = step.to_string();
        self.ask("api/v1/query_range", &[("query", expr), ("start", &start), ("end", &end), ("step", &step)]).await
    }

    /// By POST: expressions may be longer than URLs.
    async fn ask(&self, path: &str, fields: &[(&str, &str)]) -> Result<Vec<Series>, QueryError> {
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
        match (serde_json::from_str::<Answer>(&text), status.is_success()) {
            (Ok(Answer { data: Some(data), .. }), true) => Ok(data.series()),
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
struct Answer {
    data: Option<Data>,
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
struct Point(f64, String);

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
        self.1.parse::<f64>().ok().filter(|value| value.is_finite()).map(|value| Sample { time: self.0, value })
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
        let series = serde_json::from_str::<Answer>(vector).unwrap().data.unwrap().series();
        assert_eq!(series[0].label("target"), Some("a"));
        assert_eq!(series[0].samples, [Sample { time: 10.5, value: 1.0 }]);
        assert_eq!(series[1].samples, []);
        let matrix = r#"{"data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[3,"4.5"]]}]}}"#;
        let series = serde_json::from_str::<Answer>(matrix).unwrap().data.unwrap().series();
        assert_eq!(series[0].samples.len(), 2);
    }

    #[test]
    fn a_counter_that_falls_began_anew() {
        let samples: Vec<_> = [5.0, 8.0, 1.0, 4.0].into_iter().map(|value| Sample { time: 0.0, value }).collect();
        assert_eq!(increase(&samples), 3.0 + 1.0 + 3.0);
        assert_eq!(increase(&samples[..1]), 0.0);
        assert_eq!(increase(&[]), 0.0);
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
