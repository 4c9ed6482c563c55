//! The flags, and nothing else. Where the incumbent has a flag for the same thing, the name is the incumbent's.

mod args;
mod notice;
mod status;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

pub use self::notice::{NoticeAction, NoticeArgs, NoticeAudience, NoticeFile, NoticeFor, NoticeWords};
pub use self::status::StatusArgs;
use crate::report::When;
use crate::server::ProbeOptions;

const AFTER_HELP: &str = "\
Every switch can be turned off by --no- in front of its name, such as --no-config.check. @FILE stands for the arguments
that FILE has, one a line; lines that begin with # are left out.

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

    /// Load the config, print the verdict or every problem, and warnings, and exit
    #[arg(long = "config.check", conflicts_with = "once")]
    pub config_check: bool,

    /// Load the config again when its file has changed. Files that it names are watched in any case
    #[arg(long = "config.enable-auto-reload")]
    pub enable_auto_reload: bool,

    /// Seconds between two looks at the config file; 0 is never
    #[arg(long = "config.auto-reload-interval", value_name = "SECONDS", default_value = "30", value_parser = any_seconds)]
    pub auto_reload_interval: Duration,

    /// Where to listen: ADDRESS:PORT, :PORT for all addresses, or unix:PATH. May be given several times
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":9815")]
    pub listen_addresses: Vec<String>,

    /// Take the sockets that systemd hands over (a .socket unit), whatever --web.listen-address says
    #[arg(long = "web.systemd-socket")]
    pub systemd_socket: bool,

    /// TLS, client certificates, users and headers of the server, in exporter-toolkit's format
    #[arg(long = "web.config.file", value_name = "FILE", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub web_config_file: Option<PathBuf>,

    /// The URL under which the exporter is reached from outside, for links to it [default: this machine and its port]
    #[arg(long = "web.external-url", value_name = "URL")]
    pub external_url: Option<String>,

    /// The path below which everything is served [default: the path of --web.external-url]
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    pub route_prefix: Option<String>,

    /// Seconds that /probe takes off the time that Prometheus gives it, so that the answer is there in time. Less than 0
    /// is 0
    #[arg(long = "timeout-offset", value_name = "SECONDS", default_value = "0.5", value_parser = offset)]
    pub timeout_offset: Duration,

    /// Runs of /probe that /logs keeps
    #[arg(long = "history.limit", value_name = "COUNT", default_value = "100", value_parser = count)]
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
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info", ignore_case = true)]
    pub log_level: LogLevel,

    /// Taken for blackbox_exporter's sake, without effect: runs of /probe are logged at the level debug, and /logs has them
    #[arg(long = "log.prober", value_name = "LEVEL")]
    pub log_prober: Option<String>,

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
    /// Tell customers and colleagues of an outage: cause, what is being done, when there will be news
    Notice(NoticeArgs),
    /// Write a static site that tells customers how the services are, from what Prometheus has
    Status(StatusArgs),
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
    /// The arguments of this process.
    ///
    /// # Errors
    /// A sentence: a file of arguments that cannot be read. Ends the process where the arguments are wrong otherwise.
    pub fn of_process() -> Result<Self, String> {
        Ok(Self::parse_from(args::expanded(std::env::args_os(), &Self::command())?))
    }

    /// The file of `--web.config.file`; an empty name is none, as with the incumbent.
    pub fn web_config_file(&self) -> Option<&std::path::Path> {
        self.web_config_file.as_deref().filter(|path| !path.as_os_str().is_empty())
    }

    pub fn probe_options(&self) -> ProbeOptions {
        ProbeOptions { timeout_offset: self.timeout_offset, history: self.history_limit.into() }
    }

    /// How often the config file itself is looked at, if at all.
    pub fn auto_reload(&self) -> Option<Duration> {
        let interval = self.auto_reload_interval;
        (self.enable_auto_reload && !interval.is_zero()).then_some(interval)
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
    const MOST: f64 = 1e9;
    let seconds = text.parse::<f64>().map_err(|_| "is not a number of seconds".to_owned())?;
    // What is no number at all is taken as none, and so is what lies below.
    Ok(Duration::try_from_secs_f64(seconds.min(MOST)).unwrap_or_default())
}

fn count(text: &str) -> Result<u16, String> {
    let count = args::unsigned(text).ok_or_else(|| "is not a whole number".to_owned())?;
    Ok(u16::try_from(count).unwrap_or(u16::MAX))
}

fn any_seconds(text: &str) -> Result<Duration, String> {
    match args::unsigned(text) {
        Some(seconds) => Ok(Duration::from_secs(seconds.min(u32::MAX.into()))),
        None => Err("is not a whole number of seconds".to_owned()),
    }
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

    use std::ffi::OsString;

    use super::*;

    fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
        let args = std::iter::once("uptime_exporter").chain(args.iter().copied()).map(OsString::from);
        Cli::try_parse_from(args::expanded(args, &Cli::command()).unwrap())
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
            &["--config.auto-reload-interval", "30s"],
            &["--state.interval", "0"],
            &["--config.check=true"],
            &["--no-log.prober"],
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

    /// Each flag of blackbox_exporter 0.28 with values that it takes, and each form in which it may be written.
    #[test]
    fn every_flag_of_blackbox_exporter_is_taken_in_every_form() {
        const VALUES: [(&str, &[&str]); 11] = [
            ("config.file", &["blackbox.yml", "a b.yml", "/x"]),
            ("timeout-offset", &["0.5", "0", "1", ".5", "1e-3", "inf"]),
            ("log.prober", &["debug", "info", "warn", "error", "loud", ""]),
            ("config.auto-reload-interval", &["30", "0", "0x1e", "1_000", "18446744073709551615"]),
            ("history.limit", &["100", "0", "70000", "0144"]),
            ("web.external-url", &["http://h/x", "/x", ""]),
            ("web.route-prefix", &["/x", "x/", ""]),
            ("web.listen-address", &[":9115", "[::1]:9115", "127.0.0.1:0", "vsock://:9100"]),
            ("web.config.file", &["web.yml", ""]),
            ("log.level", &["debug", "info", "warn", "error", "DEBUG", "Info"]),
            ("log.format", &["logfmt", "json"]),
        ];
        const SWITCHES: [&str; 3] = ["config.check", "config.enable-auto-reload", "web.systemd-socket"];
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("args");
        let listed = format!("@{}", file.display());
        let taken = std::cell::Cell::new(0);
        let take = |args: &[&str]| {
            taken.set(taken.get() + 1);
            parse(args).unwrap_or_else(|error| panic!("{args:?}: {error}"))
        };
        for (name, values) in VALUES {
            for value in values {
                let (flag, joined) = (format!("--{name}"), format!("--{name}={value}"));
                std::fs::write(&file, format!("# one\n{joined}\n")).unwrap();
                let alone = format!("{:?}", take(&[&joined]));
                assert_eq!(alone, format!("{:?}", take(&[&listed])), "{joined}");
                if !value.is_empty() {
                    std::fs::write(&file, format!("{flag}\n{value}\n")).unwrap();
                    assert_eq!(alone, format!("{:?}", take(&[&flag, value])), "{joined}");
                    assert_eq!(alone, format!("{:?}", take(&[&listed])), "{joined}");
                }
                for switch in SWITCHES {
                    for form in [format!("--{switch}"), format!("--no-{switch}")] {
                        take(&[&form, &joined]);
                        std::fs::write(&file, format!("{joined}\n{form}\n")).unwrap();
                        take(&[&listed]);
                    }
                }
            }
        }
        let is_on = |switch: &str, cli: &Cli| match switch {
            "config.check" => cli.config_check,
            "config.enable-auto-reload" => cli.enable_auto_reload,
            _ => cli.systemd_socket,
        };
        for switch in SWITCHES {
            assert!(is_on(switch, &take(&[&format!("--{switch}")])), "{switch}");
            assert!(!is_on(switch, &take(&[&format!("--no-{switch}")])), "{switch}");
        }
        for text in ["--help", "-h", "--help-long", "--help-man", "--version"] {
            assert_eq!(parse(&[text]).unwrap_err().exit_code(), 0, "{text}");
        }
        assert!(taken.get() > 300, "{}", taken.get());
        let negative = take(&["--timeout-offset=-1"]);
        assert_eq!(
            (negative.timeout_offset, take(&["--history.limit=70000"]).history_limit),
            (Duration::ZERO, u16::MAX)
        );
        assert_eq!(take(&["--web.config.file="]).web_config_file(), None);
        assert_eq!(take(&["--config.enable-auto-reload", "--config.auto-reload-interval=0"]).auto_reload(), None);
    }

    #[test]
    fn every_flag_is_in_the_readme() {
        let readme = include_str!("../../README.md");
        for arg in Cli::command().get_arguments() {
            let Some(long) = arg.get_long().filter(|long| !matches!(*long, "help" | "version")) else { continue };
            assert!(readme.contains(&format!("| `--{long}` |")), "{long}");
        }
    }

    #[test]
    fn auto_reload_takes_seconds() {
        let cli = parse(&["--config.enable-auto-reload", "--config.auto-reload-interval=5"]).unwrap();
        assert_eq!(cli.auto_reload(), Some(Duration::from_secs(5)));
    }
}
