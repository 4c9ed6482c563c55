//! The trace that a run began.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A trace id of W3C Trace Context: 16 bytes, not all of them zero; 32 lower-case hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no trace id; it is 32 lower-case hexadecimal digits, not all of them 0")]
pub struct TraceIdError(String);

impl TraceId {
    /// `None` for zeros alone, which the standard forbids.
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TraceId {
    type Err = TraceIdError;

    fn from_str(text: &str) -> Result<Self, TraceIdError> {
        let error = || TraceIdError(text.chars().take(40).collect());
        if text.len() != 32 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(error());
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| error())?;
        Self::new(number.to_be_bytes()).ok_or_else(error)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_trace_id_is_refused() {
        for text in [
            "",
            "0af7651916cd43dd8448eb211c80319",
            "0af7651916cd43dd8448eb211c80319c0",
            "0AF7651916CD43DD8448EB211C80319C",
            "+af7651916cd43dd8448eb211c80319c",
            "0af7651916cd43dd8448eb211c80319g",
            "00000000000000000000000000000000",
            "\u{e9}af7651916cd43dd8448eb211c80319",
        ] {
            assert!(text.parse::<TraceId>().is_err(), "{text:?}");
        }
        let error = "x".parse::<TraceId>().unwrap_err().to_string();
        assert_eq!(error, "\"x\" is no trace id; it is 32 lower-case hexadecimal digits, not all of them 0");
    }

    proptest! {
        #[test]
        fn every_trace_id_reads_back_as_itself(bytes in any::<[u8; 16]>()) {
            let Some(id) = TraceId::new(bytes) else { return Ok(()) };
            let text = id.to_string();
            prop_assert_eq!(text.len(), 32);
            prop_assert_eq!(text.parse::<TraceId>().unwrap(), id);
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<TraceId>(&json).unwrap(), id);
        }
    }
}
