//! ICMP echo messages as bytes: RFC 792 and RFC 4443. No sockets here, and nothing that can fail but by `None`.

use std::ops::Range;
use std::sync::Arc;

use crate::config::IpFamily;

/// Type, code, checksum, identifier, sequence number.
pub(super) const HEADER: usize = 8;

/// The incumbent's payload, which filters may know by now.
const TEXT: &[u8] = b"Prometheus Blackbox Exporter";

/// Bytes of the token, which stands behind the text.
const TOKEN: usize = 8;

/// Types of messages.
const V4_ECHO_REPLY: u8 = 0;
const V4_ECHO_REQUEST: u8 = 8;
const V6_ECHO_REQUEST: u8 = 128;
const V6_ECHO_REPLY: u8 = 129;

/// What the packets of one target carry, but for the token of each.
///
/// The incumbent's text, cut to size or followed by zeros. Where 8 bytes and more are left behind it, they hold a token
/// that is another one in each packet, so that the reply to one is never taken for the reply to another.
#[derive(Clone, Debug)]
pub(super) struct Payload(Arc<[u8]>);

/// An echo message that was parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Echo<'a> {
    pub(super) id: u16,
    pub(super) sequence: u16,
    pub(super) payload: &'a [u8],
}

/// How a socket hands over what it received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// From the IPv4 header on, the ICMP checksum not looked at: raw IPv4 sockets.
    Ipv4Header,
    /// From the ICMP header on, the checksum right: all others.
    Bare,
}

impl Payload {
    /// `size` bytes; 0 is the text as it is.
    pub(super) fn new(size: usize) -> Self {
        let size = if size == 0 { TEXT.len() } else { size };
        Self(TEXT.iter().copied().chain(std::iter::repeat(0)).take(size).collect())
    }

    pub(super) fn size(&self) -> usize {
        self.0.len()
    }

    fn token(&self) -> Option<Range<usize>> {
        let end = TEXT.len() + TOKEN;
        (self.0.len() >= end).then_some(TEXT.len()..end)
    }

    /// Whether `received` is this payload with `token` in it.
    pub(super) fn is(&self, token: u64, received: &[u8]) -> bool {
        received.len() == self.0.len() && self.begins(token, received)
    }

    /// Whether this payload with `token` in it begins with `part`: routers quote only the beginning of a packet.
    pub(super) fn begins(&self, token: u64, part: &[u8]) -> bool {
        let Some(own) = self.0.get(..part.len()) else { return false };
        match self.token() {
            Some(place) if part.len() > place.start => {
                let end = place.end.min(part.len());
                let quoted = &part[place.start..end];
                part[..place.start] == own[..place.start]
                    && *quoted == token.to_be_bytes()[..quoted.len()]
                    && part[end..] == own[end..]
            }
            Some(_) | None => part == own,
        }
    }

    /// The echo request that carries it. The checksum of IPv6, and of IPv4's datagram sockets, is the kernel's to make.
    pub(super) fn echo_request(&self, family: IpFamily, id: u16, sequence: u16, token: u64) -> Vec<u8> {
        let kind = match family {
            IpFamily::V4 => V4_ECHO_REQUEST,
            IpFamily::V6 => V6_ECHO_REQUEST,
        };
        let mut packet = echo(kind, id, sequence, &self.0);
        if let Some(place) = self.token() {
            packet[HEADER..][place].copy_from_slice(&token.to_be_bytes());
        }
        match family {
            IpFamily::V4 => seal(&mut packet),
            IpFamily::V6 => {}
        }
        packet
    }
}

fn echo(kind: u8, id: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER + payload.len());
    packet.extend([kind, 0, 0, 0]);
    packet.extend(id.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend(payload);
    packet
}

/// Puts the checksum into its place, which holds zeros.
pub(super) fn seal(packet: &mut [u8]) {
    let sum = checksum(packet).to_be_bytes();
    packet[2..4].copy_from_slice(&sum);
}

/// An echo reply as a socket received it; `None` for anything else.
pub(super) fn echo_reply(family: IpFamily, framing: Framing, received: &[u8]) -> Option<Echo<'_>> {
    let message = match framing {
        Framing::Bare => received,
        Framing::Ipv4Header => {
            let message = behind_ipv4_header(received)?;
            // Raw sockets get packets before the kernel looks at them.
            (checksum(message) == 0).then_some(message)?
        }
    };
    let kind = match family {
        IpFamily::V4 => V4_ECHO_REPLY,
        IpFamily::V6 => V6_ECHO_REPLY,
    };
    parse(kind, message)
}

/// Our echo request as a router quotes it in an error message, cut off anywhere; `None` for anything else.
pub(super) fn quoted_request(family: IpFamily, quoted: &[u8]) -> Option<Echo<'_>> {
    let kind = match family {
        IpFamily::V4 => V4_ECHO_REQUEST,
        IpFamily::V6 => V6_ECHO_REQUEST,
    };
    parse(kind, quoted)
}

fn parse(kind: u8, message: &[u8]) -> Option<Echo<'_>> {
    let (header, payload) = message.split_first_chunk::<HEADER>()?;
    let [found, code, _, _, id_high, id_low, sequence_high, sequence_low] = *header;
    (found == kind && code == 0).then_some(Echo {
        id: u16::from_be_bytes([id_high, id_low]),
        sequence: u16::from_be_bytes([sequence_high, sequence_low]),
        payload,
    })
}

fn behind_ipv4_header(packet: &[u8]) -> Option<&[u8]> {
    const LEAST: usize = 20;
    let first = *packet.first()?;
    let length = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || length < LEAST {
        return None;
    }
    packet.get(length..)
}

/// RFC 1071. Of a message whose checksum is right: 0.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    let (pairs, rest) = bytes.as_chunks::<2>();
    for pair in pairs {
        sum += u32::from(u16::from_be_bytes(*pair));
    }
    if let [last] = rest {
        sum += u32::from(u16::from_be_bytes([*last, 0]));
    }
    // 65,535 bytes are at most 32,768 words of 16 bits: the sum fits, and folds in two steps.
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const FAMILIES: [IpFamily; 2] = [IpFamily::V4, IpFamily::V6];

    fn reply_kind(family: IpFamily) -> u8 {
        match family {
            IpFamily::V4 => V4_ECHO_REPLY,
            IpFamily::V6 => V6_ECHO_REPLY,
        }
    }

    /// The answer to `request`, as a host makes it.
    fn answer(family: IpFamily, request: &[u8]) -> Vec<u8> {
        let mut reply = request.to_vec();
        reply[0] = reply_kind(family);
        reply[2..4].fill(0);
        seal(&mut reply);
        reply
    }

    fn with_ipv4_header(message: &[u8], options: usize) -> Vec<u8> {
        let words = u8::try_from(5 + options).unwrap();
        let mut packet = vec![0; 4 * usize::from(words)];
        packet[0] = 0x40 | words;
        packet.extend(message);
        packet
    }

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        // The example of RFC 1071 section 3: the sum is ddf2.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[]), 0xffff);
        assert_eq!(checksum(&[0xff; 65_535]), 0x00ff);
    }

    #[test]
    fn the_default_payload_is_the_incumbents_text() {
        let packet = Payload::new(0).echo_request(IpFamily::V6, 1, 2, 3);
        assert_eq!(packet[..HEADER], [128, 0, 0, 0, 0, 1, 0, 2]);
        assert_eq!(&packet[HEADER..], b"Prometheus Blackbox Exporter");
        assert_eq!(&Payload::new(10).echo_request(IpFamily::V4, 1, 2, 3)[HEADER..], b"Prometheus");
        let long = Payload::new(40).echo_request(IpFamily::V4, 1, 2, u64::MAX);
        assert_eq!(&long[HEADER..][..28], b"Prometheus Blackbox Exporter");
        assert_eq!(long[HEADER..][28..], [255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]);
    }

    #[test]
    fn a_reply_to_another_packet_is_no_reply_to_this_one() {
        for size in [0, 1, 28, 35] {
            assert!(Payload::new(size).is(1, &Payload::new(size).0), "{size}: no room for a token");
            assert!(!Payload::new(size).is(1, b"Something else"));
        }
        let payload = Payload::new(36);
        let request = payload.echo_request(IpFamily::V4, 1, 2, 77);
        assert!(payload.is(77, &request[HEADER..]));
        assert!(!payload.is(78, &request[HEADER..]));
        assert!(!Payload::new(37).is(77, &request[HEADER..]), "another length");
    }

    #[test]
    fn a_raw_socket_believes_no_packet_with_a_wrong_checksum() {
        let message = answer(IpFamily::V4, &Payload::new(0).echo_request(IpFamily::V4, 1, 2, 3));
        let mut packet = with_ipv4_header(&message, 1);
        assert!(echo_reply(IpFamily::V4, Framing::Ipv4Header, &packet).is_some());
        *packet.last_mut().unwrap() ^= 1;
        assert_eq!(echo_reply(IpFamily::V4, Framing::Ipv4Header, &packet), None);
    }

    proptest! {
        #[test]
        fn a_request_comes_back_as_what_was_sent(
            id: u16, sequence: u16, token: u64, size in 0_usize..1500, options in 0_usize..=10,
        ) {
            for family in FAMILIES {
                let payload = Payload::new(size);
                let request = payload.echo_request(family, id, sequence, token);
                let reply = answer(family, &request);
                let framed = with_ipv4_header(&reply, options);
                let bare = echo_reply(family, Framing::Bare, &reply).unwrap();
                prop_assert_eq!(echo_reply(family, Framing::Ipv4Header, &framed), Some(bare));
                prop_assert_eq!((bare.id, bare.sequence), (id, sequence));
                prop_assert!(payload.is(token, bare.payload));
                prop_assert_eq!(echo_reply(family, Framing::Bare, &request), None, "our own request is no reply");
            }
        }

        #[test]
        fn an_ipv4_request_has_the_right_checksum(id: u16, sequence: u16, token: u64, size in 0_usize..100) {
            prop_assert_eq!(checksum(&Payload::new(size).echo_request(IpFamily::V4, id, sequence, token)), 0);
        }

        #[test]
        fn a_quote_is_known_however_short_it_is(
            id: u16, sequence: u16, token: u64, size in 1_usize..100, cut in 0_usize..200,
        ) {
            for family in FAMILIES {
                let payload = Payload::new(size);
                let request = payload.echo_request(family, id, sequence, token);
                let quoted = &request[..request.len().min(cut)];
                match quoted_request(family, quoted) {
                    Some(echo) => {
                        prop_assert_eq!((echo.id, echo.sequence), (id, sequence));
                        prop_assert!(payload.begins(token, echo.payload));
                    }
                    None => prop_assert!(cut < HEADER),
                }
            }
        }

        #[test]
        fn a_quote_with_a_changed_byte_is_not_ours(
            token: u64, size in 1_usize..100, cut in 1_usize..100, place: proptest::sample::Index,
        ) {
            let payload = Payload::new(size);
            let request = payload.echo_request(IpFamily::V4, 1, 2, token);
            let mut quoted = request[HEADER..].to_vec();
            quoted.truncate(cut);
            let place = place.index(quoted.len());
            quoted[place] ^= 1;
            prop_assert!(!payload.begins(token, &quoted));
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 0_usize..80) {
            for family in FAMILIES {
                let payload = Payload::new(size);
                for framing in [Framing::Bare, Framing::Ipv4Header] {
                    if let Some(echo) = echo_reply(family, framing, &bytes) {
                        let _ = payload.is(0, echo.payload);
                    }
                }
                if let Some(echo) = quoted_request(family, &bytes) {
                    let _ = payload.begins(0, echo.payload);
                }
                let _ = payload.begins(0, &bytes);
            }
        }
    }
}
