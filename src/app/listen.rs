//! Where the server listens: `--web.listen-address` in the spelling of Go programs (`:9815` is every address), Unix
//! sockets, or what systemd hands over.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener, UnixStream};

pub use crate::server::Listener;

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("{0:?} is not ADDRESS:PORT, :PORT or unix:PATH")]
    Address(String),
    #[error("failed to bind {address}")]
    Bind { address: String, source: io::Error },
    #[error("{0} is in use by another process that listens there")]
    SocketInUse(PathBuf),
    #[error("systemd handed over no socket; --web.systemd-socket needs a .socket unit")]
    NoSystemdSocket,
    #[error("failed to use the socket of systemd")]
    Systemd(#[source] io::Error),
}

/// Binds every address, or none.
pub async fn bind(addresses: &[String]) -> Result<Vec<Listener>, BindError> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(match address.strip_prefix("unix:") {
            Some(path) => bind_unix(Path::new(path)).await?,
            None => Listener::Tcp(bind_one(address).await?),
        });
    }
    Ok(listeners)
}

/// The sockets that systemd opened for this process (`LISTEN_FDS`), TCP and Unix.
pub fn from_systemd() -> Result<Vec<Listener>, BindError> {
    let mut handed = listenfd::ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..handed.len() {
        // Each kind refuses the other's.
        if let Ok(Some(socket)) = handed.take_tcp_listener(index) {
            socket.set_nonblocking(true).map_err(BindError::Systemd)?;
            listeners.push(Listener::Tcp(TcpListener::from_std(socket).map_err(BindError::Systemd)?));
        } else if let Some(socket) = handed.take_unix_listener(index).map_err(BindError::Systemd)? {
            socket.set_nonblocking(true).map_err(BindError::Systemd)?;
            listeners.push(Listener::Unix(UnixListener::from_std(socket).map_err(BindError::Systemd)?));
        }
    }
    if listeners.is_empty() { Err(BindError::NoSystemdSocket) } else { Ok(listeners) }
}

/// A file that a process before left behind is taken away; one at which somebody listens is not.
async fn bind_unix(path: &Path) -> Result<Listener, BindError> {
    let failed = |source| BindError::Bind { address: path.display().to_string(), source };
    match UnixListener::bind(path) {
        Ok(listener) => Ok(Listener::Unix(listener)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            use std::os::unix::fs::FileTypeExt as _;
            let socket = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
            if !socket {
                return Err(failed(error));
            }
            if UnixStream::connect(path).await.is_ok() {
                return Err(BindError::SocketInUse(path.to_owned()));
            }
            std::fs::remove_file(path).map_err(failed)?;
            UnixListener::bind(path).map(Listener::Unix).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
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

    fn tcp(listener: &Listener) -> SocketAddr {
        let Listener::Tcp(listener) = listener else { panic!("not TCP") };
        listener.local_addr().unwrap()
    }

    #[tokio::test]
    async fn a_port_alone_is_every_address() {
        let listeners = bind(&[":0".to_owned(), "127.0.0.1:0".to_owned()]).await.unwrap();
        assert!(tcp(&listeners[0]).ip().is_unspecified());
        assert!(tcp(&listeners[1]).ip().is_loopback());
    }

    #[tokio::test]
    async fn errors_name_the_address_and_keep_the_cause() {
        for bad in ["9815", "localhost", ":http", "[::1]", ""] {
            let error = bind(&[bad.to_owned()]).await.unwrap_err();
            assert_eq!(error.to_string(), format!("{bad:?} is not ADDRESS:PORT, :PORT or unix:PATH"));
        }
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = bind(std::slice::from_ref(&address)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("failed to bind {address}"));
        assert!(std::error::Error::source(&error).is_some());
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_taken_over_and_one_in_use_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.sock");
        let address = [format!("unix:{}", path.display())];
        let first = bind(&address).await.unwrap();
        assert!(matches!(bind(&address).await.unwrap_err(), BindError::SocketInUse(_)));
        drop(first);
        assert!(path.exists());
        bind(&address).await.unwrap();
        std::fs::write(dir.path().join("file"), "precious").unwrap();
        let file = format!("unix:{}", dir.path().join("file").display());
        assert!(matches!(bind(&[file]).await.unwrap_err(), BindError::Bind { .. }));
    }
}
