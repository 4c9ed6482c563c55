//! Hosts for tests: threads with a network of their own, joined by cables. They need root (CAP_SYS_ADMIN) and
//! iproute2; without, a test is skipped aloud. All of it is gone when the threads end.

#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;

type Job = Box<dyn FnOnce() + Send>;

/// A thread that does what it is told, in a network of its own.
pub(in crate::probe) struct Host {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// `ip` takes it for the name of a namespace.
    namespace: String,
}

impl Host {
    /// `None`, said aloud, where it is not permitted.
    pub(in crate::probe) fn new() -> Option<Self> {
        let (jobs, todo) = channel::<Job>();
        let (tell, born) = channel();
        let thread = std::thread::spawn(move || {
            let made = unshare(CloneFlags::CLONE_NEWNET);
            let path = format!("/proc/{}/task/{}/ns/net", std::process::id(), gettid());
            tell.send(made.map(|()| path)).unwrap();
            for job in todo {
                job();
            }
        });
        match born.recv().unwrap() {
            Ok(namespace) => {
                let host = Self { jobs: Some(jobs), thread: Some(thread), namespace };
                if !host.tries("ip link set lo up") {
                    skipped("iproute2 is not there");
                    return None;
                }
                // Datagram sockets are for everybody here.
                host.sets("net/ipv4/ping_group_range", "0 2147483647");
                Some(host)
            }
            Err(error) => {
                skipped(&format!("a network of its own takes root: {error}"));
                None
            }
        }
    }

    /// Waits for what `job` makes. Its panics are the caller's.
    pub(in crate::probe) fn does<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = channel();
        let job = move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            tell.send(result).unwrap();
        };
        self.jobs.as_ref().unwrap().send(Box::new(job)).unwrap();
        told.recv().unwrap().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// On a runtime of this thread alone: the replies are read between the sends or not at all.
    pub(in crate::probe) fn runs<T: Send + 'static, F: Future<Output = T>>(
        &self,
        test: impl FnOnce() -> F + Send + 'static,
    ) -> T {
        self.does(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(test())
        })
    }

    fn tries(&self, command: &str) -> bool {
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        self.does(move || Command::new(&words[0]).args(&words[1..]).status().is_ok_and(|status| status.success()))
    }

    pub(in crate::probe) fn ip(&self, arguments: &str) {
        assert!(self.tries(&format!("ip {arguments}")), "ip {arguments}");
    }

    /// A sysctl of this host's network, by its path below /proc/sys.
    pub(in crate::probe) fn sets(&self, sysctl: &str, value: &str) {
        let (path, value) = (format!("/proc/sys/{sysctl}"), value.to_owned());
        self.does(move || std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}")));
    }

    /// A cable between two hosts. Its ends have these names and addresses.
    pub(in crate::probe) fn joins(&self, own: (&str, &[&str]), other: &Self, others: (&str, &[&str])) {
        self.ip(&format!("link add {} type veth peer name {} netns {}", own.0, others.0, other.namespace));
        for (host, (name, addresses)) in [(self, own), (other, others)] {
            for address in addresses {
                let nodad = if address.contains(':') { "nodad" } else { "" };
                host.ip(&format!("addr add {address} dev {name} {nodad}"));
            }
            host.ip(&format!("link set {name} up"));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(in crate::probe) fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    // Past the capture of output, so that it is seen.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED {name}: {why}\n").as_bytes());
}
