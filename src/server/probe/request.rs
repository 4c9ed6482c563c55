//! What a caller asks for, and whether it can be had.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::request::Parts;
use rustls::pki_types::ServerName;

use crate::config::probe_endpoint::Modules;
use crate::config::{Config, Module, ModuleSettings, ProbeSpec, host_in_ascii, mask_address, mask_broken_address};

/// The module of a request that names none.
const DEFAULT_MODULE: &str = "http_2xx";
const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";
/// Without that header, as the incumbent.
const NO_TIMEOUT: Duration = Duration::from_secs(120);
/// Seconds; nobody waits longer.
const LONGEST: f64 = 86_400.0;

/// A request that names a module which may be used.
#[derive(Debug)]
pub(super) struct ProbeRequest {
    pub(super) module: String,
    /// As the caller wrote it, decoded once. The incumbent decodes it twice in versions after 0.28, which makes a space of each
    /// plus sign and a slash of each `%2F` that is meant to be there.
    pub(super) target: String,
    /// The same without credentials.
    pub(super) shown: String,
    pub(super) hostname: Option<String>,
    /// Of the module, with the hostname in them.
    pub(super) settings: ModuleSettings,
    /// Why no run of the module can be made.
    pub(super) fault: Option<Arc<str>>,
    /// What to do, or why the target is none for this module.
    pub(super) spec: Result<ProbeSpec, String>,
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
        let timeout = timeout(head, module.timeout, offset)?;
        let target = take("target").ok_or_else(|| Refused::bad("Target parameter is missing"))?;
        if let ModuleSettings::Unusable(why) = &module.settings {
            return Err(Refused::bad(format!("Module {name:?} cannot be used: {why}")));
        }
        let hostname = take("hostname");
        let module = match &hostname {
            None => module.clone(),
            Some(hostname) => with_hostname(module, hostname)?,
        };
        let spec = module.probe_spec(&target);
        let shown = if spec.is_ok() { mask_address(target.trim()) } else { mask_broken_address(&target) };
        let debug = take("debug").is_some_and(|debug| debug == "true");
        let Module { settings, fault, .. } = module;
        Ok(Self { module: name, target, shown, hostname, settings, fault, spec, timeout, debug })
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
    // Names are compared and sent in ASCII, as those of the module are.
    let ascii = host_in_ascii(hostname);
    let unfit = |what: &str| match &ascii {
        Ok(_) => Refused::bad(format!("hostname {hostname:?} can be no {what}")),
        Err(sentence) => Refused::bad(format!("hostname {hostname:?} {sentence}")),
    };
    let name = ascii.as_deref().unwrap_or(hostname);
    match &mut module.settings {
        ModuleSettings::Http(settings) => {
            if let Some(host) = settings.host.as_deref().filter(|host| *host != name) {
                let sentence = format!(
                    "Host header defined both in module configuration ({host}) and with URL-parameter 'hostname' ({hostname})"
                );
                return Err(Refused::bad(sentence));
            }
            if ascii.is_err() || http::HeaderValue::from_str(name).is_err() {
                return Err(unfit("Host header"));
            }
            Arc::make_mut(settings).host = Some(name.to_owned());
        }
        ModuleSettings::Tcp(settings) => {
            if settings.tls_config.server_name.is_some() {
                return Ok(module);
            }
            if ServerName::try_from(name).is_err() {
                return Err(unfit("name in TLS"));
            }
            Arc::make_mut(settings).tls_config.server_name = Some(name.to_owned());
        }
        ModuleSettings::Dns(_)
        | ModuleSettings::Icmp(_)
        | ModuleSettings::Grpc(_)
        | ModuleSettings::Unix(_)
        | ModuleSettings::Websocket(_)
        | ModuleSettings::Unusable(_) => {}
    }
    Ok(module)
}

/// What Prometheus gives, less the offset; the module's own when that is shorter, or when less than nothing is left.
///
/// As the incumbent, with its status for a header that is no number; where it would give a run no time at all, a run
/// gets all that Prometheus has.
fn timeout(head: &Parts, module: Option<Duration>, offset: Duration) -> Result<Duration, Refused> {
    let text = match head.headers.get(TIMEOUT_HEADER) {
        None => "",
        Some(value) => value.to_str().unwrap_or("?").trim(),
    };
    let given = if text.is_empty() { 0.0 } else { text.parse::<f64>().unwrap_or(f64::NAN) };
    if !given.is_finite() {
        return Err(Refused {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            ..Refused::bad(format!("Failed to parse timeout from Prometheus header: {text:?} is no number of seconds"))
        });
    }
    let given = if given == 0.0 {
        NO_TIMEOUT
    } else {
        Duration::try_from_secs_f64(given.clamp(0.0, LONGEST)).unwrap_or_default()
    };
    let left = given.checked_sub(offset).filter(|left| !left.is_zero());
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
    use crate::server::probe::tests::config;

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
            ("module=web&target=", 400, "Target parameter is missing"),
            ("target=h&module=nobody", 400, "Unknown module \"nobody\""),
            ("target=h&module=web&hostname=other.test", 400, "Host header defined both"),
            ("target=h&module=plain&hostname=a%0Ab", 400, "can be no Host header"),
            ("target=h:1&module=mail&hostname=a/b", 400, "can be no name in TLS"),
            ("target=h&module=plain&hostname=good.%EF%BF%BD", 400, "has the label"),
            ("target=h:1&module=mail&hostname=good.%EF%BF%BD", 400, "has the label"),
        ] {
            let refused = ask(query, None).unwrap_err();
            assert_eq!(refused.status.as_u16(), status, "{query}");
            assert!(refused.sentence.contains(part), "{query}: {}", refused.sentence);
            assert_eq!(refused.unknown_module, query.contains("nobody"), "{query}");
        }
        for header in ["soon", "1e999", "nan", "-inf", "5s"] {
            let refused = ask("target=h&module=plain", Some(header)).unwrap_err();
            assert_eq!(refused.status, StatusCode::INTERNAL_SERVER_ERROR, "{header}");
        }
        // The order of the incumbent: module, header, target.
        assert_eq!(ask("module=nobody", Some("soon")).unwrap_err().status, StatusCode::BAD_REQUEST);
        assert_eq!(ask("module=plain", Some("soon")).unwrap_err().status, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn the_built_in_module_is_there_when_it_is_asked_for() {
        let head = http::Request::builder().uri("/probe?target=h").body(()).unwrap().into_parts().0;
        let of = |text: &str| {
            let config = crate::config::Source::new("t.yaml", text).config().unwrap();
            ProbeRequest::of(&head, &config, Duration::ZERO)
        };
        let refused = of("targets: []").unwrap_err();
        assert!(refused.unknown_module && refused.sentence.contains("set probe_endpoint.enabled: true"), "{refused:?}");
        assert_eq!(of("probe_endpoint: {enabled: true}").unwrap().module, "http_2xx");
    }

    #[test]
    fn a_target_that_makes_no_sense_is_a_failed_probe_as_with_the_incumbent() {
        for (query, part) in
            [("target=h&module=mail", "has no port"), ("target=ws://u:hunter2@h&module=plain", "the scheme \"ws\"")]
        {
            let request = ask(query, None).unwrap();
            let sentence = request.spec.unwrap_err();
            assert!(sentence.contains(part), "{query}: {sentence}");
            assert!(!request.shown.contains("hunter2") && !sentence.contains("hunter2"), "{query}: {sentence}");
        }
    }

    #[test]
    fn a_target_is_decoded_once() {
        let request = ask("target=http%3A%2F%2Fh%2Fa%252Fb%3Fq%3D1%252B1&module=plain", None).unwrap();
        assert_eq!(request.target, "http://h/a%2Fb?q=1%2B1");
        let ProbeSpec::Http { url, .. } = request.spec.unwrap() else { panic!("plain is http") };
        assert_eq!(url.as_str(), "http://h/a%2Fb?q=1%2B1");
    }

    #[test]
    fn the_shorter_time_wins_and_there_is_always_some() {
        let seconds = |query: &str, header| ask(query, header).unwrap().timeout.as_secs_f64();
        assert_eq!(seconds("target=h&module=web", None), 3.0);
        assert_eq!(seconds("target=h&module=web", Some("2.5")), 2.0);
        assert_eq!(seconds("target=h&module=web", Some("0.3")), 3.0);
        assert_eq!(seconds("target=h&module=web", Some("-1")), 3.0);
        assert_eq!(seconds("target=h&module=plain", None), 119.5);
        assert_eq!(seconds("target=h&module=plain", Some("")), 119.5);
        assert_eq!(seconds("target=h&module=plain", Some("0")), 119.5);
        assert_eq!(seconds("target=h&module=plain", Some("10")), 9.5);
        assert_eq!(seconds("target=h&module=plain", Some("0.5")), 0.5);
        assert_eq!(seconds("target=h&module=plain", Some("-1")), 0.001);
        assert_eq!(seconds("target=h&module=plain", Some("1e300")), 86_399.5);
    }

    #[test]
    fn a_hostname_becomes_the_host_header_or_the_name_in_tls() {
        let ProbeSpec::Http { settings, .. } =
            ask("target=h&module=plain&hostname=a.test", None).unwrap().spec.unwrap()
        else {
            panic!("plain is http")
        };
        assert_eq!(settings.host.as_deref(), Some("a.test"));
        assert!(ask("target=h&module=web&hostname=shop.test", None).is_ok());
        let query = "target=h&module=plain&hostname=b%C3%BCcher.test:8080";
        let ProbeSpec::Http { settings, .. } = ask(query, None).unwrap().spec.unwrap() else { panic!("plain is http") };
        assert_eq!(settings.host.as_deref(), Some("xn--bcher-kva.test:8080"));
        let ProbeSpec::Tcp { settings, .. } =
            ask("target=h:1&module=mail&hostname=a.test", None).unwrap().spec.unwrap()
        else {
            panic!("mail is tcp")
        };
        assert_eq!(settings.tls_config.server_name.as_deref(), Some("a.test"));
    }
}
