//! The targets: a process of its own that answers, and remembers when each of them was asked.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::Scheme;
use crate::process::Process;

/// Several, so that the client does not run out of ports for one of them.
const ADDRESSES: u8 = 8;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";

/// The process, seen from the bench.
pub(crate) struct Peer {
    pub(crate) addresses: Vec<SocketAddr>,
    _process: Process,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    dir: TempDir,
}

/// How far the gaps between two requests for the same target were from the interval, in milliseconds.
pub(crate) struct Arrivals {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    /// Gaps longer than one interval and a half.
    pub(crate) lost: usize,
}

impl Peer {
    pub(crate) fn start(scheme: Scheme) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--serve", if scheme == Scheme::Https { "https" } else { "http" }]).arg(dir.path());
        let mut process = Process::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let questions = process.0.stdin.take().unwrap();
        let mut answers = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let line = answers.next().unwrap().unwrap();
        let addresses = line.split(' ').map(|address| address.parse().unwrap()).collect();
        Self { addresses, _process: process, questions, answers, dir }
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// What came so far does not count.
    pub(crate) fn forget(&mut self) {
        self.ask("forget");
    }

    pub(crate) fn report(&mut self, interval: Duration) -> Arrivals {
        let answer = self.ask(&format!("report {}", interval.as_micros()));
        let mut numbers = answer.split(' ').map(|number| number.parse::<f64>().unwrap());
        let mut next = || numbers.next().unwrap();
        Arrivals { p50: next(), p99: next(), max: next(), lost: next() as usize }
    }

    fn ask(&mut self, question: &str) -> String {
        writeln!(self.questions, "{question}").unwrap();
        self.answers.next().unwrap().unwrap()
    }
}

/// Microseconds at which each target was asked.
type Log = Rc<RefCell<Vec<Vec<u64>>>>;

/// The process itself: serves until its standard input ends.
pub(crate) fn serve(scheme: Scheme, directory: &Path) {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let tls = (scheme == Scheme::Https).then(|| TlsAcceptor::from(tls(directory)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let log = Log::default();
        let epoch = Instant::now();
        let mut addresses = Vec::new();
        for last in 1..=ADDRESSES {
            let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, last], 0))).await.unwrap();
            addresses.push(listener.local_addr().unwrap().to_string());
            tokio::task::spawn_local(accept(listener, tls.clone(), Rc::clone(&log), epoch));
        }
        println!("{}", addresses.join(" "));
        let mut questions = tokio::io::BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(question)) = questions.next_line().await {
            match question.strip_prefix("report ") {
                Some(interval) => println!("{}", report(&log.borrow(), interval.parse().unwrap())),
                None => {
                    log.borrow_mut().iter_mut().for_each(Vec::clear);
                    println!("forgotten");
                }
            }
        }
    });
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, log: Log, epoch: Instant) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let at = u64::try_from(epoch.elapsed().as_micros()).unwrap();
        let (tls, log) = (tls.clone(), Rc::clone(&log));
        tokio::task::spawn_local(async move {
            match tls {
                None => answer(stream, at, &log).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => answer(stream, at, &log).await,
                    Err(_) => None,
                },
            }
        });
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, at: u64, log: &Log) -> Option<()> {
    let mut buffer = [0; 2048];
    let mut filled = 0;
    while !buffer[..filled].windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer[filled..]).await.ok()? {
            0 => return None,
            read => filled += read,
        }
    }
    let path = std::str::from_utf8(&buffer[..filled]).ok()?.split(' ').nth(1)?;
    let target: usize = path.strip_prefix("/t/")?.parse().ok()?;
    {
        let mut log = log.borrow_mut();
        if log.len() <= target {
            log.resize(target + 1, Vec::new());
        }
        log[target].push(at);
    }
    stream.write_all(ANSWER).await.ok()?;
    stream.shutdown().await.ok()
}

fn report(log: &[Vec<u64>], interval: u64) -> String {
    let mut errors = Vec::new();
    let mut lost = 0;
    for gap in log.iter().flat_map(|times| times.windows(2)).map(|pair| pair[1].saturating_sub(pair[0])) {
        errors.push(gap.abs_diff(interval));
        lost += usize::from(gap > interval * 3 / 2);
    }
    errors.sort_unstable();
    let at = |share: f64| {
        let index = (errors.len() as f64 * share) as usize;
        errors.get(index.min(errors.len().saturating_sub(1))).map_or(f64::NAN, |error| *error as f64 / 1000.0)
    };
    format!("{} {} {} {lost}", at(0.5), at(0.99), at(1.0))
}

/// A certificate for every address, by an authority whose own goes to `ca.pem`. ECDSA P-256, as most have today.
fn tls(directory: &Path) -> Arc<ServerConfig> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = date_time_ymd(2090, 1, 1);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(directory.join("ca.pem"), authority.pem()).unwrap();
    let names: Vec<String> = (1..=ADDRESSES).map(|last| format!("127.0.0.{last}")).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_after = date_time_ymd(2080, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    Arc::new(config)
}
