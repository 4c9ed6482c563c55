//! What one run of `/probe` did, for `debug=true` and `/logs`: written when somebody asks for it, and from the
//! observation alone, so that there is nothing in it that the metrics could contradict.

use std::fmt::{self, Write};

use super::request::ProbeRequest;
use crate::config::ProbeSpec;
use crate::metrics;
use crate::observation::{Detail, HttpDetail, Observation, Outcome, Resolution, TlsSession};
use crate::server::api::run_json;
use crate::server::text::{rfc3339, rfc3339_seconds};

/// A run and what it was asked for.
pub(super) struct Record {
    pub(super) request: ProbeRequest,
    pub(super) run: Observation,
    /// The module as it was configured then.
    pub(super) masked_yaml: String,
}

impl Record {
    /// The page that Prometheus gets.
    pub(super) fn metrics(&self) -> String {
        metrics::probe_page(&self.run, &self.request.settings)
    }

    /// The incumbent's three parts: the log, the metrics, the module.
    pub(super) fn page(&self) -> String {
        let mut log = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut log);
        let (metrics, module) = (self.metrics(), &self.masked_yaml);
        let module = if module.is_empty() { "prober: http   # built in\n" } else { module };
        format!(
            "Logs for the probe:\n{log}\n\n\nMetrics that would have been returned:\n{metrics}\n\n\nModule configuration:\n{module}"
        )
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let Self { request, run, masked_yaml: _ } = self;
        let time = rfc3339(run.started).unwrap_or_default();
        let ProbeRequest { module, shown, timeout, hostname, .. } = request;
        write!(out, "ts={time} level=info msg=\"Beginning probe\" module={module:?} target={shown:?}")?;
        if let Ok(spec) = &request.spec {
            write!(out, " prober={} destination={:?}", spec.prober(), spec.destination())?;
        }
        if let Some(hostname) = hostname {
            write!(out, " hostname={hostname:?}")?;
        }
        writeln!(out, " timeout_seconds={}", timeout.as_secs_f64())?;
        match (&run.resolution, &request.spec) {
            (Some(resolution), _) => looked_up(out, resolution)?,
            (None, Ok(spec)) if !spec.resolves() && !matches!(spec, ProbeSpec::Unix { .. }) => {
                writeln!(out, "level=info msg=\"The name is left to the proxy\"")?;
            }
            (None, _) => {}
        }
        if let Detail::Http(detail) = &run.detail {
            for (index, url) in detail.redirect_chain.iter().enumerate() {
                writeln!(out, "level=info msg=\"Following redirect\" redirect={} url={url:?}", index + 1)?;
            }
        }
        let json = run_json(run);
        for (phase, seconds) in json["phases_seconds"].as_object().into_iter().flatten() {
            writeln!(out, "level=info msg=\"Phase\" phase={phase} duration_seconds={seconds}")?;
        }
        if let Some(tls) = &run.tls {
            shook_hands(out, tls)?;
        }
        if let Detail::Http(detail) = &run.detail {
            answered(out, detail)?;
        }
        let elapsed = run.elapsed.as_secs_f64();
        let ended = run.started.checked_add(run.elapsed).and_then(rfc3339).unwrap_or_default();
        match &run.outcome {
            Outcome::Up => {
                writeln!(out, "ts={ended} level=info msg=\"Probe succeeded\" duration_seconds={elapsed}")?;
            }
            Outcome::Down(failure) => {
                let (reason, sentence) = (failure.reason, &failure.sentence);
                writeln!(
                    out,
                    "ts={ended} level=error msg=\"Probe failed\" duration_seconds={elapsed} reason={} sentence={sentence:?}",
                    reason.as_label()
                )?;
                let look_first = run.look_first().unwrap_or_default();
                writeln!(out, "{} Look first: {look_first}", reason.meaning())?;
            }
        }
        // The keys of /api/v1/targets/NAME.
        writeln!(out, "\nEverything that the run showed:\n{json:#}")
    }
}

fn looked_up(out: &mut String, resolution: &Resolution) -> fmt::Result {
    let Resolution { elapsed, addresses, chosen, lookup: _ } = resolution;
    let found: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let seconds = elapsed.as_secs_f64();
    match chosen {
        Some(used) => writeln!(
            out,
            "level=info msg=\"Resolved target address\" ip={used} addresses=\"{}\" duration_seconds={seconds}",
            found.join(",")
        ),
        None => writeln!(
            out,
            "level=error msg=\"No address to use\" addresses=\"{}\" duration_seconds={seconds}",
            found.join(",")
        ),
    }
}

fn shook_hands(out: &mut String, tls: &TlsSession) -> fmt::Result {
    let version = tls.version.as_deref().unwrap_or("none agreed on");
    writeln!(
        out,
        "level=info msg=\"TLS handshake\" version={version:?} cipher={}",
        tls.cipher.as_deref().unwrap_or("none")
    )?;
    for (index, certificate) in tls.chain.certificates.iter().enumerate() {
        let time = |seconds| rfc3339_seconds(seconds).unwrap_or_default();
        writeln!(
            out,
            "level=info msg=\"Certificate\" number={} subject={:?} issuer={:?} dns_names={:?} not_before={} not_after={}",
            index + 1,
            certificate.subject,
            certificate.issuer,
            certificate.dns_names,
            time(certificate.not_before),
            time(certificate.not_after)
        )?;
    }
    if let Some(error) = &tls.skipped_error {
        writeln!(out, "level=warn msg=\"Certificate accepted unverified\" error={error:?}")?;
    }
    match &tls.verify_error {
        Some(error) => writeln!(out, "level=error msg=\"Certificate refused\" error={error:?}"),
        None => Ok(()),
    }
}

fn answered(out: &mut String, detail: &HttpDetail) -> fmt::Result {
    let Some(status) = detail.status else { return Ok(()) };
    write!(out, "level=info msg=\"Received HTTP response\" status_code={status}")?;
    if let Some(version) = detail.version {
        write!(out, " http_version={version:?}")?;
    }
    if let Some(length) = detail.content_length {
        write!(out, " content_length={length}")?;
    }
    if let Some(length) = detail.body_length {
        write!(out, " body_bytes_read={length}")?;
    }
    writeln!(out)?;
    for (name, value) in &detail.headers {
        writeln!(out, "level=info msg=\"Response header\" name={name} value={value:?}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::tests::record;
    use crate::metrics::fixture::{expired, good_https};
    use crate::observation::Detail;

    #[test]
    fn the_log_tells_the_run_from_its_beginning_to_its_end() {
        let mut run = good_https();
        if let Detail::Http(detail) = &mut run.detail {
            detail.redirect_chain = ["https://shop.example.com/login".into()].into();
        }
        let page = record("https://u:hunter2@shop.example.com/", run).page();
        let mut from = 0;
        for part in [
            "Logs for the probe:\nts=2026-",
            "msg=\"Beginning probe\" module=\"http_2xx\" target=\"https://u:<secret>@shop.example.com/\" prober=http",
            "msg=\"Resolved target address\" ip=192.0.2.1",
            "msg=\"Following redirect\" redirect=1 url=\"https://shop.example.com/login\"",
            "msg=\"Phase\" phase=connect duration_seconds=",
            "msg=\"TLS handshake\" version=\"TLS 1.3\"",
            "msg=\"Certificate\" number=1 subject=\"CN=shop.example.com\"",
            "msg=\"Received HTTP response\" status_code=200",
            "msg=\"Probe succeeded\" duration_seconds=",
            "Everything that the run showed:\n{",
            "Metrics that would have been returned:\n# HELP probe_dns_lookup_time_seconds",
            "Module configuration:\nprober: http",
        ] {
            let at = page[from..].find(part).unwrap_or_else(|| panic!("{part:?} is not in\n{page}"));
            from += at + part.len();
        }
        assert!(!page.contains("hunter2"), "{page}");
    }

    #[test]
    fn a_failure_says_why_and_what_to_look_at() {
        let page = record("https://shop.example.com/", expired()).page();
        for part in
            ["msg=\"Certificate refused\" error=\"", "reason=tls_expired sentence=\"", "Look first: The renewal job"]
        {
            assert!(page.contains(part), "{part:?} is not in\n{page}");
        }
    }
}
