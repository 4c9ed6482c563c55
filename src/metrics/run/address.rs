//! What the families read off a run at several addresses.

use super::{flag, seconds};
use crate::metrics::text::Lines;
use crate::observation::{AddressRun, Observation};

fn address(run: &AddressRun) -> String {
    run.address.map(|address| address.to_string()).unwrap_or_default()
}

pub(in crate::metrics) fn address_success(run: &Observation, lines: &mut Lines<'_>) {
    for run in &run.addresses {
        lines.sample(&[("address", &address(run))], flag(run.outcome.is_up()));
    }
}

pub(in crate::metrics) fn address_duration(run: &Observation, lines: &mut Lines<'_>) {
    for run in &run.addresses {
        lines.sample(&[("address", &address(run))], seconds(run.elapsed));
    }
}

pub(in crate::metrics) fn address_failure_info(run: &Observation, lines: &mut Lines<'_>) {
    for run in &run.addresses {
        if let Some(failure) = run.outcome.failure() {
            lines.sample(&[("address", &address(run)), ("reason", failure.reason.as_label())], 1.0);
        }
    }
}

/// Addresses that there are, not those that a family lacks.
#[expect(clippy::cast_precision_loss, reason = "a few hundred addresses at most")]
pub(in crate::metrics) fn addresses(run: &Observation) -> Option<f64> {
    (!run.addresses.is_empty()).then(|| run.addresses.iter().filter(|run| run.address.is_some()).count() as f64)
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred addresses at most")]
pub(in crate::metrics) fn addresses_success_ratio(run: &Observation) -> Option<f64> {
    let up = run.addresses.iter().filter(|run| run.outcome.is_up()).count();
    (!run.addresses.is_empty()).then(|| up as f64 / run.addresses.len() as f64)
}
