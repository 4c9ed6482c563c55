//! A DNS server, by UDP and TCP. Names that it was not told of do not exist.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::AbortHandle;

use super::Listening;
use crate::support::runtime;

#[derive(Clone, Debug)]
enum Says {
    /// Those of the family that is asked for; none of them is NODATA.
    Addresses(Vec<IpAddr>),
    /// SRV records: port and host.
    Services(Vec<(u16, String)>),
    Code(u8),
    Nothing,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Zone(BTreeMap<String, Says>);

pub(crate) fn dns() -> Zone {
    Zone::default()
}

impl Zone {
    pub(crate) fn address(mut self, name: &str, address: &str) -> Self {
        self.0.insert(name.to_owned(), Says::Addresses(vec![address.parse().unwrap()]));
        self
    }

    /// One more place at which a service is.
    pub(crate) fn service(mut self, name: &str, host: &str, port: u16) -> Self {
        let says = self.0.entry(name.to_owned()).or_insert_with(|| Says::Services(Vec::new()));
        if let Says::Services(places) = says {
            places.push((port, host.to_owned()));
        }
        self
    }

    /// The name exists, and has no address.
    pub(crate) fn no_data(mut self, name: &str) -> Self {
        self.0.insert(name.to_owned(), Says::Addresses(Vec::new()));
        self
    }

    pub(crate) fn servfail(mut self, name: &str) -> Self {
        self.0.insert(name.to_owned(), Says::Code(2));
        self
    }

    pub(crate) fn refused(mut self, name: &str) -> Self {
        self.0.insert(name.to_owned(), Says::Code(5));
        self
    }

    pub(crate) fn silent(mut self, name: &str) -> Self {
        self.0.insert(name.to_owned(), Says::Nothing);
        self
    }

    pub(crate) fn start(self) -> Dns {
        serve(move |query, _| self.answer(query))
    }

    /// Answers as the zone at this place of `zones` does.
    pub(crate) fn start_one_of(zones: Vec<Self>, place: Arc<AtomicUsize>) -> Dns {
        serve(move |query, _| zones[place.load(Ordering::Relaxed)].answer(query))
    }

    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        let mut position = 12;
        while *query.get(position)? != 0 {
            let length = usize::from(query[position]);
            name.push(String::from_utf8_lossy(query.get(position + 1..=position + length)?).to_lowercase());
            position += 1 + length;
        }
        let end = position + 5;
        let wanted = *query.get(position + 2)?;
        let (code, records) = match self.0.get(&name.join(".")) {
            None => (3, Vec::new()),
            Some(Says::Nothing) => return None,
            Some(Says::Code(code)) => (*code, Vec::new()),
            Some(Says::Addresses(addresses)) => (0, addresses.iter().map(address_record).collect()),
            Some(Says::Services(places)) => (0, places.iter().map(service_record).collect()),
        };
        let records: Vec<_> = records.into_iter().filter(|(kind, _)| *kind == wanted).collect();
        let mut answer = query[..2].to_vec();
        let count = u8::try_from(records.len()).unwrap();
        answer.extend_from_slice(&[0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
        answer.extend_from_slice(query.get(12..end)?);
        for (kind, data) in records {
            // The name by a pointer to the question; IN; 60 seconds.
            answer.extend_from_slice(&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0]);
            answer.push(u8::try_from(data.len()).unwrap());
            answer.extend_from_slice(&data);
        }
        Some(answer)
    }
}

/// Type and data.
fn address_record(address: &IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (1, address.octets().to_vec()),
        IpAddr::V6(address) => (28, address.octets().to_vec()),
    }
}

fn service_record((port, host): &(u16, String)) -> (u8, Vec<u8>) {
    // Priority and weight, which count for nobody here.
    let mut data = vec![0, 1, 0, 1];
    data.extend(port.to_be_bytes());
    for label in host.split('.') {
        data.push(u8::try_from(label.len()).unwrap());
        data.extend(label.bytes());
    }
    data.push(0);
    (33, data)
}

/// Answers each message by another, or not at all; the second argument is whether it came by TCP.
pub(crate) fn serve(answer: impl Fn(&[u8], bool) -> Option<Vec<u8>> + Send + Sync + 'static) -> Dns {
    let answer = Arc::new(answer);
    let (udp, tcp) = runtime().block_on(async {
        loop {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            // The same port may be taken for TCP.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                return (udp, tcp);
            }
        }
    });
    let by_udp = Arc::clone(&answer);
    let task = runtime().spawn(async move {
        let mut buffer = [0; 4096];
        // An error is of a datagram sent before, which its asker did not wait for.
        loop {
            let Ok((length, asker)) = udp.recv_from(&mut buffer).await else { continue };
            if let Some(answer) = by_udp(&buffer[..length], false) {
                let _ = udp.send_to(&answer, asker).await;
            }
        }
    });
    let by_tcp = Listening::on(tcp, move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            while let Ok(length) = stream.read_u16().await {
                let mut query = vec![0; usize::from(length)];
                if stream.read_exact(&mut query).await.is_err() {
                    return;
                }
                if let Some(answer) = answer(&query, true) {
                    let length = u16::try_from(answer.len()).unwrap();
                    let mut framed = length.to_be_bytes().to_vec();
                    framed.extend_from_slice(&answer);
                    if stream.write_all(&framed).await.is_err() {
                        return;
                    }
                }
            }
        }
    });
    Dns { by_tcp, by_udp: task.abort_handle() }
}

/// A running server.
pub(crate) struct Dns {
    by_tcp: Listening,
    by_udp: AbortHandle,
}

impl Dns {
    /// For `dns_servers`.
    pub(crate) fn address(&self) -> SocketAddr {
        self.by_tcp.address
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.by_udp.abort();
    }
}
