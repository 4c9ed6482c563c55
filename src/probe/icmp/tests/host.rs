//! Hosts for tests: threads with a network of their own, joined by cables. They need root (CAP_SYS_ADMIN) and
//! iproute2; without, a test is skipped aloud. All of it is gone when the threads end.

use std::future::Future;
use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recvmsg, sendto, socket,
};
use nix::unistd::gettid;

type Job = Box<dyn FnOnce() + Send>;

/// A thread that does what it is told, in a network of its own.
pub(super) struct Host {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// `ip` takes it for the name of a namespace.
    namespace: String,
}

impl Host {
    /// `None`, said aloud, where it is not permitted.
    pub(super) fn new() -> Option<Self> {
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
    pub(super) fn does<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = channel();
        let job = move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            tell.send(result).unwrap();
        };
        self.jobs.as_ref().unwrap().send(Box::new(job)).unwrap();
        told.recv().unwrap().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// On a runtime of this thread alone: the replies are read between the sends or not at all.
    pub(super) fn runs<T: Send + 'static, F: Future<Output = T>>(
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

    pub(super) fn ip(&self, arguments: &str) {
        assert!(self.tries(&format!("ip {arguments}")), "ip {arguments}");
    }

    /// A sysctl of this host's network, by its path below /proc/sys.
    pub(super) fn sets(&self, sysctl: &str, value: &str) {
        let (path, value) = (format!("/proc/sys/{sysctl}"), value.to_owned());
        self.does(move || std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}")));
    }

    /// A cable between two hosts. Its ends have these names and addresses.
    pub(super) fn joins(&self, own: (&str, &[&str]), other: &Self, others: (&str, &[&str])) {
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

pub(super) fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    // Past the capture of output, so that it is seen.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED {name}: {why}\n").as_bytes());
}

/// A client, a router and a server in a row:
///
/// ```text
/// client 10.9.0.2 fd00:9::2 -- 10.9.0.1 fd00:9::1 router 10.9.1.1 fd00:9:1::1 -- 10.9.1.2 fd00:9:1::2 server
/// ```
pub(super) struct Row {
    pub(super) client: Host,
    pub(super) router: Host,
    pub(super) server: Host,
}

impl Row {
    pub(super) fn new() -> Option<Self> {
        let (client, router, server) = (Host::new()?, Host::new()?, Host::new()?);
        client.joins(("c0", &["10.9.0.2/24", "fd00:9::2/64"]), &router, ("r0", &["10.9.0.1/24", "fd00:9::1/64"]));
        router.joins(("r1", &["10.9.1.1/24", "fd00:9:1::1/64"]), &server, ("s0", &["10.9.1.2/24", "fd00:9:1::2/64"]));
        client.ip("route add default via 10.9.0.1");
        client.ip("-6 route add default via fd00:9::1");
        server.ip("route add default via 10.9.1.1");
        server.ip("-6 route add default via fd00:9:1::1");
        router.sets("net/ipv4/ip_forward", "1");
        router.sets("net/ipv6/conf/all/forwarding", "1");
        // Routers say little when asked much; these tests ask much.
        router.sets("net/ipv4/icmp_ratelimit", "0");
        router.sets("net/ipv6/icmp/ratelimit", "0");
        Some(Self { client, router, server })
    }
}

/// Sees every ICMP packet of a host, and says what it likes. IPv4 alone.
pub(super) struct Tap(OwnedFd);

/// An ICMP packet as it was on the wire.
pub(super) struct Seen {
    pub(super) from: IpAddr,
    pub(super) ttl: u8,
    pub(super) dont_fragment: bool,
    pub(super) message: Vec<u8>,
}

impl Tap {
    pub(super) fn new() -> Self {
        Self(socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp).unwrap())
    }

    /// Waits for the next echo request.
    pub(super) fn request(&self) -> Seen {
        let mut buffer = vec![0; 65_536];
        loop {
            let mut data = [IoSliceMut::new(&mut buffer)];
            let fd = self.0.as_raw_fd();
            let received = recvmsg::<SockaddrStorage>(fd, &mut data, None, MsgFlags::empty()).unwrap();
            let (length, from) = (received.bytes, received.address.unwrap().as_sockaddr_in().unwrap().ip());
            let packet = &buffer[..length];
            let header = usize::from(packet[0] & 0x0f) * 4;
            if packet[header] == 8 {
                return Seen {
                    from: from.into(),
                    ttl: packet[8],
                    dont_fragment: packet[6] & 0x40 != 0,
                    message: packet[header..].to_vec(),
                };
            }
        }
    }

    pub(super) fn say(&self, to: IpAddr, message: &[u8]) {
        let to = SockaddrStorage::from(SocketAddr::new(to, 0));
        sendto(self.0.as_raw_fd(), message, &to, MsgFlags::empty()).unwrap();
    }
}

impl Seen {
    /// The reply to it, changed, its checksum right.
    pub(super) fn reply(&self, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut reply = self.message.clone();
        reply[0] = 0;
        change(&mut reply);
        reply[2..4].fill(0);
        crate::probe::icmp::packet::seal(&mut reply);
        reply
    }
}
