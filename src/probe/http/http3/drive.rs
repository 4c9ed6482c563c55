//! A quinn runtime that spawns nothing: what quinn wants run is polled along with the run's own work.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime};
use tokio::time::Sleep;

use super::DONE;
use super::socket::{Fault, Faulted};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Everything that must be polled for a connection to live. Dropped, it says goodbye to the peer and ends.
#[derive(Default)]
pub(super) struct Drive {
    tasks: FuturesUnordered<Task>,
    shared: Arc<Spawned>,
    connection: Option<quinn::Connection>,
}

#[derive(Default)]
struct Spawned {
    tasks: Mutex<Vec<Task>>,
    /// Timers are let alone from here on: the process may be stopping, and tokio's timers with it.
    closing: AtomicBool,
}

impl Drive {
    pub(super) fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::new(Inline(Arc::clone(&self.shared)))
    }

    pub(super) fn add(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(Box::pin(task));
    }

    /// This one is to be closed at the end.
    pub(super) fn closes(&mut self, connection: quinn::Connection) {
        self.connection = Some(connection);
    }

    /// Polls the connection's own work; it is never done while the connection is wanted.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        loop {
            let spawned = std::mem::take(&mut *self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner));
            self.tasks.extend(spawned);
            match self.tasks.poll_next_unpin(cx) {
                Poll::Ready(Some(())) => {}
                // Nothing is left: whoever waits for the connection has been told.
                Poll::Ready(None) | Poll::Pending => {
                    if self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                        return;
                    }
                }
            }
        }
    }

    /// Runs `work` along with the connection, until the socket is at fault.
    pub(super) async fn along<F: Future>(&mut self, fault: &Fault, work: F) -> Result<F::Output, Faulted> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.poll(cx);
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                // What the work wants sent goes out now.
                self.poll(cx);
                return Poll::Ready(Ok(done));
            }
            self.poll(cx);
            fault.poll(cx).map(Err)
        })
        .await
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        if let Some(connection) = self.connection.take()
            && connection.close_reason().is_none()
        {
            connection.close(DONE, b"");
            // One turn is enough for the frame to go out; nobody waits for an answer to it.
            self.poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

struct Inline(Arc<Spawned>);

impl fmt::Debug for Inline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inline")
    }
}

impl Runtime for Inline {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(Timer { sleep: Box::pin(tokio::time::sleep_until(at.into())), shared: Arc::clone(&self.0) })
    }

    fn spawn(&self, future: Task) {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(future);
    }

    fn wrap_udp_socket(&self, _: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

struct Timer {
    sleep: Pin<Box<Sleep>>,
    shared: Arc<Spawned>,
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timer")
    }
}

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        if !self.shared.closing.load(Ordering::Relaxed) {
            self.sleep.as_mut().reset(at.into());
        }
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.closing.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        Future::poll(self.sleep.as_mut(), cx)
    }
}
