//! A question on the wire, and answers read from it. Names are hickory's affair; records stay bytes, for `record` to show.

use hickory_resolver::proto::op::{Edns, Message, OpCode, Query};
use hickory_resolver::proto::rr::{DNSClass, Name, RecordType};
use hickory_resolver::proto::serialize::binary::{BinDecodable as _, BinDecoder};

use crate::config::DnsSettings;

/// The pseudo-record of EDNS.
const OPT: u16 = 41;

pub(super) struct Question {
    pub(super) id: u16,
    name: Name,
    query_type: u16,
    query_class: u16,
    pub(super) bytes: Vec<u8>,
}

impl Question {
    pub(super) fn new(settings: &DnsSettings) -> Self {
        // The id is random.
        let mut message = Message::query();
        message.metadata.recursion_desired = settings.recursion_desired;
        message.metadata.op_code = OpCode::Query;
        let mut query = Query::query(settings.query_name.clone(), RecordType::from(settings.query_type));
        query.set_query_class(DNSClass::from(settings.query_class));
        message.add_query(query);
        if let Some(size) = settings.edns_udp_size {
            let mut edns = Edns::new();
            edns.set_max_payload(size).set_version(0);
            message.set_edns(edns);
        }
        Self {
            id: message.metadata.id,
            name: settings.query_name.clone(),
            query_type: settings.query_type,
            query_class: settings.query_class,
            // Cannot fail for a name that was parsed; an empty question would be refused by the server.
            bytes: message.to_vec().unwrap_or_default(),
        }
    }

    /// The same with another id: HTTPS wants 0, for caches (RFC 8484 section 4.1).
    pub(super) fn with_id(&self, id: u16) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if let Some(place) = bytes.get_mut(..2) {
            place.copy_from_slice(&id.to_be_bytes());
        }
        bytes
    }

    /// Whether it is a response to this very question. A failure may come without the question.
    pub(super) fn is_answered_by(&self, reply: &Reply, id: u16) -> bool {
        let same = |(name, query_type, query_class): &(Name, u16, u16)| {
            *name == self.name && *query_type == self.query_type && *query_class == self.query_class
        };
        let question = match &reply.question {
            Some(question) => same(question),
            None => reply.rcode != 0,
        };
        reply.response && reply.id == id && question
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    id: u16,
    response: bool,
    pub(super) truncated: bool,
    pub(super) rcode: u16,
    question: Option<(Name, u16, u16)>,
    /// Of answer, authority and additional. Without the pseudo-record of EDNS.
    pub(super) sections: [Vec<Record>; 3],
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) name: Name,
    pub(super) record_type: u16,
    pub(super) class: u16,
    pub(super) ttl: u32,
    /// The data alone.
    pub(super) data: Vec<u8>,
    /// The data with what stands before it, since names in it may point back.
    pub(super) whole: std::sync::Arc<[u8]>,
    /// Where the data begins in `whole`.
    pub(super) start: usize,
}

impl Reply {
    /// # Errors
    /// What cannot be read.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let whole: std::sync::Arc<[u8]> = bytes.into();
        let mut decoder = BinDecoder::new(bytes);
        let number = |decoder: &mut BinDecoder<'_>| -> Result<u16, String> {
            decoder.read_u16().map(|number| number.unverified()).map_err(|_| "it ends in its header".to_owned())
        };
        let id = number(&mut decoder)?;
        let flags = number(&mut decoder)?;
        let counts = [number(&mut decoder)?, number(&mut decoder)?, number(&mut decoder)?, number(&mut decoder)?];
        let mut reply = Self {
            id,
            response: flags & 0x8000 != 0,
            truncated: flags & 0x0200 != 0,
            rcode: flags & 0x000f,
            question: None,
            sections: Default::default(),
        };
        for index in 0..counts[0] {
            let question = question(&mut decoder)?;
            if index == 0 {
                reply.question = Some(question);
            }
        }
        for (section, count) in reply.sections.iter_mut().zip(&counts[1..]) {
            for _ in 0..*count {
                match record(&mut decoder, &whole) {
                    Ok(record) if record.record_type == OPT => {
                        // The upper bits of the rcode (RFC 6891 section 6.1.3).
                        reply.rcode |= u16::try_from(record.ttl >> 24).unwrap_or(0) << 4;
                    }
                    Ok(record) => section.push(record),
                    // What is cut off is said to be so.
                    Err(_) if reply.truncated => return Ok(reply),
                    Err(what) => return Err(what),
                }
            }
        }
        Ok(reply)
    }
}

fn question(decoder: &mut BinDecoder<'_>) -> Result<(Name, u16, u16), String> {
    let bad = || "its question cannot be read".to_owned();
    let name = Name::read(decoder).map_err(|_| bad())?;
    let query_type = decoder.read_u16().map_err(|_| bad())?.unverified();
    let query_class = decoder.read_u16().map_err(|_| bad())?.unverified();
    Ok((name, query_type, query_class))
}

fn record(decoder: &mut BinDecoder<'_>, whole: &std::sync::Arc<[u8]>) -> Result<Record, String> {
    let bad = || "a record of it cannot be read".to_owned();
    let name = Name::read(decoder).map_err(|_| bad())?;
    let record_type = decoder.read_u16().map_err(|_| bad())?.unverified();
    let class = decoder.read_u16().map_err(|_| bad())?.unverified();
    let ttl = decoder.read_u32().map_err(|_| bad())?.unverified();
    let length = usize::from(decoder.read_u16().map_err(|_| bad())?.unverified());
    let start = decoder.index();
    let data = decoder.read_slice(length).map_err(|_| bad())?.unverified().to_vec();
    Ok(Record { name, record_type, class, ttl, data, whole: std::sync::Arc::clone(whole), start })
}
