//! The flags, and nothing else. Where the incumbent has a flag for the same thing, the name is the incumbent's.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::report::When;
use crate::server::ProbeOptions;

const AFTER_HELP: &str = "\
Exit codes:
  0  a clean stop; with --config.check, the config is good; with --once, every target is up
  1  could not start, or ended unexpectedly; with --once, a target is not up
  2  a wrong flag, or a config with problems (each is printed)

Signals: SIGHUP loads the config again; SIGTERM and SIGINT stop, a second one at once.";

/// Probes targets on its own schedule and tells Prometheus whether they are up, since when, and why not.
#[derive(Debug, Parser)]
#[command(name = "uptime_exporter", version, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// The config file
    #[arg(long = "config.file", value_name = "FILE", default_value = "config.yaml")]
    pub config_file: PathBuf,

    /// Load the config, print the verdict or every problem, and exit
    #[arg(long = "config.check", conflicts_with = "once")]
    pub config_check: bool,

    /// Load the config again when its file has changed. Files that it names are watched in any case
    #[arg(long = "config.enable-auto-reload")]
    pub enable_auto_reload: bool,

    /// Seconds between two looks at the config file
    #[arg(long = "config.auto-reload-interval", value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub auto_reload_interval: Duration,

    /// Where to listen: ADDRESS:PORT, :PORT for all addresses, or unix:PATH. May be given several times
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":9815")]
    pub listen_addresses: Vec<String>,

    /// Take the sockets that systemd hands over (a .socket unit) instead of --web.listen-address
    #[arg(long = "web.systemd-socket", conflicts_with = "listen_addresses")]
    pub systemd_socket: bool,

    /// TLS, client certificates, users and headers of the server, in exporter-toolkit's format
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,

    /// The URL under which the exporter is reached from outside, for links to it [default: this machine and its port]
    #[arg(long = "web.external-url", value_name = "URL")]
    pub external_url: Option<String>,

    /// The path below which everything is served [default: the path of --web.external-url]
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    pub route_prefix: Option<String>,

    /// Seconds that /probe takes off the time that Prometheus gives it, so that the answer is there in time
    #[arg(long = "timeout-offset", value_name = "SECONDS", default_value = "0.5", value_parser = offset)]
    pub timeout_offset: Duration,

    /// Runs of /probe that /logs keeps
    #[arg(long = "history.limit", value_name = "COUNT", default_value = "100")]
    pub history_limit: u16,

    /// A file in which verdicts, counters and evidence outlive a restart
    #[arg(long = "state.file", value_name = "FILE")]
    pub state_file: Option<PathBuf>,

    /// Seconds between two writes of it; a changed verdict is written at once
    #[arg(long = "state.interval", value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub state_interval: Duration,

    /// Probe every target once, print the results, and exit
    #[arg(long = "once")]
    pub once: bool,

    /// How --once prints the results [default: table]
    #[arg(long = "format", value_name = "FORMAT", requires = "once")]
    pub format: Option<Format>,

    /// Log what is at least this important
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    pub log_level: LogLevel,

    /// How the log is written, to standard error
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    pub log_format: LogFormat,

    /// Something other than to probe
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell what happened, from what Prometheus has kept: outages, uptime, error budgets
    Report(ReportArgs),
    /// Make a config of a prometheus.yml with jobs for blackbox_exporter, and of a blackbox.yml
    Convert(ConvertArgs),
}

const CONVERT_HELP: &str = "\
The config goes to standard output or to --output, what could not be carried over to standard error (and into a comment
of the config). Exit codes:
  0  all was carried over
  1  some was not, and is listed; or the output could not be written
  2  a wrong flag, or files that cannot be read or have nothing to carry over";

#[derive(Debug, Args)]
#[command(after_help = CONVERT_HELP)]
pub struct ConvertArgs {
    /// Prometheus' config, where its files are: the targets of its blackbox_exporter jobs are taken from it
    #[arg(long, value_name = "FILE")]
    pub prometheus: PathBuf,

    /// blackbox_exporter's config: the modules
    #[arg(long, value_name = "FILE")]
    pub blackbox: Option<PathBuf>,

    /// Only what this blackbox_exporter is asked for, HOST:PORT as in __address__
    #[arg(long, value_name = "ADDRESS")]
    pub exporter: Option<String>,

    /// A file that is not there yet [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Base URL of Prometheus, or of what speaks its API (Thanos, Mimir, VictoriaMetrics)
    #[arg(long, value_name = "URL")]
    pub prometheus: String,

    /// Begin of the time: 2026-11-24, 2026-11-24T10:00:00Z, Unix seconds, or so long ago, such as -7d
    #[arg(long, value_name = "TIME", default_value = "-30d", allow_hyphen_values = true)]
    pub from: When,

    /// Its end
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true)]
    pub to: When,

    /// This target alone
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,

    /// A header for Prometheus, such as "X-Scope-OrgID: tenant". May be given several times
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,

    /// How the report is written, to standard output
    #[arg(long, value_name = "FORMAT", default_value = "markdown")]
    pub format: ReportFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    Markdown,
    Json,
}

impl Cli {
    pub fn probe_options(&self) -> ProbeOptions {
        ProbeOptions { timeout_offset: self.timeout_offset, history: self.history_limit.into() }
    }

    /// How often the config file itself is looked at, if at all.
    pub fn auto_reload(&self) -> Option<Duration> {
        self.enable_auto_reload.then_some(self.auto_reload_interval)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Logfmt,
    Json,
}

fn offset(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "is not a number of seconds".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds.into())),
        Ok(_) | Err(_) => Err("is not a whole number of seconds greater than 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::CommandFactory;

    use super::*;

    fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("uptime_exporter").chain(args.iter().copied()))
    }

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_flags_the_defaults_hold() {
        let cli = parse(&[]).unwrap();
        assert_eq!(cli.config_file, PathBuf::from("config.yaml"));
        assert_eq!(cli.listen_addresses, [":9815"]);
        assert_eq!(cli.auto_reload(), None);
        assert_eq!((cli.log_level, cli.log_format), (LogLevel::Info, LogFormat::Logfmt));
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        for args in [
            &["--format", "json"][..],
            &["--once", "--config.check"],
            &["--once", "--format", "xml"],
            &["--config.auto-reload-interval", "0"],
            &["--log.level", "loud"],
            &["positional"],
        ] {
            let error = parse(args).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{args:?}");
        }
    }

    #[test]
    fn several_addresses_replace_the_default() {
        let cli = parse(&["--web.listen-address", "127.0.0.1:1", "--web.listen-address=:2"]).unwrap();
        assert_eq!(cli.listen_addresses, ["127.0.0.1:1", ":2"]);
    }

    #[test]
    fn auto_reload_takes_seconds() {
        let cli = parse(&["--config.enable-auto-reload", "--config.auto-reload-interval=5"]).unwrap();
        assert_eq!(cli.auto_reload(), Some(Duration::from_secs(5)));
    }
}
