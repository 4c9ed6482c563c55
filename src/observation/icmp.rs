//! What an ICMP run showed.

/// One ICMP run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IcmpDetail {}
