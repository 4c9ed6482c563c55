//! Records of the DNS as targets: `host:port` of SRV records (RFC 2782), or addresses with a port that the config gives.

use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::{Instant, timeout_at};

use crate::config::HostPort;
use crate::config::discovery::{DnsProvider, Group, Records};
use crate::probe::address::Resolver;

/// A group for each name. One name of which nothing can be said is enough for no list at all: what it had stays.
pub(super) async fn ask(resolver: &Resolver, provider: &DnsProvider, deadline: Instant) -> Result<Vec<Group>, String> {
    let record_type = match provider.records {
        Records::Srv => RecordType::SRV,
        Records::A { .. } => RecordType::A,
        Records::Aaaa { .. } => RecordType::AAAA,
    };
    let lookups = provider.names.iter().map(|name| async move {
        match timeout_at(deadline, resolver.records(name, record_type)).await {
            Ok(found) => found,
            Err(_) => Err(resolver.silence(name)),
        }
    });
    let mut groups = Vec::with_capacity(provider.names.len());
    for found in futures_util::future::join_all(lookups).await {
        let records = found.map_err(|failure| failure.sentence.to_string())?;
        let mut targets: Vec<String> = records.iter().filter_map(|record| target(record, provider.records)).collect();
        // Servers turn records round, and nothing has changed.
        targets.sort_unstable();
        targets.dedup();
        groups.push(Group { targets, labels: Vec::new() });
    }
    Ok(groups)
}

fn target(record: &RData, records: Records) -> Option<String> {
    let at = |host: String, port| HostPort { host, port }.to_string();
    match (records, record) {
        (Records::Srv, RData::SRV(record)) => {
            let host = record.target.to_ascii();
            let host = host.strip_suffix('.').unwrap_or(&host);
            // The root means that the service is not there.
            (!host.is_empty()).then(|| at(host.to_lowercase(), record.port))
        }
        (Records::A { port }, RData::A(address)) => Some(at(address.to_string(), port)),
        (Records::Aaaa { port }, RData::AAAA(address)) => Some(at(address.to_string(), port)),
        (Records::Srv | Records::A { .. } | Records::Aaaa { .. }, _) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hickory_resolver::proto::rr::Name;
    use hickory_resolver::proto::rr::rdata::{A, AAAA, SRV};

    use super::*;

    #[test]
    fn records_are_targets() {
        let srv = |host: &str| RData::SRV(SRV::new(1, 2, 8080, Name::from_ascii(host).unwrap()));
        let v4 = RData::A(A::new(192, 0, 2, 1));
        let v6 = RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
        for (records, record, expected) in [
            (Records::Srv, srv("Web-1.example.com."), Some("web-1.example.com:8080")),
            (Records::Srv, srv("."), None),
            (Records::A { port: 443 }, v4.clone(), Some("192.0.2.1:443")),
            (Records::Aaaa { port: 443 }, v6, Some("[2001:db8::1]:443")),
            (Records::Srv, v4, None),
        ] {
            assert_eq!(target(&record, records).as_deref(), expected);
        }
    }
}
