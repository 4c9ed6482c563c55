//! What the tests of this folder share.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::log::Record;
use super::request::ProbeRequest;
use super::{Running, host_of};
use crate::config::{Config, Source};
use crate::observation::Observation;

pub(super) const MODULES: &str = "modules:
  http_2xx: {prober: http, timeout: 5s, http: {basic_auth: {username: me, password: hunter2}}}
  web: {prober: http, timeout: 3s, http: {headers: {Host: shop.test}}}
  plain: {prober: http}
  mail: {prober: tcp, tcp: {tls: true}}
  http3: {prober: http, http: {enable_http3: true, enable_http2: false}}
targets: []
";

pub(super) fn config() -> Config {
    Source::new("t.yaml", MODULES).config().unwrap()
}

/// A run of `http_2xx` against `target`.
pub(super) fn record(target: &str, run: Observation) -> Record {
    let config = config();
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("target", target).finish();
    let head = http::Request::builder().uri(format!("/probe?{query}")).body(()).unwrap().into_parts().0;
    let request = ProbeRequest::of(&head, &config, Duration::from_millis(500)).unwrap();
    Record { request, run, masked_yaml: config.modules["http_2xx"].masked_yaml.clone() }
}

#[test]
fn runs_are_bounded_and_a_place_is_free_again_when_one_ends() {
    let running = std::sync::atomic::AtomicUsize::new(0);
    let first = Running::new(&running, 2);
    let second = Running::new(&running, 2);
    assert!(first.is_some() && second.is_some());
    assert!(Running::new(&running, 2).is_none());
    assert!(Running::new(&running, 3).is_some(), "a reload may raise the limit");
    drop(first);
    assert!(Running::new(&running, 2).is_some());
}

#[test]
fn a_host_header_has_its_host() {
    for (header, host) in
        [("a.test", "a.test"), ("a.test:80", "a.test"), ("[::1]:80", "[::1]"), ("::1", "::1"), ("a:b", "a:b"), ("", "")]
    {
        assert_eq!(host_of(header), host);
    }
}
