//! What a probe costs in CPU time. Not part of the test run; in an optimised build:
//! `cargo test --release --lib -- --ignored --nocapture cost_of_a_probe`

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::super::HttpProber;
use super::super::testing::*;
use super::http3::{Server, Then, http3};
use crate::config::HttpSettings;
use crate::probe::Shared;

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
    let quic = Arc::clone(&server);
    let quic = elsewhere(async move { Server::start(&quic, Then::Answer("fine")) });
    let secure = elsewhere(Peer::tls(server, |_| ok()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let by_tcp = || HttpSettings { tls: authority.trusted(), ..settings() };
        for (name, settings, url) in [
            ("http", by_tcp(), plain.url()),
            ("https", by_tcp(), format!("https://{}/", secure.address)),
            ("http/3", http3(&authority), format!("https://{}/", quic.address)),
        ] {
            let prober = prober(settings, &url);
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

/// `/probe` makes one for each request.
#[test]
#[ignore = "a measurement, not a test"]
fn cost_of_a_prober() {
    const PROBERS: u32 = 1000;
    let shared = Arc::new(Shared::default());
    let make = || HttpProber::new(Arc::new(settings()), Url::parse("https://localhost/").unwrap(), &shared).unwrap();
    let before = spent();
    let first = make();
    println!("first: {} us of CPU", (spent() - before) / 1000);
    let before = spent();
    for _ in 0..PROBERS {
        drop(make());
    }
    println!("while another has its client: {} us of CPU", (spent() - before) / u64::from(PROBERS) / 1000);
    drop(first);
    let before = spent();
    for _ in 0..PROBERS {
        drop(make());
    }
    println!("alone: {} us of CPU", (spent() - before) / u64::from(PROBERS) / 1000);
}
