//! Settings of the Unix socket prober: the incumbent's `unix` block, resolved.

use super::TlsSettings;
use super::tcp::Step;

#[derive(Clone, Debug)]
pub struct UnixSettings {
    pub tls: bool,
    pub tls_config: TlsSettings,
    pub steps: Vec<Step>,
    /// Keep the first 1 KiB received as evidence.
    pub keep_excerpt: bool,
}
