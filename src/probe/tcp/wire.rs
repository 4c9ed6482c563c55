//! A connection with a read-ahead buffer: lines and exact bytes, however the network cut them.

use std::io::{self, ErrorKind};

use tokio::io::AsyncReadExt as _;

use crate::probe::dial::Transport;

pub(super) struct Wire {
    /// `None` while a TLS handshake has it.
    stream: Option<Box<dyn Transport>>,
    /// What was received; the part before `start` has been used.
    buffer: Vec<u8>,
    start: usize,
    /// The line that was read last, as a part of `buffer`.
    line: std::ops::Range<usize>,
    ended: bool,
    /// Whether anything came since the step began.
    received: bool,
    /// Whole lines of this step.
    lines: usize,
    /// Bytes received.
    total: usize,
    /// How many of them came before this step's.
    before: usize,
    /// The first bytes received.
    excerpt: Vec<u8>,
    keep_excerpt: bool,
}

/// How reading a line ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Received {
    /// A whole line; it is in [`Wire::last_line`].
    Whole,
    /// The peer closed, and nothing is left.
    End,
    /// The line is longer than [`Wire::MAX_LINE`].
    TooMuch,
}

impl Wire {
    /// Bytes of the longest line. The incumbent gives up at 64 KiB.
    pub(super) const MAX_LINE: usize = 1 << 20;

    const EXCERPT: usize = 1024;
    const CHUNK: usize = 4096;

    pub(super) fn new(stream: Box<dyn Transport>, keep_excerpt: bool) -> Self {
        Self {
            stream: Some(stream),
            buffer: Vec::new(),
            start: 0,
            line: 0..0,
            ended: false,
            received: false,
            lines: 0,
            total: 0,
            before: 0,
            excerpt: Vec::new(),
            keep_excerpt,
        }
    }

    pub(super) fn stream(&mut self) -> Option<&mut Box<dyn Transport>> {
        self.stream.as_mut()
    }

    pub(super) fn take_stream(&mut self) -> Option<Box<dyn Transport>> {
        self.stream.take()
    }

    pub(super) fn put_stream(&mut self, stream: Box<dyn Transport>) {
        self.stream = Some(stream);
    }

    /// Bytes received and not used yet.
    pub(super) fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    pub(super) fn begin_step(&mut self) {
        // What was read ahead counts as this step's.
        self.received = self.buffered() > 0;
        self.lines = 0;
        self.before = self.total - self.buffered();
    }

    /// How many whole lines this step has read.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// What came of a line that has not ended.
    pub(super) fn unfinished(&self) -> &[u8] {
        let line = &self.buffer[self.start..];
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    pub(super) fn has_received(&self) -> bool {
        self.received
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The last line, without its end.
    pub(super) fn last_line(&self) -> &[u8] {
        &self.buffer[self.line.clone()]
    }

    /// Reads one line: up to LF, without CR LF or LF. What comes after the last LF, if anything, is a line too.
    pub(super) async fn line(&mut self) -> io::Result<Received> {
        let mut looked_at = self.start;
        loop {
            if let Some(place) = self.buffer[looked_at..].iter().position(|&byte| byte == b'\n') {
                let end = looked_at + place;
                if end - self.start > Self::MAX_LINE {
                    return Ok(Received::TooMuch);
                }
                self.line = self.start..end;
                if self.last_line().ends_with(b"\r") {
                    self.line.end -= 1;
                }
                self.start = end + 1;
                self.lines += 1;
                return Ok(Received::Whole);
            }
            if self.buffered() > Self::MAX_LINE {
                return Ok(Received::TooMuch);
            }
            if self.ended {
                if self.buffered() == 0 {
                    return Ok(Received::End);
                }
                self.line = self.start..self.buffer.len();
                if self.last_line().ends_with(b"\r") {
                    self.line.end -= 1;
                }
                self.start = self.buffer.len();
                self.lines += 1;
                return Ok(Received::Whole);
            }
            let unread = self.buffered();
            self.fill().await?;
            looked_at = self.start + unread;
        }
    }

    /// Whether the next bytes are exactly these. Says no as soon as one differs, without waiting for the rest.
    pub(super) async fn bytes(&mut self, expected: &[u8]) -> io::Result<bool> {
        loop {
            let available = &self.buffer[self.start..];
            let compared = available.len().min(expected.len());
            if available[..compared] != expected[..compared] {
                return Ok(false);
            }
            if compared == expected.len() {
                self.start += compared;
                return Ok(true);
            }
            if self.ended {
                return Ok(false);
            }
            self.fill().await?;
        }
    }

    /// Reads what there is, at least one byte, or notes the end.
    async fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
            self.line = 0..0;
        }
        let before = self.buffer.len();
        self.buffer.reserve(Self::CHUNK);
        let Some(stream) = &mut self.stream else {
            return Err(ErrorKind::NotConnected.into());
        };
        match stream.read_buf(&mut self.buffer).await {
            Ok(0) => self.ended = true,
            Ok(count) => {
                self.received = true;
                self.total += count;
                if self.keep_excerpt {
                    let wanted = Self::EXCERPT.saturating_sub(self.excerpt.len()).min(count);
                    self.excerpt.extend_from_slice(&self.buffer[before..before + wanted]);
                }
            }
            // TLS without a close_notify. Many servers end so, and here no length depends on it.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => self.ended = true,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// A remark, when the first bytes are a TLS alert or handshake: a TLS server's answer to those who do not speak it.
    pub(super) fn began_with_tls(&self) -> Option<&'static str> {
        let tls = matches!(self.excerpt[..], [0x15 | 0x16, 3, 0..=4, ..]);
        tls.then_some("; it answered in TLS: set tls: true")
    }

    /// `; it said "..."`, the first line of this step, for the end of a sentence; empty when nothing was kept.
    pub(super) fn said(&self) -> String {
        const SHOWN: usize = 80;
        if let Some(remark) = self.began_with_tls() {
            return remark.to_owned();
        }
        let said = self.excerpt.get(self.before..).unwrap_or_default();
        if said.is_empty() {
            return String::new();
        }
        let first = said.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let first = first.strip_suffix(b"\r").unwrap_or(first);
        let more = if first.len() > SHOWN { "..." } else { "" };
        format!("; it said {:?}{more}", String::from_utf8_lossy(&first[..first.len().min(SHOWN)]))
    }

    pub(super) fn into_excerpt(self) -> Box<[u8]> {
        self.excerpt.into_boxed_slice()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// What a wire reads when the bytes come in pieces of this size.
    async fn lines(bytes: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let (ours, mut theirs) = tokio::io::duplex(piece);
        let mut wire = Wire::new(Box::new(ours), true);
        let send = async {
            theirs.write_all(bytes).await.unwrap();
            theirs.shutdown().await.unwrap();
        };
        let receive = async {
            let mut lines = Vec::new();
            while wire.line().await.unwrap() == Received::Whole {
                lines.push(wire.last_line().to_vec());
            }
            lines
        };
        tokio::join!(send, receive).1
    }

    #[tokio::test]
    async fn lines_end_in_lf_and_lose_one_cr() {
        let read = lines(b"a\r\nb\n\nc\r\r\nd", 3).await;
        assert_eq!(read, [&b"a"[..], b"b", b"", b"c\r", b"d"]);
        assert!(lines(b"", 1).await.is_empty());
    }

    #[tokio::test]
    async fn a_line_has_a_limit_that_is_larger_than_the_incumbents() {
        let mut long = vec![b'x'; Wire::MAX_LINE];
        long.push(b'\n');
        assert_eq!(lines(&long, 1 << 16).await.len(), 1);
        long.insert(0, b'x');
        assert_eq!(lines(&long, 1 << 16).await.len(), 0);
    }

    #[tokio::test]
    async fn only_the_first_kibibyte_is_kept() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let mut wire = Wire::new(Box::new(ours), true);
        theirs.write_all(&[b'a'; 1000]).await.unwrap();
        theirs.write_all(&[b'b'; 1000]).await.unwrap();
        drop(theirs);
        assert_eq!(wire.line().await.unwrap(), Received::Whole);
        let excerpt = wire.into_excerpt();
        assert_eq!((excerpt.len(), excerpt[1023]), (1024, b'b'));
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_segments(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            piece in 1_usize..20,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = runtime.block_on(lines(&bytes, piece));
            let mut expected: Vec<Vec<u8>> = bytes
                .split(|&byte| byte == b'\n')
                .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec())
                .collect();
            // Nothing after the last LF is no line; a lone CR there is an empty one.
            if bytes.last().is_none_or(|&byte| byte == b'\n') {
                expected.pop();
            }
            prop_assert_eq!(read, expected);
        }
    }
}
