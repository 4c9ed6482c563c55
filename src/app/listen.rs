//! Binds the addresses of `--web.listen-address`, in the spelling of Go programs: `:9815` is every address.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("{0:?} is not ADDRESS:PORT or :PORT")]
    Address(String),
    #[error("failed to bind {address}")]
    Bind { address: String, source: io::Error },
}

/// Binds every address, or none.
pub async fn bind(addresses: &[String]) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(bind_one(address).await?);
    }
    Ok(listeners)
}

async fn bind_one(address: &str) -> Result<TcpListener, BindError> {
    let (host, port) = address.rsplit_once(':').ok_or_else(|| BindError::Address(address.to_owned()))?;
    let port: u16 = port.parse().map_err(|_| BindError::Address(address.to_owned()))?;
    let failed = |address: &dyn ToString, source| BindError::Bind { address: address.to_string(), source };
    if !host.is_empty() {
        return TcpListener::bind(address).await.map_err(|error| failed(&address, error));
    }
    // One socket for both families, as Go does it; IPv4 alone where the kernel has no IPv6.
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    match TcpListener::bind(v6).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(failed(&v6, error)),
        Err(_) => TcpListener::bind(v4).await.map_err(|error| failed(&v4, error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_port_alone_is_every_address() {
        let listeners = bind(&[":0".to_owned(), "127.0.0.1:0".to_owned()]).await.unwrap();
        assert!(listeners[0].local_addr().unwrap().ip().is_unspecified());
        assert!(listeners[1].local_addr().unwrap().ip().is_loopback());
    }

    #[tokio::test]
    async fn errors_name_the_address_and_keep_the_cause() {
        for bad in ["9815", "localhost", ":http", "[::1]", ""] {
            let error = bind(&[bad.to_owned()]).await.unwrap_err();
            assert_eq!(error.to_string(), format!("{bad:?} is not ADDRESS:PORT or :PORT"));
        }
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = bind(std::slice::from_ref(&address)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("failed to bind {address}"));
        assert!(std::error::Error::source(&error).is_some());
    }
}
