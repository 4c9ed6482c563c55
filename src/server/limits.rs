//! What one client may take: sizes, counts and times, so that no client can hurt another or the probing.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections. One more makes the longest idle one go; when none is idle, it is answered 503 at once.
    pub connections: usize,
    /// Metric pages and lists written at the same time; one more is answered 503. Each holds a snapshot.
    pub pages: usize,
    /// Bytes of a request's head (at least 8192, hyper's own floor), or of the header list in HTTP/2.
    pub head_bytes: usize,
    /// Header fields of a request in HTTP/1.
    pub headers: usize,
    /// From the first byte of a request, or the opening of the connection, to the end of its head.
    pub head: Duration,
    /// Without a request. Longer than usual scrape intervals, since Prometheus keeps its connection.
    pub idle: Duration,
    /// A client that takes nothing of its answer for so long is dropped.
    pub stall: Duration,
    /// The whole of one answer, however slowly it is taken.
    pub answer: Duration,
    /// A reload that is not done by then is answered 500; it goes on all the same.
    pub reload: Duration,
    /// After the stop signal, for requests under way.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            pages: 40,
            head_bytes: 16 * 1024,
            headers: 64,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(300),
            stall: Duration::from_secs(30),
            answer: Duration::from_secs(120),
            reload: Duration::from_secs(60),
            grace: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// How often a connection is looked at; a limit is kept to within this.
    pub(super) fn tick(&self) -> Duration {
        (self.head.min(self.idle).min(self.stall) / 4).clamp(Duration::from_millis(5), Duration::from_secs(2))
    }
}
