//! Bearer tokens by the client credentials grant (RFC 6749, 4.4) or a signed assertion (RFC 7523), kept until shortly before they expire.
//!
//! A token is fetched by the first run that needs one, not by every run, and again when it expires or is refused.
//! The fetch belongs to no phase. Its failures carry the reason of their own stage; the sentence says what they are of.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::Instant;
use url::form_urlencoded;

use super::assertion::Signer;
use super::json;
use super::transport::{Needs, Outgoing, Progress, Transport};
use crate::config::http::{OAuth2Grant, OAuth2Settings};
use crate::config::{HttpSettings, IpPreference, Secret};
use crate::observation::{Failure, Reason};
use crate::probe::tls::Alpn;
use crate::probe::{ProberError, Shared};

/// Taken off the lifetime, so that a token does not expire on its way; Go's value.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const MOST_ANSWER_BYTES: usize = 1 << 20;
/// What the values of an answer may take.
const MOST_TOKEN_MEMORY: usize = 64 << 20;

/// The tokens of one prober.
pub(super) struct TokenSource {
    transport: Transport,
    cached: Mutex<Option<Token>>,
    /// The server wants the client's id and secret in the form instead of the header.
    in_form: AtomicBool,
    /// Of the grant that takes an assertion.
    signer: Option<Signer>,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    expires: Option<Instant>,
}

/// An `Authorization` value.
pub(super) struct Bearer {
    pub(super) header: HeaderValue,
    /// From an earlier run, so it may have been revoked since.
    pub(super) cached: bool,
}

impl TokenSource {
    pub(super) fn new(settings: &HttpSettings, oauth: &OAuth2Settings, shared: &Shared) -> Result<Self, ProberError> {
        // The family that the module prefers is the target's affair; the token may come from anywhere.
        let any_family = IpPreference { fallback: true, ..settings.ip };
        let needs = Needs {
            tls: &oauth.tls,
            alpn: Alpn::Http1,
            proxy: &oauth.proxy,
            dns_servers: &settings.dns_servers,
            ip: any_family,
            home: &oauth.token_url,
        };
        let transport = Transport::new(needs, shared)?;
        let signer = match &oauth.grant {
            OAuth2Grant::ClientCredentials { .. } => None,
            OAuth2Grant::JwtBearer(jwt) => Some(Signer::new(jwt)?),
        };
        Ok(Self { transport, cached: Mutex::default(), in_form: AtomicBool::new(false), signer })
    }

    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    pub(super) async fn bearer(&self, oauth: &OAuth2Settings, progress: &mut Progress) -> Result<Bearer, Failure> {
        let known = self.lock().clone();
        if let Some(token) = known.filter(|token| token.expires.is_none_or(|expires| Instant::now() < expires)) {
            return Ok(Bearer { header: token.header, cached: true });
        }
        let token = self.fetch(oauth, progress).await?;
        *self.lock() = Some(token.clone());
        Ok(Bearer { header: token.header, cached: false })
    }

    async fn fetch(&self, oauth: &OAuth2Settings, progress: &mut Progress) -> Result<Token, Failure> {
        let status = match (&oauth.grant, &self.signer) {
            (OAuth2Grant::ClientCredentials { client_secret }, _) => {
                return self.fetch_by_secret(oauth, client_secret, progress).await;
            }
            (OAuth2Grant::JwtBearer(jwt), Some(signer)) => {
                let assertion = signer.assertion(jwt, &oauth.client_id, &oauth.scopes, SystemTime::now());
                let assertion = assertion
                    .ok_or_else(|| Failure::new(Reason::Internal, "the assertion could not be signed with the key"))?;
                let (status, answer) = self.ask(oauth, None, assertion_form(oauth, &assertion), progress).await?;
                if status.is_success() {
                    return token(&answer);
                }
                status
            }
            (OAuth2Grant::JwtBearer(_), None) => {
                return Err(Failure::new(Reason::Internal, "there is no key to sign with"));
            }
        };
        Err(bad_status(status))
    }

    /// Tries the header first (RFC 6749, 2.3.1), then the form, and remembers what worked.
    async fn fetch_by_secret(
        &self,
        oauth: &OAuth2Settings,
        client_secret: &Secret,
        progress: &mut Progress,
    ) -> Result<Token, Failure> {
        let in_form = self.in_form.load(Ordering::Relaxed);
        let mut first = None;
        for in_form in [in_form, !in_form] {
            let (header, form) = if in_form {
                (None, form(oauth, Some(client_secret)))
            } else {
                (Some(client_header(oauth, client_secret)), form(oauth, None))
            };
            let (status, answer) = self.ask(oauth, header, form, progress).await?;
            if status.is_success() {
                self.in_form.store(in_form, Ordering::Relaxed);
                return token(&answer);
            }
            let status = *first.get_or_insert(status);
            if !status.is_client_error() {
                return Err(bad_status(status));
            }
        }
        Err(bad_status(first.unwrap_or_default()))
    }

    async fn ask(
        &self,
        oauth: &OAuth2Settings,
        authorization: Option<HeaderValue>,
        form: String,
        progress: &mut Progress,
    ) -> Result<(StatusCode, Answer), Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value);
        }
        let outgoing = Outgoing {
            target: &oauth.token_url,
            wire: oauth.token_url.url().clone(),
            method: Method::POST,
            headers,
            body: Bytes::from(form),
        };
        let mut response = self.transport.exchange(progress, outgoing).await?;
        progress.begin_reading();
        let status = response.status();
        if let Some(refusal) = self.transport.refusal(&oauth.token_url, status) {
            return Err(refusal);
        }
        let is_form = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() <= MOST_ANSWER_BYTES => bytes.extend_from_slice(&chunk),
                Ok(Some(_)) => return Err(Failure::new(Reason::BodyTooLarge, "the answer is larger than 1 MiB")),
                Ok(None) => break,
                Err(_) => return Err(Failure::new(Reason::ResponseTruncated, "the answer broke off")),
            }
        }
        progress.end_reading();
        Ok((status, Answer { bytes, is_form }))
    }

    /// Never held across an await.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Token>> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bad_status(status: StatusCode) -> Failure {
    Failure::new(Reason::HttpStatus, format!("the status is {}, expected 2xx", status.as_u16()))
}

fn form(oauth: &OAuth2Settings, client_secret: Option<&Secret>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !oauth.scopes.is_empty() {
        form.append_pair("scope", &oauth.scopes.join(" "));
    }
    for (name, value) in &oauth.endpoint_params {
        form.append_pair(name, value);
    }
    if let Some(client_secret) = client_secret {
        form.append_pair("client_id", &oauth.client_id);
        form.append_pair("client_secret", client_secret.expose());
    }
    form.finish()
}

/// RFC 7523, 2.1.
fn assertion_form(oauth: &OAuth2Settings, assertion: &str) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", JWT_BEARER).append_pair("assertion", assertion);
    form.extend_pairs(&oauth.endpoint_params);
    form.finish()
}

/// Id and secret are form-encoded before they are joined (RFC 6749, 2.3.1).
fn client_header(oauth: &OAuth2Settings, client_secret: &Secret) -> HeaderValue {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(&oauth.client_id), encode(client_secret.expose()));
    secret_header(&format!("Basic {}", BASE64_STANDARD.encode(pair))).expect("base64 is ASCII")
}

/// A header value that is not printed; `None` when `text` cannot be one.
pub(super) fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

struct Answer {
    bytes: Vec<u8>,
    is_form: bool,
}

/// What is of interest in a token server's answer.
enum Field {
    Text(String),
    Number(f64),
    Fields(Vec<(String, Field)>),
    Other,
}

struct Fields;

impl<'b> json::Build<'b> for Fields {
    type Value = Field;

    fn null(&self) -> Field {
        Field::Other
    }

    fn bool(&self, _: bool) -> Field {
        Field::Other
    }

    fn number(&self, value: f64) -> Field {
        Field::Number(value)
    }

    fn text(&self, text: Cow<'b, str>) -> Field {
        Field::Text(text.into_owned())
    }

    fn list(&self, _: Vec<Field>, _: usize) -> Field {
        Field::Other
    }

    fn map(&self, entries: Vec<(Cow<'b, str>, Field)>, depth: usize) -> Field {
        match depth {
            0 => Field::Fields(entries.into_iter().map(|(key, value)| (key.into_owned(), value)).collect()),
            _ => Field::Other,
        }
    }
}

fn token(answer: &Answer) -> Result<Token, Failure> {
    let bad = |what: &str| Failure::new(Reason::ProtocolError, format!("the answer {what}"));
    let fields: Vec<(String, Field)> = if answer.is_form {
        form_urlencoded::parse(&answer.bytes)
            .map(|(name, value)| (name.into_owned(), Field::Text(value.into_owned())))
            .collect()
    } else {
        match json::parse(&answer.bytes, &Fields, MOST_TOKEN_MEMORY) {
            Ok(Field::Fields(fields)) => fields,
            Ok(_) => return Err(bad("is not a JSON object")),
            Err(json::Fault::NotJson(what)) => return Err(bad(&format!("is not a JSON object: {what}"))),
            Err(json::Fault::TooLarge) => return Err(bad("is a JSON object of too many values")),
        }
    };
    // As in Go: names in any case, and the last one counts, unless it is null.
    let field = |name: &str| {
        let mut named = fields.iter().rev().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.find(|(_, value)| !matches!(value, Field::Other)).map(|(_, value)| value)
    };
    let text = |name: &str| match field(name) {
        Some(Field::Text(text)) if !text.is_empty() => Some(text.as_str()),
        _ => None,
    };
    let access_token = text("access_token").ok_or_else(|| bad("has no access_token"))?;
    let scheme = match text("token_type") {
        None => "Bearer",
        Some(kind) if kind.eq_ignore_ascii_case("bearer") => "Bearer",
        Some(kind) => kind,
    };
    let header = secret_header(&format!("{scheme} {access_token}"))
        .ok_or_else(|| bad("has an access_token that is not fit for a header"))?;
    // Some servers send the number as text. A lifetime that is missing, zero or odd means "does not expire", as in Go.
    let lifetime = match field("expires_in") {
        Some(Field::Text(text)) => text.parse().ok(),
        Some(Field::Number(number)) => Some(*number),
        Some(Field::Fields(_) | Field::Other) | None => None,
    };
    let expires = lifetime
        .filter(|seconds: &f64| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .and_then(|lifetime| Instant::now().checked_add(lifetime.saturating_sub(EXPIRY_MARGIN)));
    Ok(Token { header, expires })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(bytes: &[u8]) -> Option<String> {
        let token = token(&Answer { bytes: bytes.to_vec(), is_form: false }).ok()?;
        Some(token.header.to_str().unwrap().to_owned())
    }

    #[test]
    fn json_is_read_as_go_reads_it() {
        let deep = format!("{{\"x\":{}{},\"access_token\":\"t\"}}", "[".repeat(9999), "]".repeat(9999));
        for (bytes, wanted) in [
            (&b"{\"access_token\":\"t\",\"owner\":\"M\xfcller\"}"[..], Some("Bearer t")),
            (b"{\"access_token\":\"t\",\"x\":\"\\ud800\"}", Some("Bearer t")),
            (b"{\"access_token\":\"s\",\"access_token\":\"t\"}", Some("Bearer t")),
            (b"{\"access_token\":\"t\",\"access_token\":null}", Some("Bearer t")),
            (b"{\"Access_Token\":\"t\",\"TOKEN_TYPE\":\"MAC\"}", Some("MAC t")),
            (deep.as_bytes(), Some("Bearer t")),
            (b"{\"access_token\":\"t\"} x", None),
            (b"\xef\xbb\xbf{\"access_token\":\"t\"}", None),
            (b"[{\"access_token\":\"t\"}]", None),
            (b"{\"x\":{\"access_token\":\"t\"}}", None),
        ] {
            assert_eq!(read(bytes).as_deref(), wanted, "{}", bytes.escape_ascii());
        }
    }

    fn parsed(text: &str, is_form: bool) -> Option<(String, bool)> {
        let token = token(&Answer { bytes: text.as_bytes().to_vec(), is_form }).ok()?;
        Some((token.header.to_str().unwrap().to_owned(), token.expires.is_some()))
    }

    #[test]
    fn answers_of_many_servers_are_read() {
        for (text, is_form, wanted) in [
            (r#"{"access_token":"t","token_type":"bearer","expires_in":3600}"#, false, Some(("Bearer t", true))),
            (r#"{"access_token":"t","expires_in":"60"}"#, false, Some(("Bearer t", true))),
            (r#"{"access_token":"t","token_type":"MAC","expires_in":0}"#, false, Some(("MAC t", false))),
            (r#"{"access_token":"t","expires_in":1e300}"#, false, Some(("Bearer t", false))),
            ("access_token=t&token_type=Bearer", true, Some(("Bearer t", false))),
            (r#"{"access_token":""}"#, false, None),
            (r#"{"access_token":"a\nb"}"#, false, None),
            (r#"{"error":"invalid_client"}"#, false, None),
            ("[]", false, None),
            ("", false, None),
        ] {
            let wanted = wanted.map(|(header, expires)| (header.to_owned(), expires));
            assert_eq!(parsed(text, is_form), wanted, "{text}");
        }
    }
}
