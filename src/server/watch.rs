//! What a connection is doing, and whether it has had its time.
//!
//! hyper's own header timeout also ends idle connections, which would cost Prometheus a new one on each scrape,
//! and does not begin before the first bytes are in. So the socket and the requests report here instead, and
//! the connection's task looks in from time to time.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::Limits;

/// What one connection is doing. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<Times>>);

struct Times {
    opened: Instant,
    /// Requests whose head was read.
    requests: u64,
    http2: bool,
    /// Requests not yet answered in full.
    in_flight: u32,
    /// Answers that are being taken.
    answering: u32,
    /// The last time that an answer gave something up to the connection.
    progress: Instant,
    /// The last time that `in_flight` became zero.
    idle_since: Instant,
    /// The first byte that came while no request was under way.
    head_since: Option<Instant>,
    /// Since when the socket takes nothing.
    blocked_since: Option<Instant>,
}

/// Why a connection has had its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// The head of a request does not come to an end.
    Head,
    /// No request for long.
    Idle,
    /// The client does not take its answer.
    Stalled,
}

impl Activity {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(Times {
            opened: now,
            requests: 0,
            http2: false,
            in_flight: 0,
            answering: 0,
            progress: now,
            idle_since: now,
            head_since: None,
            blocked_since: None,
        })))
    }

    /// Never held across an await. A panic while it is held cannot leave half a change that matters.
    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head of a request is in. It is under way until the guard is dropped.
    pub(super) fn request(&self, version: http::Version) -> InFlight {
        let mut times = self.times();
        times.requests += 1;
        times.in_flight += 1;
        times.http2 |= version == http::Version::HTTP_2;
        times.head_since = None;
        drop(times);
        InFlight { activity: self.clone(), answering: false }
    }

    /// Since when there is no request under way; `None` while there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let times = self.times();
        (times.in_flight == 0).then_some(times.idle_since)
    }

    pub(super) fn overdue(&self, limits: &Limits, now: Instant) -> Option<Overdue> {
        let times = self.times();
        let over = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        if times.blocked_since.is_some_and(|since| over(since, limits.stall))
            || times.answering > 0 && over(times.progress, limits.stall)
        {
            return Some(Overdue::Stalled);
        }
        if times.in_flight > 0 {
            return None;
        }
        // In HTTP/2 bytes without a request are nothing unusual (pings, window updates), so only the first
        // request is waited for so strictly.
        if times.requests == 0 && over(times.opened, limits.head)
            || !times.http2 && times.head_since.is_some_and(|since| over(since, limits.head))
        {
            return Some(Overdue::Head);
        }
        over(times.idle_since, limits.idle).then_some(Overdue::Idle)
    }
}

/// One request under way.
pub(super) struct InFlight {
    activity: Activity,
    answering: bool,
}

impl InFlight {
    /// The answer is there; from now on the client must take it.
    pub(super) fn answering(&mut self) {
        if !self.answering {
            self.answering = true;
            let mut times = self.activity.times();
            times.answering += 1;
            times.progress = Instant::now();
        }
    }

    /// The client took some of it.
    pub(super) fn progress(&self) {
        self.activity.times().progress = Instant::now();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut times = self.activity.times();
        times.in_flight -= 1;
        if self.answering {
            times.answering -= 1;
        }
        if times.in_flight == 0 {
            times.idle_since = Instant::now();
        }
    }
}

/// A socket that reports to an [`Activity`].
pub(super) struct Watched<S> {
    socket: S,
    activity: Activity,
}

impl<S> Watched<S> {
    pub(super) fn new(socket: S, activity: Activity) -> Self {
        Self { socket, activity }
    }

    fn wrote<T>(&self, result: &Poll<io::Result<T>>) {
        let mut times = self.activity.times();
        if result.is_pending() {
            times.blocked_since.get_or_insert_with(Instant::now);
        } else {
            times.blocked_since = None;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.socket).poll_read(cx, buf);
        if buf.filled().len() > before {
            let mut times = self.activity.times();
            if times.in_flight == 0 {
                times.head_since.get_or_insert_with(Instant::now);
            }
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.wrote(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.wrote(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn after(activity: &Activity, seconds: u64) -> Option<Overdue> {
        activity.overdue(&Limits::default(), Instant::now() + Duration::from_secs(seconds))
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_must_begin_with_a_request() {
        let activity = Activity::new();
        assert_eq!(after(&activity, 9), None);
        assert_eq!(after(&activity, 10), Some(Overdue::Head));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_request_a_connection_may_idle_for_long() {
        let activity = Activity::new();
        drop(activity.request(http::Version::HTTP_11));
        assert_eq!(after(&activity, 299), None);
        assert_eq!(after(&activity, 300), Some(Overdue::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_head_has_as_little_time_as_the_first() {
        let activity = Activity::new();
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = Watched::new(server, activity.clone());
        drop(activity.request(http::Version::HTTP_11));
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(client.write_all(b"GET").await.is_ok());
        assert!(server.read_u8().await.is_ok());
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(server.read_u8().await.is_ok());
        assert_eq!(after(&activity, 0), None);
        assert_eq!(after(&activity, 1), Some(Overdue::Head), "a byte now and then does not help");
        drop(activity.request(http::Version::HTTP_11));
        assert_eq!(after(&activity, 1), None);
    }

    #[tokio::test(start_paused = true)]
    async fn pings_do_not_end_an_http2_connection() {
        let activity = Activity::new();
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = Watched::new(server, activity.clone());
        drop(activity.request(http::Version::HTTP_2));
        assert!(client.write_all(b"ping").await.is_ok());
        assert!(server.read_u8().await.is_ok());
        assert_eq!(after(&activity, 299), None);
        assert_eq!(after(&activity, 300), Some(Overdue::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_is_a_stall_and_slow_work_is_not() {
        let activity = Activity::new();
        let mut request = activity.request(http::Version::HTTP_11);
        assert_eq!(after(&activity, 1000), None, "a slow handler is not the client's fault");
        request.answering();
        assert_eq!(after(&activity, 29), None);
        assert_eq!(after(&activity, 30), Some(Overdue::Stalled));
        tokio::time::advance(Duration::from_secs(29)).await;
        request.progress();
        assert_eq!(after(&activity, 29), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_takes_nothing_is_a_stall() {
        let activity = Activity::new();
        let (client, server) = tokio::io::duplex(4);
        let mut server = Watched::new(server, activity.clone());
        drop(activity.request(http::Version::HTTP_11));
        assert!(tokio::time::timeout(Duration::from_secs(1), server.write_all(b"12345678")).await.is_err());
        assert_eq!(after(&activity, 29), Some(Overdue::Stalled));
        drop(client);
    }
}
