//! What a process needs for ICMP on Linux, and what to say when it has none of it.

use super::socket::Socket;
use crate::config::IpFamily;

/// Groups from the first to the second number may open datagram sockets, for IPv6 too; `1 0` is nobody.
const SYSCTL: &str = "net.ipv4.ping_group_range";
const SYSCTL_FILE: &str = "/proc/sys/net/ipv4/ping_group_range";

/// The sentence about what is missing; `None` when ICMP sockets may be opened.
///
/// IPv6 takes the same privileges as IPv4, so one is tried.
pub fn missing_privilege() -> Option<String> {
    Socket::is_refused(IpFamily::V4).then(sentence)
}

/// Says which settings keep ICMP sockets from this process, and what would allow them.
pub(super) fn sentence() -> String {
    let range = std::fs::read_to_string(SYSCTL_FILE);
    describe(range.as_deref().ok(), nix::unistd::getegid().as_raw())
}

fn describe(range: Option<&str>, group: u32) -> String {
    let range = match range {
        Some(range) => format!("is \"{}\"", range.split_whitespace().collect::<Vec<_>>().join(" ")),
        None => "cannot be read".to_owned(),
    };
    format!(
        "the exporter may not open ICMP sockets: the sysctl {SYSCTL} {range} and so leaves out its group {group}, \
         and it has not the capability CAP_NET_RAW; set {SYSCTL}=\"{group} {group}\", or grant CAP_NET_RAW"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_what_is_missing_and_what_to_do() {
        let sentence = describe(Some("1\t0\n"), 65_534);
        for part in ["ping_group_range is \"1 0\"", "group 65534", "CAP_NET_RAW", "=\"65534 65534\""] {
            assert!(sentence.contains(part), "{sentence}");
        }
        assert!(describe(None, 0).contains("cannot be read"));
    }
}
