//! reqwest clients, built once for equal needs and shared: pooling, redirects, retries and its own proxies are off.
//!
//! A client is told where to connect by the hop that runs it (`trace.rs`), so one client serves every target that has
//! the same TLS settings and the same proxy.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tower_layer::Layer;
use tower_service::Service;
use url::Url;

use super::trace::{Dial, HopTrace};
use crate::probe::ProberError;
use crate::probe::address::Scope;
use crate::probe::http1::MOST_HEADERS;

/// Bytes of a response's header list over HTTP/2, as SETTINGS counts them.
pub(super) const LARGEST_HEADER_LIST: u32 = 1 << 20;

/// A reqwest client with what it was built from.
pub(super) struct Client {
    pub(super) inner: reqwest::Client,
    /// Keeps the address alive that the cache knows it by.
    _tls: Arc<rustls::ClientConfig>,
    proxy: Option<ProxyKey>,
    interface: Option<Box<str>>,
}

/// What distinguishes clients of one TLS config.
#[derive(Clone, PartialEq)]
pub(super) struct ProxyKey {
    /// Normalised: SOCKS as `socks5h`, with its port.
    pub(super) url: Url,
    /// Headers of the CONNECT request; empty for a client of plain `http` URLs.
    pub(super) connect_headers: http::HeaderMap,
}

/// Clients in use, by their TLS config and proxy.
#[derive(Default)]
pub struct Clients {
    by_tls: Mutex<HashMap<usize, Vec<Weak<Client>>>>,
}

impl Clients {
    /// Clients that a prober holds.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        let by_tls = self.by_tls.lock().unwrap_or_else(PoisonError::into_inner);
        by_tls.values().flatten().filter(|client| client.strong_count() > 0).count()
    }

    /// The client for these needs, built when no prober holds one. With an interface, it connects from there alone.
    pub(super) fn client(
        &self,
        tls: &Arc<rustls::ClientConfig>,
        proxy: Option<&ProxyKey>,
        interface: Option<&str>,
    ) -> Result<Arc<Client>, ProberError> {
        let mut by_tls = self.by_tls.lock().unwrap_or_else(PoisonError::into_inner);
        // A client keeps its TLS config alive, so an address with a live client is still that config's.
        let siblings = by_tls.entry(Arc::as_ptr(tls) as usize).or_default();
        let fits = |client: &Arc<Client>| client.proxy.as_ref() == proxy && client.interface.as_deref() == interface;
        if let Some(client) = siblings.iter().filter_map(Weak::upgrade).find(fits) {
            return Ok(client);
        }
        let client = Arc::new(Client {
            inner: build(tls, proxy, interface).map_err(ProberError::Client)?,
            _tls: Arc::clone(tls),
            proxy: proxy.cloned(),
            interface: interface.map(Into::into),
        });
        siblings.push(Arc::downgrade(&client));
        by_tls.retain(|_, siblings| {
            siblings.retain(|client| client.strong_count() > 0);
            !siblings.is_empty()
        });
        Ok(client)
    }
}

fn build(
    tls: &Arc<rustls::ClientConfig>,
    proxy: Option<&ProxyKey>,
    interface: Option<&str>,
) -> Result<reqwest::Client, reqwest::Error> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured((**tls).clone())
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        // One connection a hop, closed after it.
        .pool_max_idle_per_host(0)
        // The run has its own deadline; these would end it early, and cost a system call each.
        .tcp_keepalive(None)
        .tcp_keepalive_interval(None)
        .tcp_keepalive_retries(None)
        .tcp_user_timeout(None)
        .tcp_nodelay(true)
        // As the incumbent writes them; there are devices that read names by their case.
        .http1_title_case_headers()
        // What old servers and devices send, and what a connection for one exchange can take without danger.
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_max_headers(MOST_HEADERS)
        .http2_max_header_list_size(LARGEST_HEADER_LIST)
        .dns_resolver(Arc::new(HopResolver))
        .connector_layer(MarkConnect)
        .no_proxy();
    if let Some(interface) = interface {
        builder = builder.interface(interface);
    }
    if let Some(key) = proxy {
        let mut proxy = reqwest::Proxy::all(key.url.clone())?;
        if !key.connect_headers.is_empty() {
            proxy = proxy.headers(key.connect_headers.clone());
        }
        builder = builder.proxy(proxy);
    }
    builder.build()
}

/// Answers with the one address that the hop wants dialled, so that exactly one connection is tried.
struct HopResolver;

/// Asked for a name outside of a hop, or for a proxy's name that has no address.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct LookupRefused(Box<str>);

impl Resolve for HopResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Some(hop) = HopTrace::current() else {
            return Box::pin(async { Err(LookupRefused("no hop is running".into()).into()) });
        };
        match hop.dial.clone() {
            Dial::Target(address) => {
                let addresses: Addrs = Box::new(std::iter::once(address));
                Box::pin(std::future::ready(Ok(addresses)))
            }
            Dial::Quic => Box::pin(async { Err(LookupRefused("QUIC asks for no name".into()).into()) }),
            Dial::Proxy { resolver, ip, tunnel: _ } => Box::pin(async move {
                // The proxy is the config's choice, whoever chose the target.
                match Scope::default().around(resolver.resolve(name.as_str(), ip)).await {
                    // Port 0 means "the one of the URL".
                    Ok(resolution) => match resolution.chosen {
                        Some(ip) => Ok(Box::new(std::iter::once(SocketAddr::new(ip, 0))) as Addrs),
                        None => Err(LookupRefused("no address".into()).into()),
                    },
                    Err(error) => {
                        let sentence = error.failure.sentence.clone();
                        hop.proxy_lookup_failed(error.failure);
                        Err(LookupRefused(sentence).into())
                    }
                }
            }),
        }
    }
}

/// The layer around reqwest's connector that marks when connecting starts and ends.
#[derive(Clone)]
struct MarkConnect;

#[derive(Clone)]
struct MarkedConnect<S>(S);

impl<S> Layer<S> for MarkConnect {
    type Service = MarkedConnect<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MarkedConnect(inner)
    }
}

impl<S, R> Service<R> for MarkedConnect<S>
where
    S: Service<R>,
    S::Future: Unpin,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Marked<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let hop = HopTrace::current();
        if let Some(hop) = &hop {
            hop.connect_started();
        }
        Marked { inner: self.0.call(request), hop }
    }
}

struct Marked<F> {
    inner: F,
    hop: Option<Arc<HopTrace>>,
}

impl<F, T, E> Future for Marked<F>
where
    F: Future<Output = Result<T, E>> + Unpin,
{
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.inner).poll(cx);
        if let Some(hop) = &self.hop {
            match &polled {
                Poll::Ready(result) => hop.connect_ended(result.is_ok()),
                // Only a proxy's connection has two handshakes to tell apart.
                Poll::Pending if hop.is_proxied() => hop.connect_progressed(),
                Poll::Pending => {}
            }
        }
        polled
    }
}
