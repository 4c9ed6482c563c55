//! What a probe costs in CPU time. Not part of the test run; in an optimised build:
//! `cargo test --release --lib -- --ignored --nocapture cost_of_a_probe`

use std::time::Duration;

use super::super::testing::*;
use crate::config::HttpSettings;

/// CPU nanoseconds of this thread so far (Linux).
fn spent() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Runs a future's server side on a thread of its own, so that it does not count.
fn elsewhere<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            send.send(future.await).unwrap();
            std::future::pending::<()>().await;
        });
    });
    receive.recv().unwrap()
}

#[test]
#[ignore = "a measurement, not a test"]
fn cost_of_a_probe() {
    const RUNS: u32 = 3000;
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"]);
    let plain = elsewhere(Peer::start(|_| ok()));
    let secure = elsewhere(Peer::tls(server, |_| ok()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (name, url) in [("http", plain.url()), ("https", format!("https://{}/", secure.address))] {
            let prober = prober(HttpSettings { tls: authority.trusted(), ..settings() }, &url);
            for _ in 0..100 {
                assert!(run(&prober, Duration::from_secs(20)).await.outcome.is_up());
            }
            let before = spent();
            for _ in 0..RUNS {
                assert!(run(&prober, Duration::from_secs(20)).await.outcome.is_up());
            }
            let each = (spent() - before) / u64::from(RUNS);
            println!("{name}: {} us of CPU a probe", each / 1000);
        }
    });
}
