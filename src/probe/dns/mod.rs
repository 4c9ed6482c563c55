//! The DNS prober: one question to one server, over UDP, TCP, TLS or HTTPS, and rules on the answer.
//!
//! `message` writes the question and reads the answer, `record` shows records as the incumbent's library does, `rules`
//! judges, `exchange` is the wire. Unlike the incumbent's, a truncated answer is asked for again over TCP, and a datagram
//! that is lost is sent once more: neither is a fault of the server.

mod exchange;
mod message;
mod record;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::{Instant, timeout_at};

use self::exchange::Exchange;
use self::message::Question;
use super::dial::{Destination, Dialer, Dialing, seconds};
use super::tls::Alpn;
use super::{Probe, ProberError, Shared};
use crate::config::dns::DnsTransport;
use crate::config::{DnsServer, DnsSettings};
use crate::observation::{Detail, DnsDetail, Failure, Observation, Outcome, Reason};

/// Asks one server.
pub struct DnsProber {
    settings: Arc<DnsSettings>,
    dialer: Dialer,
    route: Route,
}

/// How the question travels.
enum Route {
    Udp,
    /// TLS is a matter of the dialer.
    Stream,
    Https(url::Url),
}

/// The question of such a target, as a datagram.
pub(super) fn question(settings: &DnsSettings) -> Vec<u8> {
    Question::new(settings).bytes
}

impl DnsProber {
    /// # Errors
    /// TLS settings that cannot be used.
    pub fn new(settings: Arc<DnsSettings>, server: &DnsServer, shared: &Arc<Shared>) -> Result<Self, ProberError> {
        let (host, port, route, alpn) = match server {
            DnsServer::Url(url) => {
                let host = url.host();
                (
                    host,
                    url.port_or_known_default().unwrap_or(443),
                    Route::Https(url.url().clone()),
                    Some(Alpn::Http2AndHttp1),
                )
            }
            DnsServer::Host(address) => {
                let (route, alpn) = match settings.transport {
                    DnsTransport::Udp => (Route::Udp, None),
                    DnsTransport::Tcp => (Route::Stream, None),
                    DnsTransport::Tls => (Route::Stream, Some(Alpn::None)),
                };
                (address.host.as_str(), address.port, route, alpn)
            }
        };
        let destination = Destination {
            host,
            port,
            ip: settings.ip,
            source: settings.source_address,
            dns_servers: &settings.dns_servers,
            tls: alpn.map(|alpn| (&settings.tls, alpn)),
        };
        Ok(Self { dialer: Dialer::new(destination, shared)?, route, settings })
    }
}

impl Probe for DnsProber {
    async fn run(&self, deadline: Instant) -> Observation {
        let started = SystemTime::now();
        let mut dialing = Dialing::new(&self.dialer);
        let timeout = deadline.saturating_duration_since(dialing.began());
        let mut detail = DnsDetail::default();
        let mut asked = None;
        let attempt = async {
            let question = Question::new(&self.settings);
            let mut exchange = Exchange {
                question: &question,
                source: self.settings.source_address,
                deadline,
                detail: &mut detail,
                asked: &mut asked,
            };
            let reply = match &self.route {
                Route::Udp => exchange.udp(&mut dialing).await?,
                Route::Stream => exchange.stream(&mut dialing).await?,
                Route::Https(url) => exchange.https(&mut dialing, url).await?,
            };
            let (shown, verdict) = rules::judge(&self.settings, &reply);
            detail.reply = Some(shown);
            verdict
        };
        let outcome = match timeout_at(deadline, attempt).await {
            Ok(Ok(())) => Outcome::Up,
            Ok(Err(failure)) => Outcome::Down(failure),
            Err(_) => Outcome::Down(dialing.out_of_time(timeout).unwrap_or_else(|| {
                let sentence = format!("the server did not answer within {}", seconds(timeout));
                Failure::new(Reason::RequestTimeout, sentence)
            })),
        };
        if detail.request.is_none() {
            detail.request = asked.map(|asked: Instant| asked.elapsed());
        }
        if let Some(connect) = dialing.connect {
            detail.connect = Some(connect + dialing.tls.unwrap_or_default());
        }
        Observation {
            started,
            elapsed: dialing.began().elapsed(),
            timeout,
            outcome,
            tls: dialing.session(),
            resolution: dialing.resolution,
            detail: Detail::Dns(Box::new(detail)),
            addresses: Box::default(),
        }
    }
}
