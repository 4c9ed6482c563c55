//! Names, help and types of every family; snapshot -> Prometheus text. Pure: knows nothing of sockets.
//!
//! Every family of a target is declared once, in [`family::FAMILIES`]; the page, the README's table and the
//! tests read that table. A target's series are rendered straight from a [`Snapshot`](crate::state::Snapshot),
//! so a removed target leaves nothing behind, and by a writer of our own rather than a collector of the
//! `prometheus` crate, which would build some seven heap objects a sample
//! (`docs/decisions/0001-page-rendering.md` has the figures). The exporter's own families are ordinary
//! registered metrics and come from that crate's registry and encoder.

pub mod docs;
mod family;
mod format;
mod kept;
mod own;
mod page;
mod probe_page;
mod run;
mod selection;
mod text;

#[cfg(test)]
mod cost;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

pub use family::{FAMILIES, Family, Kind};
pub use format::Format;
pub use own::{CausesGauge, ResolverGauge, TargetCount, VantageGauge, VantageInfo};
pub use page::Page;
pub use probe_page::probe_page;
pub use selection::{Selection, SelectionError, Shard};

/// Content type of the text exposition format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
