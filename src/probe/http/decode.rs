//! The decoder that `compression` forces on a body, as a stream: what comes out goes to a writer that may refuse more.
//!
//! Like the incumbent, it does not ask what Content-Encoding says. Unlike it, `deflate` understands the zlib wrapper too.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use brotli_decompressor::{BrotliDecoderParameter, DecompressorWriter};
use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

use crate::config::http::Compression;

/// A body that does not decode. The writer's own refusal to take more is not among these; the writer knows of it.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("it is not {0}, or was damaged")]
    Corrupt(&'static str),
    #[error("the {0} stream ends early")]
    Truncated(&'static str),
}

pub(super) struct Decoder<W: Write> {
    kind: Kind<W>,
    seen_any: bool,
}

enum Kind<W: Write> {
    Identity(W),
    Gzip(Box<MultiGzDecoder<W>>),
    Deflate(Box<Deflate<W>>),
    Brotli(Box<Brotli<W>>),
}

impl<W: Write> Decoder<W> {
    pub(super) fn new(compression: Option<Compression>, writer: W) -> Self {
        let kind = match compression {
            None | Some(Compression::Identity) => Kind::Identity(writer),
            Some(Compression::Gzip) => Kind::Gzip(Box::new(MultiGzDecoder::new(writer))),
            Some(Compression::Deflate) => Kind::Deflate(Box::new(Deflate::new(writer))),
            Some(Compression::Brotli) => Kind::Brotli(Box::new(Brotli::new(writer))),
        };
        Self { kind, seen_any: false }
    }

    pub(super) fn is_identity(&self) -> bool {
        matches!(self.kind, Kind::Identity(_))
    }

    /// Decodes `input`, as far as the writer takes it: see [`Self::writer`] for whether it refused.
    pub(super) fn write(&mut self, input: &[u8]) -> Result<(), DecodeError> {
        self.seen_any |= !input.is_empty();
        match &mut self.kind {
            Kind::Identity(writer) => {
                // A refusal is the only error, and the writer keeps it.
                let _ = writer.write_all(input);
                Ok(())
            }
            Kind::Gzip(decoder) => decoder.write_all(input).map_err(|_| DecodeError::Corrupt("gzip")),
            Kind::Deflate(decoder) => decoder.write(input),
            Kind::Brotli(decoder) => decoder.write(input),
        }
    }

    /// At the end of the body. A body without a single byte is an empty one in every encoding.
    pub(super) fn finish(&mut self) -> Result<(), DecodeError> {
        if !self.seen_any {
            return Ok(());
        }
        match &mut self.kind {
            Kind::Identity(_) => Ok(()),
            // Also when only the last checksum is wrong: the crate does not tell these apart.
            Kind::Gzip(decoder) => decoder.try_finish().map_err(|_| DecodeError::Truncated("gzip")),
            Kind::Deflate(decoder) => decoder.finish(),
            Kind::Brotli(decoder) => decoder.finish(),
        }
    }

    pub(super) fn writer(&self) -> &W {
        match &self.kind {
            Kind::Identity(writer) => writer,
            Kind::Gzip(decoder) => decoder.get_ref(),
            Kind::Deflate(decoder) => &decoder.writer,
            Kind::Brotli(decoder) => decoder.writer.get_ref(),
        }
    }

    pub(super) fn writer_mut(&mut self) -> &mut W {
        match &mut self.kind {
            Kind::Identity(writer) => writer,
            Kind::Gzip(decoder) => decoder.get_mut(),
            Kind::Deflate(decoder) => &mut decoder.writer,
            Kind::Brotli(decoder) => decoder.writer.get_mut(),
        }
    }
}

const CHUNK: usize = 16 * 1024;

/// Raw deflate (RFC 1951) or zlib (RFC 1950), told apart by the first two bytes.
struct Deflate<W> {
    writer: W,
    head: Vec<u8>,
    inflate: Option<Decompress>,
    ended: bool,
    buffer: Box<[u8]>,
}

impl<W: Write> Deflate<W> {
    fn new(writer: W) -> Self {
        Self { writer, head: Vec::new(), inflate: None, ended: false, buffer: vec![0; CHUNK].into() }
    }

    fn write(&mut self, input: &[u8]) -> Result<(), DecodeError> {
        if self.inflate.is_some() {
            return self.inflate(input);
        }
        self.head.extend_from_slice(input);
        if self.head.len() < 2 {
            return Ok(());
        }
        self.start()
    }

    fn start(&mut self) -> Result<(), DecodeError> {
        let head = std::mem::take(&mut self.head);
        self.inflate = Some(Decompress::new(is_zlib(&head)));
        self.inflate(&head)
    }

    fn inflate(&mut self, mut input: &[u8]) -> Result<(), DecodeError> {
        let Some(inflate) = &mut self.inflate else { return Ok(()) };
        loop {
            if self.ended {
                return if input.is_empty() { Ok(()) } else { Err(DecodeError::Corrupt("deflate")) };
            }
            let (consumed, produced) = (inflate.total_in(), inflate.total_out());
            let status = inflate
                .decompress(input, &mut self.buffer, FlushDecompress::None)
                .map_err(|_| DecodeError::Corrupt("deflate"))?;
            // Both differences are at most the lengths of the slices.
            let consumed = (inflate.total_in() - consumed) as usize;
            let produced = (inflate.total_out() - produced) as usize;
            input = &input[consumed..];
            self.ended = status == Status::StreamEnd;
            if self.writer.write_all(&self.buffer[..produced]).is_err() {
                return Ok(());
            }
            if consumed == 0 && produced == 0 && !self.ended {
                return if input.is_empty() { Ok(()) } else { Err(DecodeError::Corrupt("deflate")) };
            }
        }
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        if self.inflate.is_none() {
            self.start()?;
        }
        if self.ended { Ok(()) } else { Err(DecodeError::Truncated("deflate")) }
    }
}

/// RFC 1950: method 8, window at most 32 KiB, and a checksum over both bytes.
fn is_zlib(head: &[u8]) -> bool {
    match head {
        [first, second, ..] => {
            first & 0x0f == 8 && first >> 4 <= 7 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0
        }
        _ => false,
    }
}

struct Brotli<W: Write> {
    writer: DecompressorWriter<W>,
    ended: bool,
}

impl<W: Write> Brotli<W> {
    fn new(writer: W) -> Self {
        let mut writer = DecompressorWriter::new(writer, CHUNK);
        // The "large window" extension lets a body ask for a gigabyte of memory; RFC 7932 ends at 16 MiB.
        writer.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
        Self { writer, ended: false }
    }

    fn write(&mut self, mut input: &[u8]) -> Result<(), DecodeError> {
        while !input.is_empty() {
            if self.ended {
                return Err(DecodeError::Corrupt("brotli"));
            }
            let writer = &mut self.writer;
            // The decoder has assertions of its own; what a peer sends must not end the prober.
            let written = catch_unwind(AssertUnwindSafe(|| writer.write(input)))
                .unwrap_or_else(|_| Err(io::ErrorKind::InvalidData.into()))
                .map_err(|_| DecodeError::Corrupt("brotli"))?;
            // Less than everything: the stream ended before the input did.
            self.ended = written < input.len();
            input = &input[written..];
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        if self.ended {
            return Ok(());
        }
        let writer = &mut self.writer;
        catch_unwind(AssertUnwindSafe(|| writer.close()))
            .unwrap_or_else(|_| Err(io::ErrorKind::InvalidData.into()))
            .map_err(|_| DecodeError::Truncated("brotli"))
    }
}
