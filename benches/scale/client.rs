//! A blocking HTTP client of a few lines, that looks at the clock.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub(crate) struct Fetched {
    pub(crate) status: u16,
    /// As it came: head, chunk sizes and all.
    pub(crate) raw: Vec<u8>,
    /// Of the body, with the sizes of its chunks.
    pub(crate) bytes: usize,
    pub(crate) first_byte: Duration,
    pub(crate) whole: Duration,
}

pub(crate) fn get(address: SocketAddr, path: &str, gzip: bool) -> std::io::Result<Fetched> {
    let coding = if gzip { "Accept-Encoding: gzip\r\n" } else { "" };
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let began = Instant::now();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n{coding}\r\n")?;
    let mut raw = vec![0; 256 * 1024];
    let mut filled = stream.read(&mut raw)?;
    let first_byte = began.elapsed();
    loop {
        if filled == raw.len() {
            raw.resize(raw.len() * 2, 0);
        }
        match stream.read(&mut raw[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    let whole = began.elapsed();
    raw.truncate(filled);
    let status = raw.get(9..12).and_then(|code| std::str::from_utf8(code).ok()?.parse().ok()).unwrap_or(0);
    let head = raw.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |end| end + 4);
    Ok(Fetched { status, bytes: filled - head, raw, first_byte, whole })
}

/// The text of an uncompressed page that came in chunks.
pub(crate) fn text(fetched: &Fetched) -> String {
    let mut rest = &fetched.raw[fetched.raw.len() - fetched.bytes..];
    let mut text = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size @ 1..) = size else { break };
        text.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    String::from_utf8(text).unwrap()
}
