//! What a caller asks for, and whether it can be had.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::request::Parts;

use crate::config::probe_endpoint::Modules;
use crate::config::{Config, Module, ModuleSettings, ProbeSpec};

/// The module of a request that names none.
const DEFAULT_MODULE: &str = "http_2xx";
const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";
/// Without that header, as the incumbent.
const NO_TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(super) struct ProbeRequest {
    pub(super) module: String,
    /// As the caller wrote it.
    pub(super) target: String,
    pub(super) spec: ProbeSpec,
    pub(super) timeout: Duration,
    pub(super) debug: bool,
}

#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) sentence: String,
    pub(super) unknown_module: bool,
}

impl Refused {
    fn bad(sentence: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, sentence: sentence.into(), unknown_module: false }
    }
}

impl ProbeRequest {
    pub(super) fn of(head: &Parts, config: &Config, offset: Duration) -> Result<Self, Refused> {
        let query = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
        let mut fields: HashMap<String, String> = HashMap::new();
        for (name, value) in query {
            // The first of several, as Go takes it.
            fields.entry(name.into_owned()).or_insert_with(|| value.into_owned());
        }
        let mut take = |name: &str| fields.remove(name).filter(|value| !value.is_empty());
        let name = take("module").unwrap_or_else(|| DEFAULT_MODULE.to_owned());
        let module = config
            .modules
            .get(&name)
            .filter(|module| !module.built_in || config.probe_endpoint.modules == Modules::All)
            .ok_or_else(|| unknown_module(&name, config))?;
        let target = take("target").ok_or_else(|| Refused::bad("Target parameter is missing"))?;
        let hostname = take("hostname");
        let module_for = match &hostname {
            None => module.clone(),
            Some(hostname) => with_hostname(module, hostname)?,
        };
        let spec = module_for.probe_spec(&target).map_err(|sentence| Refused::bad(format!("target {sentence}")))?;
        let timeout = timeout(head, module.timeout, offset)?;
        let debug = take("debug").is_some_and(|debug| debug == "true");
        Ok(Self { module: name, target, spec, timeout, debug })
    }
}

fn unknown_module(name: &str, config: &Config) -> Refused {
    let built_in = config.modules.get(name).is_some_and(|module| module.built_in);
    let sentence = if built_in {
        format!(
            "Unknown module {name:?}: the config does not have it; write it there, or set probe_endpoint.enabled: true"
        )
    } else {
        format!("Unknown module {name:?}")
    };
    Refused { unknown_module: true, ..Refused::bad(sentence) }
}

/// For HTTP the Host header, and with it the name in TLS; for TCP the name in TLS alone, unless the module has one. Other
/// probers have no use for it, with the incumbent neither.
fn with_hostname(module: &Module, hostname: &str) -> Result<Module, Refused> {
    let mut module = module.clone();
    match &mut module.settings {
        ModuleSettings::Http(settings) => {
            if let Some(host) = settings.host.as_deref().filter(|host| *host != hostname) {
                let sentence = format!(
                    "Host header defined both in module configuration ({host}) and with URL-parameter 'hostname' ({hostname})"
                );
                return Err(Refused::bad(sentence));
            }
            if http::HeaderValue::from_str(hostname).is_err() {
                return Err(Refused::bad(format!("hostname {hostname:?} can be no Host header")));
            }
            Arc::make_mut(settings).host = Some(hostname.to_owned());
        }
        ModuleSettings::Tcp(settings) => {
            let settings = Arc::make_mut(settings);
            settings.tls_config.server_name.get_or_insert_with(|| hostname.to_owned());
        }
        ModuleSettings::Dns(_)
        | ModuleSettings::Icmp(_)
        | ModuleSettings::Grpc(_)
        | ModuleSettings::Unix(_)
        | ModuleSettings::Websocket(_)
        | ModuleSettings::NotBuilt(_) => {}
    }
    Ok(module)
}

/// What Prometheus gives, less the offset; the module's own when that is shorter, or when nothing is left.
fn timeout(head: &Parts, module: Option<Duration>, offset: Duration) -> Result<Duration, Refused> {
    let given = match head.headers.get(TIMEOUT_HEADER) {
        None => NO_TIMEOUT,
        Some(value) => value
            .to_str()
            .ok()
            .and_then(|text| text.trim().parse::<f64>().ok())
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| Refused {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                ..Refused::bad(format!(
                    "Failed to parse timeout from Prometheus header: {value:?} is no number of seconds"
                ))
            })?,
    };
    let left = given.checked_sub(offset).filter(|left| !left.is_zero());
    // A scrape that has less time than the offset gets all of it rather than none.
    Ok(match (left, module) {
        (Some(left), Some(module)) => left.min(module),
        (Some(left), None) => left,
        (None, Some(module)) => module,
        (None, None) => given.max(Duration::from_millis(1)),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Source;

    fn config() -> Config {
        let text = "modules:
  web: {prober: http, timeout: 3s, http: {headers: {Host: shop.test}}}
  plain: {prober: http}
  mail: {prober: tcp, tcp: {tls: true}}
targets: []
";
        Source::new("t.yaml", text).config().unwrap()
    }

    fn ask(query: &str, timeout: Option<&str>) -> Result<ProbeRequest, Refused> {
        let mut request = http::Request::builder().uri(format!("/probe?{query}"));
        if let Some(timeout) = timeout {
            request = request.header(TIMEOUT_HEADER, timeout);
        }
        ProbeRequest::of(&request.body(()).unwrap().into_parts().0, &config(), Duration::from_millis(500))
    }

    #[test]
    fn bad_requests_are_told_apart() {
        for (query, status, part) in [
            ("module=web", 400, "Target parameter is missing"),
            ("target=h&module=nobody", 400, "Unknown module \"nobody\""),
            ("target=h", 400, "set probe_endpoint.enabled: true"),
            ("target=h&module=web&hostname=other.test", 400, "Host header defined both"),
            ("target=ws://h&module=web", 400, "scheme"),
            ("target=h&module=mail", 400, "has no port"),
        ] {
            let refused = ask(query, None).unwrap_err();
            assert_eq!(refused.status.as_u16(), status, "{query}");
            assert!(refused.sentence.contains(part), "{query}: {}", refused.sentence);
        }
        assert_eq!(ask("target=h&module=plain", Some("soon")).unwrap_err().status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(ask("target=h&module=plain", Some("-1")).unwrap_err().status, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn the_shorter_time_wins_and_there_is_always_some() {
        let seconds = |query: &str, header| ask(query, header).unwrap().timeout.as_secs_f64();
        assert_eq!(seconds("target=h&module=web", None), 3.0);
        assert_eq!(seconds("target=h&module=web", Some("2.5")), 2.0);
        assert_eq!(seconds("target=h&module=web", Some("0.3")), 3.0);
        assert_eq!(seconds("target=h&module=plain", None), 119.5);
        assert_eq!(seconds("target=h&module=plain", Some("10")), 9.5);
        assert_eq!(seconds("target=h&module=plain", Some("0.5")), 0.5);
    }

    #[test]
    fn a_hostname_becomes_the_host_header_or_the_name_in_tls() {
        let ProbeSpec::Http { settings, .. } = ask("target=h&module=plain&hostname=a.test", None).unwrap().spec else {
            panic!("plain is http")
        };
        assert_eq!(settings.host.as_deref(), Some("a.test"));
        assert!(ask("target=h&module=web&hostname=shop.test", None).is_ok());
        let ProbeSpec::Tcp { settings, .. } = ask("target=h:1&module=mail&hostname=a.test", None).unwrap().spec else {
            panic!("mail is tcp")
        };
        assert_eq!(settings.tls_config.server_name.as_deref(), Some("a.test"));
    }
}
