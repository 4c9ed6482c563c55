//! The running app with scripted configs: start, reload, stop.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::*;
use crate::config::Target;
use crate::state::tests::target;

const S: Duration = Duration::from_secs(1);

type Scripted = Result<Vec<Arc<Target>>, String>;

/// What the next load gives; with nothing set, it panics.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Option<Scripted>>>);

impl Script {
    fn set(&self, next: Result<Vec<Arc<Target>>, &str>) {
        *self.0.lock().unwrap() = Some(next.map_err(str::to_owned));
    }

    fn source(&self) -> Source {
        let script = self.clone();
        let load = move || {
            let targets = script.0.lock().unwrap().clone().unwrap()?;
            Ok(Config {
                targets,
                masked_yaml: String::new(),
                dependencies: Vec::new(),
                refresh_interval: Duration::from_secs(3600),
            })
        };
        Source { path: PathBuf::from("config.yaml"), load: Box::new(load) }
    }
}

fn names(state: &State) -> Vec<String> {
    state.targets().iter().map(|state| state.target().name.to_string()).collect()
}

/// An app without servers, so that a test can hold its parts.
async fn running(script: &Script) -> (Running, State) {
    let state = State::default();
    let telemetry = Arc::new(Telemetry::new());
    let loader = Arc::new(Loader::new(script.source()));
    let loaded = load(&loader, &state).await.unwrap();
    let fleet = Fleet::new(Scheduler::new(Arc::clone(&telemetry)), state.clone());
    let config = channel::Sender::new(Arc::clone(&loaded.config));
    let watch = Watch::new(&loaded, None);
    let mut running = Running { loader, telemetry, fleet, config, watch };
    running.take_over(loaded, "start");
    (running, state)
}

fn reload_successful(telemetry: &Telemetry) -> bool {
    let families = telemetry.registry.gather();
    let family = families.iter().find(|f| f.name() == "uptime_exporter_config_last_reload_successful").unwrap();
    family.get_metric()[0].get_gauge().get_value() == 1.0
}

#[tokio::test]
async fn a_bad_config_changes_nothing_and_answers_with_its_problems() {
    let script = Script::default();
    script.set(Ok(vec![target("a", 10 * S, 5 * S), target("b", 10 * S, 5 * S)]));
    let (mut app, state) = running(&script).await;
    let stop = CancellationToken::new();
    assert!(reload_successful(&app.telemetry));

    script.set(Err("one\ntwo"));
    let answer = app.reload("request", &state, &stop).await.unwrap();
    assert_eq!(answer, Err("one\ntwo".to_owned()));
    assert_eq!(names(&state), ["a", "b"]);
    assert_eq!(app.config.borrow().targets.len(), 2);
    assert!(!reload_successful(&app.telemetry));

    script.set(Ok(vec![target("b", 10 * S, 5 * S), target("c", 10 * S, 5 * S)]));
    let before = Arc::clone(&state.targets()[1]);
    assert_eq!(app.reload("request", &state, &stop).await, Some(Ok(())));
    assert_eq!(names(&state), ["b", "c"]);
    assert!(Arc::ptr_eq(&before, &state.targets()[0]), "b goes on as it was");
    assert_eq!(app.config.borrow().targets.len(), 2);
    assert!(reload_successful(&app.telemetry));
}

#[tokio::test]
async fn a_panic_while_loading_is_a_failed_reload() {
    let script = Script::default();
    script.set(Ok(vec![target("a", 10 * S, 5 * S)]));
    let (mut app, state) = running(&script).await;
    *script.0.lock().unwrap() = None;
    let answer = app.reload("request", &state, &CancellationToken::new()).await.unwrap();
    assert!(answer.unwrap_err().contains("bug"));
    assert_eq!(names(&state), ["a"]);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_load_that_hangs() {
    let script = Script::default();
    script.set(Ok(Vec::new()));
    let (mut app, state) = running(&script).await;
    let hold = Arc::clone(&script.0);
    let (held, is_held) = oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        let _guard = hold.lock().unwrap();
        held.send(()).unwrap();
        let _ = released.recv();
    });
    is_held.await.unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    assert_eq!(app.reload("request", &state, &stop).await, None);
    release.send(()).unwrap();
    holder.join().unwrap();
}

/// A request over a connection of its own; status and body.
async fn request(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn an_app_probes_serves_reloads_and_stops() {
    let script = Script::default();
    // Port 9 of this host: refused, and so observed, at once.
    script.set(Ok(vec![target("a", S, S), target("b", S, S)]));
    let app = App::load(script.source(), None).await.unwrap();
    assert_eq!(app.summary(), "2 targets, 1 module in use");
    let state = app.state();
    let listeners = bind(&["127.0.0.1:0".to_owned()]).await.unwrap();
    let address = listeners[0].local_addr().unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(app.run(listeners, stop.clone()));

    let mut ready = ready_answer(address).await;
    while ready.0 != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        ready = ready_answer(address).await;
    }
    assert!(state.all_observed());

    script.set(Err("one\ntwo"));
    let (status, body) = request(address, "POST", "/-/reload").await;
    assert!(status == 500 && body.contains("one") && body.contains("two"), "{status} {body}");
    assert_eq!(names(&state), ["a", "b"]);

    script.set(Ok(vec![target("b", S, S), target("c", S, S)]));
    let (status, _) = request(address, "POST", "/-/reload").await;
    assert_eq!((status, names(&state)), (200, vec!["b".to_owned(), "c".to_owned()]));
    assert_eq!(ready_answer(address).await.0, 200, "readiness is a latch");
    let (_, page) = request(address, "GET", "/metrics").await;
    assert!(!page.contains("target=\"a\""), "removed ones vanish at once");

    stop.cancel();
    running.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

async fn ready_answer(address: SocketAddr) -> (u16, String) {
    request(address, "GET", "/-/ready").await
}

#[tokio::test]
async fn without_targets_the_app_is_ready_at_once() {
    let script = Script::default();
    script.set(Ok(Vec::new()));
    let app = App::load(script.source(), None).await.unwrap();
    let listeners = bind(&["127.0.0.1:0".to_owned(), "127.0.0.1:0".to_owned()]).await.unwrap();
    let second = listeners[1].local_addr().unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(app.run(listeners, stop.clone()));
    while ready_answer(second).await.0 != 200 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_start_with_a_bad_config_is_refused_with_its_problems() {
    let script = Script::default();
    script.set(Err("targets[0].name: is empty"));
    assert_eq!(App::load(script.source(), None).await.err().unwrap(), "targets[0].name: is empty");
}
