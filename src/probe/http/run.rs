//! One run: hop after hop to the final response, then its body, then the rules.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, REFERER, TRAILER, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::body::Body;
use super::cookies::Jar;
use super::dress::{Names, dress};
use super::redirect::{self, MOST_REDIRECTS};
use super::text::Told;
use super::transport::{Outgoing, Progress};
use super::{Authorization, HttpProber, evidence, reason, rules};
use crate::observation::{Detail, Failure, HttpDetail, Observation, Outcome, Reason};
use crate::probe::address::Scope;
use crate::probe::trace_context::RunTrace;

/// What a run has seen so far. It is kept outside of the future that the deadline may drop.
pub(super) struct Run<'a> {
    prober: &'a HttpProber,
    progress: Progress,
    /// While a token is being fetched.
    token: Option<Progress>,
    detail: HttpDetail,
    chain: Vec<Box<str>>,
    /// Status and header rules are judged before the body is read, and win over what happens to it.
    verdict: Option<Failure>,
    body: Option<Body>,
    trace: Option<RunTrace>,
    /// For a fetch: the answer, when it has come and is good.
    fetched: Option<Fetched>,
}

/// What is fetched for others than the rules.
#[derive(Debug, Default)]
pub struct Fetched {
    pub content_type: Option<HeaderValue>,
    pub body: Vec<u8>,
}

/// The next request, as redirects have changed it.
struct Hop {
    url: Url,
    method: Method,
    keeps_body: bool,
    keeps_credentials: bool,
    keeps_host: bool,
    /// The URL was written with the port of its scheme.
    names_port: bool,
    /// The page that led here, where it may be told.
    referer: Option<HeaderValue>,
}

impl<'a> Run<'a> {
    pub(super) fn new(prober: &'a HttpProber) -> Self {
        let settings = &prober.settings;
        let has_cel = settings.fail_if_json_matches.is_some() || settings.fail_if_json_not_matches.is_some();
        Self {
            prober,
            progress: Progress::new(),
            token: None,
            detail: HttpDetail { failed_cel: has_cel.then_some(false), ..HttpDetail::default() },
            chain: Vec::new(),
            verdict: None,
            body: None,
            trace: RunTrace::begin(settings.trace_context),
            fetched: None,
        }
    }

    /// A run whose answer is wanted.
    pub(super) fn fetch(prober: &'a HttpProber) -> Self {
        Self { fetched: Some(Fetched::default()), ..Self::new(prober) }
    }

    /// The answer of a fetch that succeeded.
    pub(super) fn into_fetched(self) -> Fetched {
        self.fetched.unwrap_or_default()
    }

    /// Runs to the verdict.
    pub(super) async fn drive(&mut self) -> Result<(), Failure> {
        let settings = &self.prober.settings;
        let mut hop = Hop {
            url: self.prober.url.clone(),
            method: settings.method.clone(),
            keeps_body: true,
            keeps_credentials: true,
            keeps_host: true,
            names_port: self.prober.names_port,
            referer: None,
        };
        let mut jar = Jar::default();
        let mut token_renewed = false;
        loop {
            let (response, token_was_cached) = self.exchange(&mut hop, &mut jar).await?;
            if response.status() == StatusCode::UNAUTHORIZED && token_was_cached && !token_renewed {
                self.prober.authorization.forget_token();
                token_renewed = true;
                continue;
            }
            let redirect = redirect::next(response.status(), response.headers(), &hop.url, &hop.method);
            let at_limit = match redirect {
                None => false,
                Some(redirect) => {
                    self.detail.redirects += 1;
                    if settings.follow_redirects && self.detail.redirects <= MOST_REDIRECTS {
                        self.follow(&mut hop, redirect)?;
                        continue;
                    }
                    settings.follow_redirects
                }
            };
            return self.judge(&hop, response, at_limit).await;
        }
    }

    async fn exchange(&mut self, hop: &mut Hop, jar: &mut Jar) -> Result<(reqwest::Response, bool), Failure> {
        let prober = self.prober;
        let settings = &prober.settings;
        let mut headers = settings.headers.clone();
        if !hop.keeps_body {
            redirect::strip_content(&mut headers);
        }
        let mut token_was_cached = false;
        if hop.keeps_credentials {
            token_was_cached = self.authorize(&mut headers).await?;
        } else {
            redirect::strip_credentials(&mut headers);
        }
        let names = Names {
            host_header: hop.keeps_host,
            server_name: redirect::is_home(&hop.url, &prober.home()),
            proxied: prober.transport.proxy(&hop.url).is_some(),
            default_port: hop.names_port && (hop.url.scheme() == "http" || !prober.may_speak_http2),
        };
        let dressed = dress(settings, &hop.url, names);
        let here = redirect::referer(&dressed.url, dressed.host.as_ref());
        if let Some(host) = dressed.host {
            headers.insert(HOST, host);
        }
        let body = if hop.keeps_body { settings.body.clone() } else { Bytes::new() };
        frame(&mut headers, &hop.method, &body);
        // The configured one, if there is any, stays on every hop, as with Go's client.
        if let (Some(referer), false) = (&hop.referer, headers.contains_key(REFERER)) {
            headers.insert(REFERER, referer.clone());
        }
        hop.referer = here;
        // As the incumbent: the server need not keep the connection, and the wait after a close (TIME_WAIT) is its own.
        headers.entry(CONNECTION).or_insert(HeaderValue::from_static("close"));
        if let Some(trace) = &self.trace {
            trace.add_to(&mut headers);
        }
        // Cookies belong to the name that the server knows itself by.
        jar.add_to(&mut headers, &dressed.url);
        let outgoing = Outgoing { target: &hop.url, wire: dressed.url, method: hop.method.clone(), headers, body };
        let response = prober.transport.exchange(&mut self.progress, outgoing).await?;
        jar.store(response.headers(), response.url());
        Ok((response, token_was_cached))
    }

    /// Adds the credentials; true when they are a token that an earlier run fetched.
    async fn authorize(&mut self, headers: &mut HeaderMap) -> Result<bool, Failure> {
        match &self.prober.authorization {
            Authorization::None => Ok(false),
            Authorization::Header(value) => {
                // A header of one's own wins, as in the incumbent; it has a token of OAuth 2 win over the header.
                if headers.get(AUTHORIZATION).is_none_or(HeaderValue::is_empty) {
                    headers.insert(AUTHORIZATION, value.clone());
                }
                Ok(false)
            }
            Authorization::Token(source, oauth) => {
                let progress = self.token.insert(Progress::new());
                // The token's server is the config's choice, whoever chose the target.
                let bearer = Scope::default().around(source.bearer(oauth, progress)).await.map_err(of_token)?;
                self.token = None;
                headers.insert(AUTHORIZATION, bearer.header);
                Ok(bearer.cached)
            }
        }
    }

    fn follow(
        &mut self,
        hop: &mut Hop,
        redirect: Result<redirect::Next, redirect::BadRedirect>,
    ) -> Result<(), Failure> {
        let next = redirect.map_err(|error| Failure::new(Reason::HttpRedirect, error.to_string()))?;
        self.chain.push(evidence::public(&next.url).into());
        if hop.url.scheme() == "https" && next.url.scheme() == "http" {
            hop.referer = None;
        }
        hop.keeps_credentials &= redirect::keeps_credentials(&hop.url, &next.url, &self.prober.home());
        hop.keeps_host &= next.relative;
        hop.names_port = if next.relative { hop.names_port } else { next.names_port };
        hop.keeps_body &= next.keeps_body;
        hop.method = next.method;
        hop.url = next.url;
        Ok(())
    }

    async fn judge(&mut self, hop: &Hop, mut response: reqwest::Response, at_limit: bool) -> Result<(), Failure> {
        let settings = &self.prober.settings;
        self.progress.begin_reading();
        let ssl = hop.url.scheme() == "https";
        let version = response.version();
        self.note(&hop.method, &response, ssl);
        self.verdict = rules::status(settings, response.status()).err().map(|failure| match at_limit {
            true => Failure::new(Reason::HttpRedirect, format!("more than {MOST_REDIRECTS} redirects")),
            false => self.prober.transport.refusal(&hop.url, response.status()).unwrap_or(failure),
        });
        if self.verdict.is_none() {
            self.verdict = rules::headers(settings, response.headers()).err();
            self.detail.failed_regex = Some(self.verdict.is_some());
        }

        if let Some(fetched) = &mut self.fetched {
            fetched.content_type = response.headers().get(CONTENT_TYPE).cloned();
        }
        let body = self.body.insert(Body::new(settings, self.fetched.is_some()));
        let read = body.read(&mut response).await.map_err(|error| reason::body(&error, body.meter()));
        let told = Told::by(response.headers());
        // Closes the connection.
        drop(response);
        self.progress.end_reading();
        if let Some(failure) = self.verdict.take() {
            return Err(failure);
        }
        read?;

        let meter = body.meter_mut();
        // The rules take the body away, so the evidence is cut from it first.
        self.detail.body_excerpt = meter.take_excerpt();
        if let Some(whole) = meter.take_whole() {
            if let Some(fetched) = &mut self.fetched {
                fetched.body = whole.bytes;
                return Ok(());
            }
            let verdict = rules::body(settings, told, whole).await;
            if let Some(failure) = verdict.regex {
                self.detail.failed_regex = Some(failure.reason == Reason::BodyMismatch);
                return Err(failure);
            }
            if let Some(failure) = verdict.cel {
                self.detail.failed_cel = Some(true);
                return Err(failure);
            }
        }
        rules::version(settings, version)?;
        rules::ssl(settings, ssl)
    }

    fn note(&mut self, method: &Method, response: &reqwest::Response, ssl: bool) {
        let headers = response.headers();
        self.detail.status = Some(response.status().as_u16());
        self.detail.version = evidence::version(response.version());
        self.detail.content_length = Some(evidence::content_length(method, response.status(), headers));
        self.detail.ssl = Some(ssl);
        self.detail.failed_regex = Some(false);
        self.detail.last_modified = evidence::last_modified(headers);
        self.detail.headers = evidence::headers(headers);
    }

    /// Why the deadline ended the run.
    pub(super) fn expire(&mut self, timeout: Duration) -> Failure {
        match &mut self.token {
            Some(progress) => of_token(progress.expire(timeout)),
            None => {
                let failure = self.progress.expire(timeout);
                self.verdict.take().unwrap_or(failure)
            }
        }
    }

    fn is_at_home(&self, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| {
            url.host_str() == self.prober.url.host_str()
                && url.port_or_known_default() == self.prober.url.port_or_known_default()
        })
    }

    pub(super) fn into_observation(
        mut self,
        started: SystemTime,
        begun: Instant,
        timeout: Duration,
        mut outcome: Outcome,
    ) -> Observation {
        if let Some(body) = &mut self.body {
            let meter = body.meter_mut();
            self.detail.body_length = Some(meter.length);
            if self.detail.body_excerpt.is_empty() {
                self.detail.body_excerpt = meter.take_excerpt();
            }
        }
        if let Outcome::Down(failure) = &mut outcome
            && failure.reason.is_of_answer()
        {
            failure.sentence = format!("{}{}", failure.sentence, evidence::remarks(&self.detail)).into();
        }
        if let (Outcome::Down(failure), Some(url)) = (&mut outcome, self.chain.last())
            && (self.detail.status.is_none() || !self.is_at_home(url))
        {
            // The failing peer is not the one that the target names.
            let redirects = match self.chain.len() {
                1 => "1 redirect".to_owned(),
                many => format!("{many} redirects"),
            };
            failure.sentence = format!("{}, at {url} after {redirects}", failure.sentence).into();
        }
        self.detail.phases = self.progress.phases;
        self.detail.trace_id = self.trace.filter(|_| self.progress.asked()).map(|trace| trace.id());
        self.detail.redirect_chain = self.chain.into();
        self.detail.proxy = self.progress.proxy();
        Observation {
            started,
            elapsed: begun.elapsed(),
            timeout,
            outcome,
            tls: self.progress.tls(),
            resolution: self.progress.resolution.take(),
            detail: Detail::Http(Box::new(self.detail)),
            addresses: Box::default(),
        }
    }
}

/// What frames the body is ours to say, whatever the config's headers say of it (Go leaves those out too): a length for a
/// body, and a zero for the methods that define one (RFC 9110, 8.6), which strict servers ask for with status 411.
fn frame(headers: &mut HeaderMap, method: &Method, body: &Bytes) {
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING, TRAILER] {
        headers.remove(name);
    }
    if body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(method) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

fn of_token(failure: Failure) -> Failure {
    Failure::new(failure.reason, format!("OAuth2 token request: {}", failure.sentence))
}

impl Authorization {
    fn forget_token(&self) {
        if let Self::Token(source, _) = self {
            source.forget();
        }
    }
}
