//! All hops of a way, side by side: each is asked by packets that may go so far and no further.

use std::io;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::hop::{Answer, Sender};

/// The farthest hop that is asked.
pub(super) const MOST_HOPS: u8 = 30;

/// Between the first packets of one hop and the next: the near ones first, so that few packets go past the target.
const STAGGER: Duration = Duration::from_millis(25);

/// How long each try waits for an answer. Less than a second, after which the kernel would repeat a SYN by itself. The
/// last waits longer: a router says that a host is unreachable only after it has asked for it for three seconds.
pub(super) const TRIES: &[Duration] =
    &[Duration::from_millis(950), Duration::from_millis(950), Duration::from_millis(2000)];

/// Where the target is known to answer, so that only routers are asked for.
pub(super) const FEWER_TRIES: &[Duration] = &[Duration::from_millis(950), Duration::from_millis(950)];

/// How many hops behind the last that answered are asked more than once. What is silent behind a black hole is of no
/// interest, and a router sends few errors about many packets.
const NEAR: u8 = 5;

/// What a hop answered, and after what time.
pub(super) type Step = Option<(Answer, Duration)>;

/// Asks these hops, the near ones at most so many times. The result ends with the hop at which the way does, or with the last.
///
/// # Errors
/// The exporter's own trouble.
pub(super) async fn walk(sender: &Sender, hops: RangeInclusive<u8>, tries: &[Duration]) -> io::Result<Vec<Step>> {
    let (first, last) = (*hops.start(), *hops.end());
    // Hops behind the one at which the way ends need not be asked.
    let (end, _) = watch::channel(last);
    let farthest = AtomicU8::new(first.saturating_sub(1));
    let asked = hops.map(|hop| {
        let (end, farthest) = (&end, &farthest);
        async move {
            let mut nearer = end.subscribe();
            tokio::select! {
                biased;
                // There is a sender as long as this runs.
                _ = nearer.wait_for(|end| *end < hop) => Ok(None),
                step = ask(sender, hop, STAGGER * u32::from(hop - first), tries, farthest) => {
                    if matches!(step, Ok(Some(_))) {
                        farthest.fetch_max(hop, Ordering::Relaxed);
                    }
                    if let Ok(Some((answer, _))) = &step && answer.is_end() {
                        end.send_if_modified(|end| std::mem::replace(end, hop.min(*end)) > hop);
                    }
                    step
                }
            }
        }
    });
    let mut steps = try_join_all(asked).await?;
    steps.truncate(usize::from(end.borrow().saturating_sub(first)) + 1);
    Ok(steps)
}

async fn ask(sender: &Sender, hop: u8, delay: Duration, tries: &[Duration], farthest: &AtomicU8) -> io::Result<Step> {
    sleep(delay).await;
    for (index, patience) in tries.iter().enumerate() {
        if index > 0 && hop > farthest.load(Ordering::Relaxed).saturating_add(NEAR) {
            break;
        }
        let sent = Instant::now();
        // A packet whose time is over is forgotten: its socket is closed.
        if let Ok(answer) = timeout(*patience, sender.send(hop)).await {
            return Ok(Some((answer?, sent.elapsed())));
        }
    }
    Ok(None)
}
