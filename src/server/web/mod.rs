//! Who may talk to the server, and how: TLS, passwords, rate, headers, by `--web.config.file`.
//!
//! The file and what it names are looked at again while the server runs, so certificates and users rotate without a
//! restart. One that has become bad changes nothing and is logged.

mod auth;
mod tls;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tracing::{error, info};

use self::auth::Passwords;
use super::text::{Answer, plain};
use crate::config::ConfigErrors;
use crate::config::web::{RateLimit, WebConfig};

/// How often the files are looked at, when connections come.
const FRESHNESS: Duration = Duration::from_secs(1);

/// The settings in force. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Web(Arc<Inner>);

struct Inner {
    path: Option<PathBuf>,
    current: RwLock<Arc<Current>>,
    looked: Mutex<Instant>,
    passwords: Passwords,
    bucket: Mutex<Bucket>,
}

/// One edition of the file, ready for use.
struct Current {
    config: WebConfig,
    acceptor: Option<TlsAcceptor>,
}

/// Requests that may still come at once.
struct Bucket {
    tokens: f64,
    filled: Instant,
}

#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error("{path}: the TLS settings cannot be used: {source}", path = .path.display())]
    Tls { path: PathBuf, source: rustls::Error },
}

impl Default for Web {
    /// Without a file: no TLS, no passwords.
    fn default() -> Self {
        Self::of(None, Current { config: WebConfig::absent(), acceptor: None })
    }
}

impl Web {
    /// # Errors
    /// Every problem of the file.
    pub fn load(path: &Path) -> Result<Self, WebError> {
        Ok(Self::of(Some(path.to_owned()), Current::load(path)?))
    }

    fn of(path: Option<PathBuf>, current: Current) -> Self {
        let now = Instant::now();
        Self(Arc::new(Inner {
            path,
            current: RwLock::new(Arc::new(current)),
            looked: Mutex::new(now),
            passwords: Passwords::default(),
            bucket: Mutex::new(Bucket { tokens: f64::MAX, filled: now }),
        }))
    }

    /// Whether connections begin with TLS.
    pub fn is_tls(&self) -> bool {
        self.current().acceptor.is_some()
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.0.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The acceptor for a connection that begins now; files that changed are read again first.
    pub(super) async fn acceptor(&self) -> Option<TlsAcceptor> {
        self.refresh().await;
        self.current().acceptor.clone()
    }

    async fn refresh(&self) {
        let Some(path) = self.0.path.clone() else { return };
        {
            let mut looked = self.0.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.elapsed() < FRESHNESS {
                return;
            }
            *looked = Instant::now();
        }
        let current = self.current();
        // Files may be on a slow disk, and a key is held against its certificate.
        let fresh = tokio::task::spawn_blocking(move || current.config.has_changed().then(|| Current::load(&path)));
        match fresh.await {
            Ok(None) | Err(_) => {}
            Ok(Some(Ok(fresh))) => {
                info!("The web config was loaded again.");
                *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
            }
            Ok(Some(Err(problems))) => {
                error!(error = %problems, "The web config has changed and cannot be used; the one before stays in force.");
            }
        }
    }

    /// Whether the request may be answered. `path` is that below the route prefix, if it is there.
    ///
    /// # Errors
    /// The answer to one that may not: too many, or no password.
    pub(super) async fn admit(&self, head: &Parts, path: Option<&str>) -> Result<(), Box<Answer>> {
        // A connection may be kept for long, so each request looks too.
        self.refresh().await;
        let current = self.current();
        if let Some(limit) = current.config.rate_limit
            && !self.take_token(limit)
        {
            let mut answer = plain(StatusCode::TOO_MANY_REQUESTS, "too many requests (rate_limit of the web config)");
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return Err(Box::new(answer));
        }
        let is_excluded = path.is_some_and(|path| current.config.auth_excluded_paths.iter().any(|known| known == path));
        if is_excluded {
            return Ok(());
        }
        if current.config.users.is_empty() || self.0.passwords.check(&current.config.users, &head.headers).await {
            return Ok(());
        }
        let mut answer = plain(StatusCode::UNAUTHORIZED, "Unauthorized");
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
        Err(Box::new(answer))
    }

    /// The headers that go on every answer.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        let current = self.current();
        for (name, value) in &current.config.headers {
            headers.insert(name.clone(), value.clone());
        }
    }

    fn take_token(&self, limit: RateLimit) -> bool {
        let mut bucket = self.0.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let came = now.saturating_duration_since(bucket.filled).as_secs_f64() / limit.interval.as_secs_f64();
        bucket.tokens = (bucket.tokens + came).min(f64::from(limit.burst) + 1.0);
        bucket.filled = now;
        let some = bucket.tokens >= 1.0;
        if some {
            bucket.tokens -= 1.0;
        }
        some
    }
}

impl Current {
    fn load(path: &Path) -> Result<Self, WebError> {
        let config = WebConfig::load(path)?;
        let acceptor = match &config.tls {
            None => None,
            Some(settings) => {
                let server = tls::server_config(settings, config.http2)
                    .map_err(|source| WebError::Tls { path: path.to_owned(), source })?;
                Some(TlsAcceptor::from(Arc::new(server)))
            }
        };
        Ok(Self { config, acceptor })
    }
}
