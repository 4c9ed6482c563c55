//! What the tests of probers share: certificates made on the spot, a TLS server, a DNS server, and peers that
//! misbehave. Everything listens on 127.0.0.1 and ends with the test's runtime.

#![allow(clippy::unwrap_used)]

pub(in crate::probe) mod host;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{CNAME, NS};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

use crate::config::TlsSettings;

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A server certificate with what it was issued by (roots left out), and its key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn root(name: &str) -> Self {
        Self::root_with(name, |_| {})
    }

    pub(crate) fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = authority_params(name);
        change(&mut params);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn intermediate(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = authority_params(name);
        change(&mut params);
        Self(CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    /// The root of the same name and key in another edition.
    pub(crate) fn reissued(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = authority_params(name);
        change(&mut params);
        params.self_signed(self.0.key()).unwrap().der().clone()
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(crate) fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| {})
    }

    pub(crate) fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = leaf_params(names);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { chain: vec![certificate.der().clone()], key: private(&key) }
    }

    /// A revocation list with these serial numbers on it.
    pub(crate) fn revoke(&self, serials: &[u64]) -> CertificateRevocationListDer<'static> {
        let revoked = serials.iter().map(|&serial| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: rcgen::date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2021, 1, 2),
            next_update: rcgen::date_time_ymd(2021, 2, 2),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().der().clone()
    }

    /// Settings that trust this authority alone.
    pub(crate) fn trusted(&self) -> TlsSettings {
        trusting([self.der()])
    }
}

impl Identity {
    pub(crate) fn self_signed(names: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = leaf_params(names);
        // As `openssl req -x509` makes them.
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { chain: vec![certificate.der().clone()], key: private(&key) }
    }

    /// The same with the authorities in between appended.
    pub(crate) fn with(mut self, issuers: &[&Authority]) -> Self {
        self.chain.extend(issuers.iter().map(|issuer| issuer.der()));
        self
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.server_speaking(&[&rustls::version::TLS13, &rustls::version::TLS12])
    }

    /// A server that does not look whether certificate and key belong together.
    pub(crate) fn server_with_any_key(&self, version: &'static rustls::SupportedProtocolVersion) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let signer = provider.key_provider.load_private_key(self.key.clone_key()).unwrap();
        let certified = rustls::sign::CertifiedKey::new(self.chain.clone(), signer);
        let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        Arc::new(builder.with_no_client_auth().with_cert_resolver(resolver))
    }

    pub(crate) fn server_speaking(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let config = builder.with_no_client_auth().with_single_cert(self.chain.clone(), self.key.clone_key());
        Arc::new(config.unwrap())
    }
}

pub(crate) fn trusting(roots: impl IntoIterator<Item = CertificateDer<'static>>) -> TlsSettings {
    TlsSettings { roots: Some(roots.into_iter().collect::<Vec<_>>().into()), ..TlsSettings::default() }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2060, 1, 1);
    params
}

fn leaf_params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, *names.first().unwrap_or(&"nameless"));
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2050, 1, 1);
    params
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(key.serialize_der()).unwrap()
}

/// Accepts connections for as long as the runtime lives, and gives each to `behave`.
pub(crate) async fn peer<F>(behave: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(behave(socket));
        }
    });
    address
}

/// A port on which nothing listens, by TCP and UDP. It stays bound until the tests end, so that none of them is given it.
pub(crate) async fn closed_port() -> SocketAddr {
    static HELD: Mutex<Vec<(TcpSocket, std::net::UdpSocket)>> = Mutex::new(Vec::new());
    loop {
        let tcp = TcpSocket::new_v4().unwrap();
        tcp.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = tcp.local_addr().unwrap();
        // One that is connected takes from its peer alone; to others the port is closed.
        let Ok(udp) = std::net::UdpSocket::bind(address) else { continue };
        udp.connect((Ipv4Addr::LOCALHOST, address.port())).unwrap();
        HELD.lock().unwrap().push((tcp, udp));
        return address;
    }
}

/// How the DNS server answers one query.
#[derive(Clone, Debug)]
pub(crate) enum DnsReply {
    /// Addresses of the asked family among these; none of them is NODATA.
    Addresses(Vec<IpAddr>),
    Code(ResponseCode),
    Silence,
    /// By UDP only: an empty answer with the TC bit. By TCP: the addresses.
    Truncated(Vec<IpAddr>),
    /// A header that fits the query, then nonsense.
    Garbage,
    /// NOERROR without an answer, from a server that is no resolver.
    Referral,
    /// Aliases, the last first, then the addresses; name servers of the zone of the last alias.
    Aliases(Vec<&'static str>, Vec<IpAddr>, Vec<(&'static str, &'static str)>),
}

/// A DNS server on UDP and TCP that answers by `decide(name, type)`; the name has its root dot.
pub(crate) async fn dns_server(decide: impl Fn(&str, RecordType) -> DnsReply + Send + Sync + 'static) -> SocketAddr {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        // The same port may be taken for TCP.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    let decide = Arc::new(decide);
    let by_tcp = Arc::clone(&decide);
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, asker)) = udp.recv_from(&mut buffer).await {
            if let Some(reply) = dns_reply(&buffer[..length], false, &*decide) {
                udp.send_to(&reply, asker).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = tcp.accept().await {
            let length = usize::from(socket.read_u16().await.unwrap());
            let mut query = vec![0; length];
            socket.read_exact(&mut query).await.unwrap();
            if let Some(reply) = dns_reply(&query, true, &*by_tcp) {
                socket.write_u16(u16::try_from(reply.len()).unwrap()).await.unwrap();
                socket.write_all(&reply).await.unwrap();
            }
        }
    });
    address
}

fn dns_reply(query: &[u8], by_tcp: bool, decide: &dyn Fn(&str, RecordType) -> DnsReply) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).unwrap();
    let question = query.queries[0].clone();
    let mut reply = query.into_response();
    reply.edns = None;
    reply.metadata.recursion_available = true;
    let answer = |reply: &mut Message, addresses: Vec<IpAddr>| {
        for address in addresses {
            let data = RData::from(address);
            if data.record_type() == question.query_type() {
                reply.add_answer(Record::from_rdata(question.name().clone(), 60, data));
            }
        }
    };
    match decide(&question.name().to_ascii(), question.query_type()) {
        DnsReply::Addresses(addresses) => answer(&mut reply, addresses),
        DnsReply::Truncated(addresses) if by_tcp => answer(&mut reply, addresses),
        DnsReply::Truncated(_) => reply.metadata.truncation = true,
        DnsReply::Code(code) => reply.metadata.response_code = code,
        DnsReply::Silence => return None,
        DnsReply::Garbage => {
            let mut bytes = reply.to_vec().unwrap();
            bytes.truncate(12);
            bytes.extend([0xff; 7]);
            return Some(bytes);
        }
        DnsReply::Aliases(aliases, addresses, servers) => {
            let name = |text: &str| Name::from_ascii(text).unwrap();
            let owners = std::iter::once(question.name().clone()).chain(aliases.iter().map(|alias| name(alias)));
            let links: Vec<_> = owners.zip(&aliases).map(|(owner, alias)| (owner, name(alias))).collect();
            for (owner, alias) in links.into_iter().rev() {
                reply.add_answer(Record::from_rdata(owner, 60, RData::CNAME(CNAME(alias))));
            }
            let last = aliases.last().map_or_else(|| question.name().clone(), |alias| name(alias));
            for address in addresses {
                let data = RData::from(address);
                if data.record_type() == question.query_type() {
                    reply.add_answer(Record::from_rdata(last.clone(), 60, data));
                }
            }
            for (zone, server) in servers {
                reply.add_authority(Record::from_rdata(name(zone), 60, RData::NS(NS(name(server)))));
            }
        }
        DnsReply::Referral => reply.metadata.recursion_available = false,
    }
    Some(reply.to_vec().unwrap())
}
