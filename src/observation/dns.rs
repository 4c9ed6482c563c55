//! What a DNS run showed.

/// One DNS run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DnsDetail {}
