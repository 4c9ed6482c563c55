//! `debug=true` and `/logs`: what a run did, the metrics that it gave, the module that it was made by.

use std::fmt::Write;

use super::ProbeRequest;
use crate::observation::{Observation, Outcome};
use crate::server::api::run_json;
use crate::server::text::rfc3339;

/// What the run did, in order, as far as it came; then every fact that it showed, as the JSON API has them.
pub(super) fn log(request: &ProbeRequest, run: &Observation) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_log(&mut out, request, run);
    out
}

fn write_log(out: &mut String, request: &ProbeRequest, run: &Observation) -> std::fmt::Result {
    let ProbeRequest { module, spec, timeout, .. } = request;
    let prober = spec.prober();
    writeln!(
        out,
        "{} beginning probe: prober={prober} module={module} target={} timeout_seconds={}",
        rfc3339(run.started).unwrap_or_default(),
        spec.destination(),
        timeout.as_secs_f64()
    )?;
    if let Some(resolution) = &run.resolution {
        let addresses: Vec<String> = resolution.addresses.iter().map(ToString::to_string).collect();
        let used = resolution.chosen.map_or("none".to_owned(), |address| address.to_string());
        let elapsed = resolution.elapsed.as_secs_f64();
        writeln!(out, "name lookup: addresses=[{}] used={used} duration_seconds={elapsed}", addresses.join(", "))?;
    }
    if let Some(tls) = &run.tls {
        let version = tls.version.unwrap_or("not agreed");
        writeln!(out, "TLS handshake: version={version} cipher={}", tls.cipher.unwrap_or("-"))?;
        for certificate in &tls.chain.certificates {
            writeln!(
                out,
                "certificate: subject={:?} issuer={:?} dns_names={:?} not_after={}",
                certificate.subject, certificate.issuer, certificate.dns_names, certificate.not_after
            )?;
        }
        if let Some(error) = &tls.verify_error {
            writeln!(out, "certificate refused: {error}")?;
        }
    }
    let elapsed = run.elapsed.as_secs_f64();
    match &run.outcome {
        Outcome::Up => writeln!(out, "probe succeeded: duration_seconds={elapsed}")?,
        Outcome::Down(failure) => writeln!(
            out,
            "probe failed: duration_seconds={elapsed} reason={} sentence={:?}",
            failure.reason.as_label(),
            failure.sentence
        )?,
    }
    writeln!(out, "\nAll that the run showed:\n{:#}", run_json(run))
}

/// The three parts.
pub(super) fn page(log: &str, metrics: &str, module: &str) -> String {
    format!(
        "Logs for the probe:\n{log}\n\n\nMetrics that would have been returned:\n{metrics}\n\n\nModule configuration:\n{module}"
    )
}
