//! Records as zone-file text, exactly as the incumbent's library (miekg/dns) prints them, since rules are written for that
//! text: TABs between name, TTL, class, type and data, a dot at the end of names, its quoting and letter case.
//! What has no form of its own here is shown as RFC 3597 has it.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::proto::serialize::binary::{BinDecodable as _, BinDecoder};

use super::message::Record;
use crate::config::dns_numbers::{self, CLASSES, TYPES};

impl Record {
    pub(super) fn text(&self) -> String {
        let class = dns_numbers::name(CLASSES, "CLASS", self.class);
        let known = data(self);
        let (kind, data) = match known {
            Some(data) => (dns_numbers::name(TYPES, "TYPE", self.record_type), data),
            None => (dns_numbers::name(TYPES, "TYPE", self.record_type), unknown(&self.data)),
        };
        format!("{}\t{}\t{class}\t{kind}\t{data}", name_text(&self.name), self.ttl)
    }

    /// The serial of a SOA record.
    pub(super) fn serial(&self) -> Option<u32> {
        const SOA: u16 = 6;
        if self.record_type != SOA {
            return None;
        }
        let mut reader = Reader::new(self);
        reader.name()?;
        reader.name()?;
        reader.u32()
    }
}

fn unknown(data: &[u8]) -> String {
    format!("\\# {} {}", data.len(), hex(data))
}

/// The data of a type that has a form here, if it can be read.
fn data(record: &Record) -> Option<String> {
    let mut r = Reader::new(record);
    let text = match record.record_type {
        // A
        1 => Ipv4Addr::from(<[u8; 4]>::try_from(r.rest()).ok()?).to_string(),
        // NS, MD, MF, CNAME, MB, MG, MR, PTR, DNAME, NSAP-PTR
        2..=5 | 7..=9 | 12 | 23 | 39 => r.name()?,
        // SOA
        6 => format!("{} {} {} {} {} {} {}", r.name()?, r.name()?, r.u32()?, r.u32()?, r.u32()?, r.u32()?, r.u32()?),
        // HINFO, TXT, SPF, AVC, NINFO
        13 | 16 | 99 | 258 | 56 => r.strings()?.join(" "),
        // MX, AFSDB, RT, KX
        15 | 18 | 21 | 36 => format!("{} {}", r.u16()?, r.name()?),
        // RP, MINFO
        17 | 14 => format!("{} {}", r.name()?, r.name()?),
        // AAAA
        28 => Ipv6Addr::from(<[u8; 16]>::try_from(r.rest()).ok()?).to_string(),
        // SRV
        33 => format!("{} {} {} {}", r.u16()?, r.u16()?, r.u16()?, r.name()?),
        // NAPTR
        35 => format!("{} {} {} {} {} {}", r.u16()?, r.u16()?, r.string()?, r.string()?, r.string()?, r.name()?),
        // DS, CDS, DLV, TA
        43 | 59 | 32769 | 32768 => format!("{} {} {} {}", r.u16()?, r.u8()?, r.u8()?, hex(r.rest()).to_uppercase()),
        // SSHFP
        44 => format!("{} {} {}", r.u8()?, r.u8()?, hex(r.rest()).to_uppercase()),
        // RRSIG, SIG
        46 | 24 => rrsig(&mut r)?,
        // NSEC
        47 => format!("{}{}", r.name()?, types(r.rest())?),
        // DNSKEY, KEY, CDNSKEY, RKEY
        48 | 25 | 60 | 57 => format!("{} {} {} {}", r.u16()?, r.u8()?, r.u8()?, BASE64_STANDARD.encode(r.rest())),
        // NSEC3
        50 => nsec3(&mut r)?,
        // NSEC3PARAM
        51 => format!("{} {} {} {}", r.u8()?, r.u8()?, r.u16()?, salt(r.block()?)),
        // TLSA, SMIMEA
        52 | 53 => format!("{} {} {} {}", r.u8()?, r.u8()?, r.u8()?, hex(r.rest())),
        // OPENPGPKEY, DHCID
        61 | 49 => BASE64_STANDARD.encode(r.rest()),
        // SVCB, HTTPS
        64 | 65 => svcb(&mut r)?,
        // EUI48, EUI64
        108 | 109 => r.rest().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join("-"),
        // URI
        256 => format!("{} {} {}", r.u16()?, r.u16()?, quoted(r.rest())),
        // CAA
        257 => {
            let flags = r.u8()?;
            let tag = String::from_utf8_lossy(r.block()?).into_owned();
            format!("{flags} {tag} {}", quoted(r.rest()))
        }
        _ => return None,
    };
    Some(text)
}

fn rrsig(r: &mut Reader<'_>) -> Option<String> {
    let covered = dns_numbers::name(TYPES, "TYPE", r.u16()?);
    let (algorithm, labels, ttl) = (r.u8()?, r.u8()?, r.u32()?);
    let (expiration, inception, tag) = (moment(r.u32()?), moment(r.u32()?), r.u16()?);
    let signer = r.name()?;
    let signature = BASE64_STANDARD.encode(r.rest());
    Some(format!("{covered} {algorithm} {labels} {ttl} {expiration} {inception} {tag} {signer} {signature}"))
}

fn moment(seconds: u32) -> String {
    jiff::Timestamp::from_second(seconds.into())
        .map_or_else(|_| seconds.to_string(), |time| time.strftime("%Y%m%d%H%M%S").to_string())
}

fn nsec3(r: &mut Reader<'_>) -> Option<String> {
    let (hash, flags, iterations) = (r.u8()?, r.u8()?, r.u16()?);
    let salt = salt(r.block()?);
    let next = base32hex(r.block()?);
    Some(format!("{hash} {flags} {iterations} {salt} {next}{}", types(r.rest())?))
}

fn salt(bytes: &[u8]) -> String {
    if bytes.is_empty() { "-".to_owned() } else { hex(bytes).to_uppercase() }
}

/// RFC 4648 section 7, without padding.
fn base32hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";
    let mut text = String::new();
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(DIGITS[(buffer >> bits & 31) as usize]));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(DIGITS[(buffer << (5 - bits) & 31) as usize]));
    }
    text
}

/// The bitmap of RFC 4034 section 4.1.2, each type with a space before it.
fn types(mut bitmap: &[u8]) -> Option<String> {
    let mut text = String::new();
    while let [window, length, rest @ ..] = bitmap {
        let bits = rest.get(..usize::from(*length))?;
        for (index, byte) in bits.iter().enumerate() {
            for bit in 0..8 {
                if byte & (0x80 >> bit) != 0 {
                    let number = u16::from(*window) << 8 | u16::try_from(index * 8 + bit).ok()?;
                    text.push(' ');
                    text.push_str(&dns_numbers::name(TYPES, "TYPE", number));
                }
            }
        }
        bitmap = &rest[usize::from(*length)..];
    }
    bitmap.is_empty().then_some(text)
}

/// RFC 9460.
fn svcb(r: &mut Reader<'_>) -> Option<String> {
    let mut text = format!("{} {}", r.u16()?, r.name()?);
    while !r.is_empty() {
        let key = r.u16()?;
        let length = usize::from(r.u16()?);
        let value = r.take(length)?;
        let name = match key {
            0 => "mandatory".to_owned(),
            1 => "alpn".to_owned(),
            2 => "no-default-alpn".to_owned(),
            3 => "port".to_owned(),
            4 => "ipv4hint".to_owned(),
            5 => "ech".to_owned(),
            6 => "ipv6hint".to_owned(),
            7 => "dohpath".to_owned(),
            other => format!("key{other}"),
        };
        let shown = match key {
            1 => strings_of(value)?
                .iter()
                .map(|part| String::from_utf8_lossy(part).into_owned())
                .collect::<Vec<_>>()
                .join(","),
            3 => u16::from_be_bytes(value.try_into().ok()?).to_string(),
            4 => value
                .chunks_exact(4)
                .filter_map(|part| <[u8; 4]>::try_from(part).ok())
                .map(|part| Ipv4Addr::from(part).to_string())
                .collect::<Vec<_>>()
                .join(","),
            5 => BASE64_STANDARD.encode(value),
            6 => value
                .chunks_exact(16)
                .filter_map(|part| <[u8; 16]>::try_from(part).ok())
                .map(|part| Ipv6Addr::from(part).to_string())
                .collect::<Vec<_>>()
                .join(","),
            _ => escaped(value),
        };
        // Writing to a String cannot fail.
        let _ = write!(text, " {name}=\"{shown}\"");
    }
    Some(text)
}

fn strings_of(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut strings = Vec::new();
    while let [length, rest @ ..] = bytes {
        strings.push(rest.get(..usize::from(*length))?);
        bytes = &rest[usize::from(*length)..];
    }
    Some(strings)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", escaped(bytes))
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => {
                let _ = write!(text, "\\{other:03}");
            }
        }
    }
    text
}

/// A name with the escapes of a zone file, and a dot at its end.
pub(super) fn name_text(name: &Name) -> String {
    let mut text = String::new();
    for label in name.iter() {
        for byte in label {
            match byte {
                b'.' | b' ' | b'\'' | b'@' | b';' | b'(' | b')' | b'"' | b'\\' => {
                    text.extend(['\\', char::from(*byte)]);
                }
                b'!'..=b'~' => text.push(char::from(*byte)),
                other => {
                    let _ = write!(text, "\\{other:03}");
                }
            }
        }
        text.push('.');
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

/// Reads the data of a record; nothing reads beyond its end.
struct Reader<'a> {
    record: &'a Record,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(record: &'a Record) -> Self {
        Self { record, at: 0 }
    }

    fn is_empty(&self) -> bool {
        self.at >= self.record.data.len()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.record.data.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn rest(&mut self) -> &'a [u8] {
        let rest = &self.record.data[self.at.min(self.record.data.len())..];
        self.at = self.record.data.len();
        rest
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Bytes with their length in front.
    fn block(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    fn string(&mut self) -> Option<String> {
        self.block().map(quoted)
    }

    fn strings(&mut self) -> Option<Vec<String>> {
        let mut strings = Vec::new();
        while !self.is_empty() {
            strings.push(self.string()?);
        }
        Some(strings)
    }

    /// A name, which may point back into the message.
    fn name(&mut self) -> Option<String> {
        let end = self.record.start + self.record.data.len();
        let message = self.record.whole.get(..end)?;
        let mut decoder = BinDecoder::new(message);
        decoder.read_slice(self.record.start + self.at).ok()?;
        let name = Name::read(&mut decoder).ok()?;
        self.at = decoder.index().checked_sub(self.record.start)?;
        Some(name_text(&name))
    }
}
