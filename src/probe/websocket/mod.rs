//! The WebSocket prober: the opening handshake of RFC 6455, and a dialogue of messages.
//!
//! tungstenite speaks the protocol over a connection of ours. Every read ends with the run's deadline; the incumbent's
//! have none, so that a silent server hangs it, and calls every read error a failed regex.

mod talk;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::{Instant, timeout_at};

use self::talk::Talk;
use super::dial::{Destination, Dialer, Dialing, seconds};
use super::tls::Alpn;
use super::{Probe, ProberError, Shared};
use crate::config::{WebsocketSettings, ZonedUrl};
use crate::observation::{Detail, Failure, Observation, Outcome};

/// Opens one WebSocket.
pub struct WebsocketProber {
    settings: Arc<WebsocketSettings>,
    url: ZonedUrl,
    dialer: Dialer,
}

impl WebsocketProber {
    /// # Errors
    /// TLS settings that cannot be used.
    pub fn new(
        settings: Arc<WebsocketSettings>,
        url: impl Into<ZonedUrl>,
        shared: &Arc<Shared>,
    ) -> Result<Self, ProberError> {
        let url = url.into();
        let secure = url.scheme() == "wss";
        let destination = Destination {
            host: url.host(),
            port: url.port_or_known_default().unwrap_or(if secure { 443 } else { 80 }),
            ip: settings.ip,
            source: None,
            dns_servers: &settings.dns_servers,
            tls: secure.then_some((&settings.tls, Alpn::Http1)),
        };
        Ok(Self { dialer: Dialer::new(destination, shared)?, settings, url })
    }
}

impl Probe for WebsocketProber {
    async fn run(&self, deadline: Instant) -> Observation {
        let started = SystemTime::now();
        let mut dialing = Dialing::new(&self.dialer);
        let timeout = deadline.saturating_duration_since(dialing.began());
        let mut talk = Talk::new(&self.settings);
        let attempt = async {
            let connection = dialing.connection().await?;
            talk.run(connection.stream, &self.url).await
        };
        let outcome = match timeout_at(deadline, attempt).await {
            Ok(Ok(())) => Outcome::Up,
            Ok(Err(failure)) => Outcome::Down(failure),
            Err(_) => {
                let failure = dialing.out_of_time(timeout).unwrap_or_else(|| {
                    let (reason, what) = talk.out_of_time();
                    Failure::new(reason, format!("{what} within {}", seconds(timeout)))
                });
                Outcome::Down(failure)
            }
        };
        let mut detail = talk.finish();
        detail.connect = dialing.connect;
        detail.tls = dialing.tls;
        Observation {
            started,
            elapsed: dialing.began().elapsed(),
            timeout,
            outcome,
            tls: dialing.session(),
            resolution: dialing.resolution,
            detail: Detail::Websocket(Box::new(detail)),
            addresses: Box::default(),
        }
    }
}
