//! The running app with scripted configs: start, reload, stop.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// A config file that a test rewrites.
struct File {
    dir: tempfile::TempDir,
}

impl File {
    fn new(text: &str) -> Self {
        let file = Self { dir: tempfile::tempdir().unwrap() };
        file.write(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("config.yaml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }
}

/// Targets on port 9 of this host: refused, and so observed, at once.
fn config(names: &[&str]) -> String {
    let mut text = "global: {interval: 1s, timeout: 1s}\nmodules: {tcp: {prober: tcp}}\ntargets:\n".to_owned();
    for name in names {
        text += &format!("  - {{name: {name}, target: '127.0.0.1:9', module: tcp}}\n");
    }
    text
}

fn names(state: &State) -> Vec<String> {
    state.targets().iter().map(|state| state.target().name.to_string()).collect()
}

/// An app without servers, so that a test can hold its parts.
async fn running(file: &File) -> Running {
    let App { path, auto_reload, loaded, telemetry, state, .. } = App::load(file.path(), None).await.unwrap();
    let fleet = Fleet::new(
        Scheduler::new(Arc::clone(&telemetry), CurrentVantage::default()),
        state.clone(),
        Dependencies::default(),
        Earlier::default(),
    );
    let config = channel::Sender::new(Arc::clone(&loaded.config));
    let found = Found::new(DiscoveryTelemetry::register(&telemetry.registry).unwrap());
    let watch = Watch::new(&path, &loaded.config, auto_reload);
    let mut running = Running {
        path,
        telemetry,
        state,
        fleet,
        discoveries: Discoveries::new(found),
        lists_again: None,
        config,
        shared: channel::Sender::new(Arc::clone(&loaded.shared)),
        watch,
        vantage: CurrentVantage::default(),
        lookouts: JoinSet::new(),
        keeper: None,
        keeping: JoinSet::new(),
        causes: Causes::default(),
        explaining: JoinSet::new(),
        stop: CancellationToken::new(),
    };
    running.take_over(loaded, "start");
    running
}

impl Running {
    async fn reload_file(&mut self) -> Result<(), String> {
        let result = self.reload(Input::File(self.path.clone()), "test").await.ok().unwrap();
        result.map_err(|error| error.to_string())
    }
}

fn reload_successful(telemetry: &Telemetry) -> bool {
    let families = telemetry.registry.gather();
    let family = families.iter().find(|f| f.name() == "uptime_exporter_config_last_reload_successful").unwrap();
    family.get_metric()[0].get_gauge().get_value() == 1.0
}

#[tokio::test]
async fn a_bad_config_changes_nothing_and_answers_with_its_problems() {
    let file = File::new(&config(&["a", "b"]));
    let mut app = running(&file).await;
    assert!(reload_successful(&app.telemetry));

    file.write("global: {interval: never}\ntargets: [{}]\n");
    let problems = app.reload_file().await.unwrap_err();
    assert!(problems.contains("global.interval") && problems.contains("targets[0]"), "{problems}");
    assert_eq!(names(&app.state), ["a", "b"]);
    assert_eq!(app.config.borrow().targets.len(), 2);
    assert!(!reload_successful(&app.telemetry));

    file.write(&config(&["b", "c", "d"]));
    let before = Arc::clone(&app.state.targets()[1]);
    assert_eq!(app.reload_file().await, Ok(()));
    assert_eq!(names(&app.state), ["b", "c", "d"]);
    assert!(Arc::ptr_eq(&before, &app.state.targets()[0]), "b goes on as it was");
    assert!(Arc::ptr_eq(before.target(), &app.config.borrow().targets[0]), "and there is one copy of it");
    assert_eq!(app.config.borrow().targets.len(), 3);
    assert!(reload_successful(&app.telemetry));
}

#[tokio::test]
async fn new_dependencies_disturb_no_schedule_and_explain_at_once() {
    let file = File::new(&config(&["a", "b"]));
    let mut app = running(&file).await;
    let before = app.state.targets();
    while !before.iter().all(|state| state.snapshot(Instant::now()).failures_in_a_row > 1) {
        tokio::task::yield_now().await;
    }
    let explained = |app: &Running| {
        let mut snapshot = app.state.snapshot(|_| true);
        app.fleet.dependencies.explain(&mut snapshot, Instant::now());
        let by = |target: &crate::state::TargetSnapshot| target.explained.as_ref().map(|by| by.by.name.to_string());
        snapshot.targets.iter().map(by).collect::<Vec<_>>()
    };
    assert_eq!(explained(&app), [None, None]);
    file.write(&config(&["a, depends_on: [b]", "b"]));
    assert_eq!(app.reload_file().await, Ok(()));
    assert!(before.iter().zip(app.state.targets().iter()).all(|(before, now)| Arc::ptr_eq(before, now)));
    assert_eq!(explained(&app), [Some("b".to_owned()), None]);

    file.write(&config(&["a, depends_on: [b]"]));
    let problems = app.reload_file().await.unwrap_err();
    assert!(problems.contains(":4: targets[0].depends_on[0]: \"b\" is not a target"), "{problems}");
    assert_eq!(explained(&app), [Some("b".to_owned()), None], "what was before is in force");

    file.write(&config(&["a"]));
    assert_eq!(app.reload_file().await, Ok(()));
    assert_eq!(explained(&app), [None]);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_load() {
    let file = File::new(&config(&["a"]));
    let mut app = running(&file).await;
    app.stop.cancel();
    file.write(&config(&["b"]));
    assert!(app.reload(Input::File(file.path()), "test").await.is_err());
    assert_eq!(names(&app.state), ["a"]);
}

#[tokio::test]
async fn a_changed_target_file_does_not_take_up_a_half_edited_main_file() {
    let file = File::new("modules: {tcp: {prober: tcp}}\ntarget_files: ['*.targets']\n");
    let mut app = running(&file).await;
    file.write("half edi: [");
    let list = "[{name: late, target: '127.0.0.1:9', module: tcp}]";
    std::fs::write(file.dir.path().join("a.targets"), list).unwrap();
    let before = Input::Before(app.config.borrow().source.clone());
    app.reload(before, "test").await.ok().unwrap().unwrap();
    assert_eq!(names(&app.state), ["late"]);
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
    let file = File::new(&config(&["a", "b"]));
    let app = App::load(file.path(), None).await.unwrap();
    let state = app.state();
    let listeners = bind(&["127.0.0.1:0".to_owned()]).await.unwrap();
    let address: SocketAddr = listeners[0].address().parse().unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(app.run(listeners, stop.clone()));

    let mut ready = ready_answer(address).await;
    while ready.0 != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        ready = ready_answer(address).await;
    }
    assert!(state.all_observed());

    file.write("global: {interval: never}\ntargets: [{}]\n");
    let (status, body) = request(address, "POST", "/-/reload").await;
    assert!(status == 500 && body.contains("global.interval") && body.contains("targets[0]"), "{status} {body}");
    assert_eq!(names(&state), ["a", "b"]);

    file.write(&config(&["b", "c"]));
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
    let file = File::new("targets: []\n");
    let app = App::load(file.path(), None).await.unwrap();
    let listeners = bind(&["127.0.0.1:0".to_owned(), "127.0.0.1:0".to_owned()]).await.unwrap();
    let second: SocketAddr = listeners[1].address().parse().unwrap();
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
    let file = File::new("targets: [{name: ''}]\n");
    let problems = App::load(file.path(), None).await.err().unwrap().to_string();
    assert!(problems.contains("targets[0].name"), "{problems}");
    let problems = App::load(file.dir.path().join("absent.yaml"), None).await.err().unwrap().to_string();
    assert!(problems.contains("absent.yaml"), "{problems}");
}
