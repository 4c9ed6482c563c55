//! The HTTP prober, over reqwest.
//!
//! reqwest connects and speaks HTTP; everything that is judged or measured is done here: redirects, cookies and
//! credentials hop by hop, one address a hop, phases, decoding, limits, rules, and a reason for every failure.
//!
//! Known difference from the incumbent: reqwest sends `Accept: */*` where the config sets no Accept header.

mod assertion;
mod body;
mod client;
mod cookies;
mod date;
mod decode;
mod dress;
mod evidence;
mod http3;
mod json;
mod oauth2;
mod proxy;
mod reason;
mod redirect;
mod rules;
mod run;
mod text;
mod trace;
mod transport;

#[cfg(test)]
pub(in crate::probe) mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use tokio::time::{Instant, timeout_at};
use url::Url;

pub use self::assertion::KeyError;
pub use self::client::Clients;
pub(super) use self::evidence::remarks_on;
use self::oauth2::{TokenSource, secret_header};
pub(super) use self::proxy::proxy_for;
pub use self::run::Fetched;
use self::run::Run;
use self::transport::{Needs, Transport};
use super::tls::Alpn;
use super::{Probe, ProberError, Shared};
use crate::config::http::{HttpAuth, OAuth2Settings};
use crate::config::{HttpSettings, ZonedUrl};
use crate::observation::{Failure, Observation, Outcome, Reason};

/// Probes one URL.
pub struct HttpProber {
    settings: Arc<HttpSettings>,
    /// Its zone is the transport's affair.
    url: Url,
    transport: Transport,
    authorization: Authorization,
    /// The target was written with the port of its scheme.
    names_port: bool,
    /// HTTP/2 may be spoken, which has no place for a Host header beside the URL.
    may_speak_http2: bool,
}

enum Authorization {
    None,
    Header(HeaderValue),
    Token(Box<TokenSource>, Box<OAuth2Settings>),
}

impl HttpProber {
    /// Builds, or finds among the shared ones, what the runs need.
    ///
    /// # Errors
    /// TLS settings or proxies that cannot be used.
    pub fn new(
        settings: Arc<HttpSettings>,
        url: impl Into<ZonedUrl>,
        shared: &Arc<Shared>,
    ) -> Result<Self, ProberError> {
        let url = url.into();
        let transport = |alpn| {
            let HttpSettings { tls, proxy, dns_servers, ip, .. } = &*settings;
            Transport::new(Needs { tls, alpn, proxy, dns_servers, ip: *ip, home: &url }, shared)
        };
        let mut alpn = match (settings.enable_http3, settings.enable_http2) {
            (true, _) => Alpn::Http3,
            (false, true) => Alpn::Http2AndHttp1,
            (false, false) => Alpn::Http1,
        };
        let mut chosen = transport(alpn)?;
        if alpn == Alpn::Http2AndHttp1 && dress::needs_http1(&settings, &url, chosen.proxy(&url).is_some()) {
            alpn = Alpn::Http1;
            chosen = transport(alpn)?;
        }
        let authorization = match &settings.auth {
            // Credentials in the URL are Basic ones, and win over those of the config (but for a token), as in Go.
            None | Some(HttpAuth::Basic { .. } | HttpAuth::Header { .. })
                if !url.username().is_empty() || url.password().is_some() =>
            {
                let decode = |text| percent_decode_str(text).decode_utf8_lossy();
                Authorization::Header(basic(&decode(url.username()), &decode(url.password().unwrap_or_default())))
            }
            None => Authorization::None,
            Some(HttpAuth::Basic { username, password }) => Authorization::Header(basic(username, password.expose())),
            Some(HttpAuth::Header { scheme, credentials }) => {
                // The config has checked it; a value that is unfit is not sent.
                match secret_header(&format!("{scheme} {}", credentials.expose())) {
                    Some(value) => Authorization::Header(value),
                    None => Authorization::None,
                }
            }
            Some(HttpAuth::OAuth2(oauth)) => {
                Authorization::Token(Box::new(TokenSource::new(&settings, oauth, shared)?), oauth.clone())
            }
        };
        let mut url = url.url().clone();
        url.set_fragment(None);
        if settings.enable_http3 && url.scheme() == "http" {
            // There is no HTTP/3 without TLS; the incumbent rewrites such targets as well.
            let _ = url.set_scheme("https");
        }
        // Neither fails on an http or https URL.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let may_speak_http2 = alpn == Alpn::Http2AndHttp1;
        Ok(Self { settings, url, transport: chosen, authorization, names_port: false, may_speak_http2 })
    }

    /// Whether the target was written with the port of its scheme, which the server is told then.
    pub fn naming_port(self, names_port: bool) -> Self {
        Self { names_port, ..self }
    }

    /// The names that credentials and `server_name` are for: the URL's host and the configured Host.
    fn home(&self) -> [Option<&str>; 2] {
        [self.url.host_str(), self.settings.host.as_deref().map(dress::name_of)]
    }

    /// Gets what is there, for whoever wants to read it: rules of the body are not looked at, all else is as in a run.
    ///
    /// # Errors
    /// What a run would have failed with.
    pub async fn fetch(&self, deadline: Instant) -> Result<Fetched, Failure> {
        let mut run = Run::fetch(self);
        Box::pin(drive(&mut run, deadline, timeout_of(deadline, Instant::now()))).await?;
        Ok(run.into_fetched())
    }

    async fn observe(&self, deadline: Instant) -> Observation {
        let started = SystemTime::now();
        let begun = Instant::now();
        let timeout = timeout_of(deadline, begun);
        let mut run = Run::new(self);
        let outcome = match drive(&mut run, deadline, timeout).await {
            Ok(()) => Outcome::Up,
            Err(failure) => Outcome::Down(failure),
        };
        run.into_observation(started, begun, timeout, outcome)
    }
}

/// The clock has moved on a little since the deadline was set; people and metrics want the round figure.
fn timeout_of(deadline: Instant, begun: Instant) -> Duration {
    let timeout = deadline.saturating_duration_since(begun) + Duration::from_micros(500);
    Duration::from_millis(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX))
}

/// To the verdict, or to the deadline.
async fn drive(run: &mut Run<'_>, deadline: Instant, timeout: Duration) -> Result<(), Failure> {
    if timeout.is_zero() {
        return Err(Failure::new(Reason::Internal, "the run began after its deadline"));
    }
    match timeout_at(deadline, run.drive()).await {
        Ok(verdict) => verdict,
        Err(_) => Err(run.expire(timeout)),
    }
}

fn basic(username: &str, password: &str) -> HeaderValue {
    let pair = BASE64_STANDARD.encode(format!("{username}:{password}"));
    secret_header(&format!("Basic {pair}")).expect("base64 is ASCII")
}

impl Probe for HttpProber {
    async fn run(&self, deadline: Instant) -> Observation {
        // Boxed, so that a target that waits for its turn holds a pointer and not the state of a run.
        Box::pin(self.observe(deadline)).await
    }
}
