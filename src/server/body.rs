//! Answer bodies: whole ones, and streams of pieces that are made, and compressed, as the client takes them.

use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http_body::{Frame, SizeHint};
use prometheus::IntGauge;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::watch::InFlight;
use crate::telemetry::Telemetry;

/// What a route answers with.
pub(super) enum Content {
    Whole(Bytes),
    Pieces(Pieces),
}

/// A body that is made piece by piece.
pub(super) struct Pieces {
    source: Box<dyn Iterator<Item = Bytes> + Send>,
    gzip: Option<GzEncoder<Vec<u8>>>,
    telemetry: Arc<Telemetry>,
    /// Held as long as the body lives: pages are bounded in number.
    _permit: Option<OwnedSemaphorePermit>,
    deadline: Instant,
    /// Give way to other tasks before the next piece.
    yield_first: bool,
}

/// The whole answer took longer than a client may take.
#[derive(Debug, thiserror::Error)]
#[error("the client took too long to take its answer")]
pub(super) struct TooSlow;

impl Content {
    pub(super) fn empty() -> Self {
        Self::Whole(Bytes::new())
    }

    /// Compresses what comes when that is worth it. Whether it did.
    pub(super) fn compress(&mut self) -> bool {
        match self {
            Self::Whole(_) => false,
            Self::Pieces(pieces) => {
                // Level 1: a page of metrics shrinks to a twentieth even so, and anything higher costs more CPU
                // than all probes together.
                pieces.gzip = Some(GzEncoder::new(Vec::new(), Compression::new(1)));
                true
            }
        }
    }
}

impl Pieces {
    pub(super) fn new(
        source: impl Iterator<Item = Bytes> + Send + 'static,
        telemetry: &Arc<Telemetry>,
        permit: Option<OwnedSemaphorePermit>,
        deadline: Instant,
    ) -> Self {
        Self {
            source: Box::new(source),
            gzip: None,
            telemetry: Arc::clone(telemetry),
            _permit: permit,
            deadline,
            yield_first: false,
        }
    }

    /// The next bytes for the client; empty when a piece vanished in the compressor; `None` at the end.
    fn next(&mut self) -> Option<Bytes> {
        match (self.source.next(), &mut self.gzip) {
            (piece, None) => piece,
            // Writing to a Vec cannot fail.
            (Some(piece), Some(gzip)) => {
                let _ = gzip.write_all(&piece);
                Some(std::mem::take(gzip.get_mut()).into())
            }
            (None, Some(_)) => self.gzip.take().and_then(|gzip| gzip.finish().ok()).map(Bytes::from),
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TooSlow>>> {
        if self.yield_first {
            // hyper asks for piece after piece as long as the socket takes them. A page can be worth 50 ms of
            // CPU, so let others have the thread in between.
            self.yield_first = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let start = Instant::now();
        if start >= self.deadline {
            return Poll::Ready(Some(Err(TooSlow)));
        }
        let piece = self.next();
        self.telemetry.render_seconds.inc_by(start.elapsed().as_secs_f64());
        self.yield_first = true;
        match piece {
            Some(piece) if piece.is_empty() => {
                self.yield_first = false;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None => Poll::Ready(None),
        }
    }
}

/// A body on its way, and the request that it answers, which ends with it.
pub(super) struct Body {
    content: Content,
    request: InFlight,
    _counted: Counted,
}

/// Counts a request as being answered for as long as it lives.
pub(super) struct Counted(IntGauge);

impl Counted {
    pub(super) fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Body {
    pub(super) fn new(content: Content, mut request: InFlight, counted: Counted) -> Self {
        request.answering();
        Self { content, request, _counted: counted }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = TooSlow;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, TooSlow>>> {
        let this = &mut *self;
        let piece = match &mut this.content {
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            Content::Pieces(pieces) => pieces.poll_piece(cx),
        };
        if piece.is_ready() {
            this.request.progress();
        }
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Pieces(_) => SizeHint::default(),
        }
    }
}

/// Cuts what is there already into pieces, so that it can be streamed and compressed like the rest.
pub(super) fn cut(mut bytes: Bytes) -> impl Iterator<Item = Bytes> + Send {
    std::iter::from_fn(move || {
        (!bytes.is_empty()).then(|| bytes.split_to(bytes.len().min(crate::metrics::Page::PIECE)))
    })
}

/// Whether the client takes gzip, by RFC 9110 section 12.5.3: `q=0` refuses, `*` stands for what is not named.
pub(super) fn accepts_gzip(headers: &http::HeaderMap) -> bool {
    let mut star = false;
    for value in headers.get_all(http::header::ACCEPT_ENCODING) {
        let Ok(value) = value.to_str() else { continue };
        for item in value.split(',') {
            let mut parts = item.split(';');
            let coding = parts.next().unwrap_or_default().trim();
            let refused = parts.any(|parameter| {
                let mut pair = parameter.splitn(2, '=');
                pair.next().is_some_and(|name| name.trim().eq_ignore_ascii_case("q"))
                    && pair.next().is_some_and(|q| q.trim().parse::<f32>().is_ok_and(|q| q <= 0.0))
            });
            if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
                return !refused;
            }
            if coding == "*" {
                star = !refused;
            }
        }
    }
    star
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn gzip_is_used_only_when_it_is_wanted() {
        for (value, wanted) in [
            ("gzip", true),
            ("GZIP", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("gzip;q=0.001", true),
            ("*", true),
            ("br, *;q=0.1", true),
            ("", false),
            ("identity", false),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("gzip;q=0, *", false),
            ("*, gzip;q=0", false),
            ("*;q=0", false),
            ("identity;q=1, *;q=0", false),
        ] {
            let mut headers = http::HeaderMap::new();
            headers.insert(http::header::ACCEPT_ENCODING, value.parse().unwrap());
            assert_eq!(accepts_gzip(&headers), wanted, "{value}");
        }
        assert!(!accepts_gzip(&http::HeaderMap::new()), "curl asks for nothing and shows what it gets");
    }
}
