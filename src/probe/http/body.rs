//! Reading a body: decoded, counted, limited, and kept in memory only as far as rules and evidence need it.

use std::io::{self, Write};

use super::decode::{DecodeError, Decoder};
use crate::config::HttpSettings;

/// Bytes kept as evidence.
pub(super) const EXCERPT_BYTES: usize = 1024;
/// Limit of a body that rules need in memory, when the config sets none.
const DEFAULT_IN_MEMORY_LIMIT: u64 = 64 << 20;
/// Compressed bytes decoded at a time: a small input may be a large output, and other tasks want their turn.
const SLICE: usize = 4 * 1024;

/// What has been read of a body. Refuses more than its limit, so that a bomb is not unpacked.
#[derive(Debug)]
pub(super) struct Meter {
    limit: u64,
    /// Bytes taken, at most the limit.
    pub(super) length: u64,
    /// More than the limit came.
    pub(super) over: bool,
    excerpt: Vec<u8>,
    keep_excerpt: bool,
    whole: Option<Whole>,
}

/// A body in memory.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) bytes: Vec<u8>,
    /// Looked at as the bytes came, while the processor had them at hand.
    pub(super) is_ascii: bool,
}

impl Whole {
    fn new() -> Self {
        Self { bytes: Vec::new(), is_ascii: true }
    }
}

impl Meter {
    /// `fetched`: somebody wants all of it, rules or not.
    pub(super) fn new(settings: &HttpSettings, fetched: bool) -> Self {
        let in_memory = fetched || needs_body(settings);
        let unlimited = if in_memory { DEFAULT_IN_MEMORY_LIMIT } else { u64::MAX };
        Self {
            limit: settings.body_size_limit.unwrap_or(unlimited),
            length: 0,
            over: false,
            excerpt: Vec::new(),
            keep_excerpt: settings.keep_excerpt,
            whole: in_memory.then(Whole::new),
        }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// The first bytes, empty when they are not wanted.
    pub(super) fn take_excerpt(&mut self) -> Box<[u8]> {
        match &self.whole {
            Some(Whole { bytes, .. }) if self.keep_excerpt => bytes[..bytes.len().min(EXCERPT_BYTES)].into(),
            _ => std::mem::take(&mut self.excerpt).into(),
        }
    }

    /// Everything, when rules need it.
    pub(super) fn take_whole(&mut self) -> Option<Whole> {
        self.whole.take()
    }
}

impl Write for Meter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(self.limit - self.length).unwrap_or(usize::MAX);
        let taken = &bytes[..bytes.len().min(room)];
        match &mut self.whole {
            Some(whole) => {
                whole.is_ascii = whole.is_ascii && taken.is_ascii();
                whole.bytes.extend_from_slice(taken);
            }
            None if self.keep_excerpt => {
                let room = EXCERPT_BYTES - self.excerpt.len();
                self.excerpt.extend_from_slice(&taken[..taken.len().min(room)]);
            }
            None => {}
        }
        self.length += taken.len() as u64;
        if taken.len() < bytes.len() {
            self.over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn needs_body(settings: &HttpSettings) -> bool {
    !settings.body_rules.is_empty()
        || settings.fail_if_json_matches.is_some()
        || settings.fail_if_json_not_matches.is_some()
}

/// Why reading ended before the body did.
#[derive(Debug)]
pub(super) enum BodyError {
    Transport(reqwest::Error),
    Decode(DecodeError),
    TooLarge,
}

/// A body on its way; what it holds so far survives a timeout.
pub(super) struct Body(Decoder<Meter>);

impl Body {
    pub(super) fn new(settings: &HttpSettings, fetched: bool) -> Self {
        Self(Decoder::new(settings.compression, Meter::new(settings, fetched)))
    }

    pub(super) fn meter(&self) -> &Meter {
        self.0.writer()
    }

    pub(super) fn meter_mut(&mut self) -> &mut Meter {
        self.0.writer_mut()
    }

    /// Reads to the end, or to the limit.
    pub(super) async fn read(&mut self, response: &mut reqwest::Response) -> Result<(), BodyError> {
        while let Some(chunk) = response.chunk().await.map_err(BodyError::Transport)? {
            if self.0.is_identity() {
                self.take(&chunk)?;
                continue;
            }
            for slice in chunk.chunks(SLICE) {
                self.take(slice)?;
                tokio::task::coop::consume_budget().await;
            }
        }
        let finished = self.0.finish();
        self.judge(finished)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        let written = self.0.write(bytes);
        self.judge(written)
    }

    /// The meter's refusal shows as a decoder's error, so it is asked first.
    fn judge(&self, result: Result<(), DecodeError>) -> Result<(), BodyError> {
        if self.meter().over {
            return Err(BodyError::TooLarge);
        }
        result.map_err(BodyError::Decode)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use flate2::Compression as Level;

    use super::super::testing::settings;
    use super::*;
    use crate::config::http::Compression;

    fn decode(settings: &HttpSettings, pieces: &[&[u8]]) -> (Result<(), String>, Body) {
        let mut body = Body::new(settings, false);
        let mut result = Ok(());
        for piece in pieces {
            result = result.and_then(|()| body.take(piece));
        }
        let result = result.and_then(|()| {
            let finished = body.0.finish();
            body.judge(finished)
        });
        (result.map_err(|error| format!("{error:?}")), body)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Level::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Level::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Level::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// "hello, brotli" as one uncompressed meta-block and the empty last one (RFC 7932, 9.2).
    fn brotli() -> Vec<u8> {
        let text = b"hello, brotli";
        let length = (text.len() - 1) as u32;
        // WBITS 16 (one 0 bit), ISLAST 0, MNIBBLES 4 (two 0 bits), MLEN-1 (16 bits), ISUNCOMPRESSED 1.
        let bits: u32 = (length << 4) | (1 << 20);
        let mut bytes = bits.to_le_bytes()[..3].to_vec();
        bytes.extend_from_slice(text);
        bytes.push(3);
        bytes
    }

    /// 64 MiB of zeros: `head -c 64M /dev/zero | brotli -q 11 -w 24`.
    #[rustfmt::skip]
    const BROTLI_BOMB: [u8; 54] = [
        0xcf, 0xff, 0xff, 0x7f, 0xf8, 0x27, 0x00, 0xe2, 0xb1, 0x40, 0x20, 0xf7, 0xfe, 0x9f, 0xff, 0xff, 0xff, 0xf0,
        0x4f, 0x00, 0xc4, 0x61, 0x01, 0x80, 0xee, 0xfd, 0x3f, 0xff, 0xff, 0xff, 0xe1, 0x9f, 0x00, 0x88, 0xc3, 0x22,
        0x00, 0xdd, 0xfb, 0x7f, 0xfe, 0xff, 0xff, 0xc3, 0x3f, 0x01, 0x10, 0x87, 0x05, 0x00, 0xba, 0xf7, 0xff, 0x03,
    ];

    fn forced(compression: Compression) -> HttpSettings {
        HttpSettings { compression: Some(compression), keep_excerpt: true, ..settings() }
    }

    #[test]
    fn every_encoding_decodes_whole_and_byte_by_byte() {
        let text = b"hello, world. ".repeat(100);
        let two_members = [gzip(&text[..700]), gzip(&text[700..])].concat();
        for (compression, bytes, wanted) in [
            (Compression::Gzip, gzip(&text), &text[..]),
            (Compression::Gzip, two_members, &text),
            (Compression::Deflate, deflate(&text), &text),
            (Compression::Deflate, zlib(&text), &text),
            (Compression::Brotli, brotli(), b"hello, brotli"),
            (Compression::Identity, text.clone(), &text),
        ] {
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            for pieces in [vec![&bytes[..]], single] {
                let (result, mut body) = decode(&forced(compression), &pieces);
                assert_eq!(result, Ok(()), "{compression:?}");
                assert_eq!(body.meter().length, wanted.len() as u64, "{compression:?}");
                assert_eq!(&*body.meter_mut().take_excerpt(), &wanted[..wanted.len().min(EXCERPT_BYTES)]);
            }
        }
    }

    #[test]
    fn half_a_stream_is_truncated() {
        let text = b"hello, world. ".repeat(100);
        for (compression, bytes) in [
            (Compression::Gzip, gzip(&text)),
            (Compression::Deflate, deflate(&text)),
            (Compression::Deflate, zlib(&text)),
            (Compression::Brotli, brotli()),
        ] {
            let (result, _) = decode(&forced(compression), &[&bytes[..bytes.len() / 2]]);
            assert!(result.as_ref().is_err_and(|error| error.contains("Truncated")), "{compression:?} {result:?}");
        }
    }

    #[test]
    fn another_encoding_is_corrupt() {
        for compression in [Compression::Gzip, Compression::Deflate, Compression::Brotli] {
            let (result, _) = decode(&forced(compression), &[b"\xff<html>this is plain text, not compressed</html>"]);
            assert!(result.as_ref().is_err_and(|error| error.contains("Corrupt")), "{compression:?} {result:?}");
        }
        let trailing = [gzip(b"x"), b"garbage".to_vec()].concat();
        assert!(decode(&forced(Compression::Gzip), &[&trailing]).0.is_err());
    }

    #[test]
    fn no_bytes_are_an_empty_body_in_any_encoding() {
        for compression in [Compression::Gzip, Compression::Deflate, Compression::Brotli] {
            assert_eq!(decode(&forced(compression), &[]).0, Ok(()));
        }
    }

    #[test]
    fn the_limit_is_exact_and_a_bomb_stops_at_it() {
        let limited = |limit| HttpSettings { body_size_limit: Some(limit), ..settings() };
        assert_eq!(decode(&limited(5), &[b"12", b"345"]).0, Ok(()));
        let (result, body) = decode(&limited(5), &[b"12", b"3456"]);
        assert_eq!((result, body.meter().length), (Err("TooLarge".into()), 5));

        let zeros = vec![0; 64 << 20];
        for (compression, bomb) in [
            (Compression::Gzip, gzip(&zeros)),
            (Compression::Deflate, deflate(&zeros)),
            (Compression::Brotli, BROTLI_BOMB.to_vec()),
        ] {
            let settings = HttpSettings { body_size_limit: Some(1000), ..forced(compression) };
            let (result, body) = decode(&settings, &[&bomb]);
            assert_eq!((result, body.meter().length), (Err("TooLarge".into()), 1000), "{compression:?}");
        }
        let (result, body) = decode(&forced(Compression::Brotli), &[&BROTLI_BOMB]);
        assert_eq!((result, body.meter().length), (Ok(()), 64 << 20));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            cut in 0usize..200,
        ) {
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            for compression in [Compression::Gzip, Compression::Deflate, Compression::Brotli] {
                let _ = decode(&forced(compression), &[first, second]);
            }
        }

        #[test]
        fn a_flipped_bit_is_survived(position in 0usize..60, bit in 0u8..8) {
            for (compression, mut bytes) in [
                (Compression::Gzip, gzip(b"hello hello hello hello")),
                (Compression::Deflate, zlib(b"hello hello hello hello")),
                (Compression::Brotli, brotli()),
            ] {
                let position = position % bytes.len();
                bytes[position] ^= 1 << bit;
                let _ = decode(&forced(compression), &[&bytes]);
            }
        }
    }
}
