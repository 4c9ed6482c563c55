//! The flags of `status`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::parse_duration;

const STATUS_HELP: &str = "\
The site is of targets with the label public: \"true\", by their display_name. It is a folder of a few files without scripts, to be put
behind any web server or into a bucket; docs/status-site.md says how.

  uptime_exporter status --prometheus http://localhost:9090 --config status.yaml --output /var/www/status --every 30s

Exit codes:
  0  the site is written; with --check, the config is good
  1  Prometheus does not answer, which the site says too, or a file could not be written
  2  a wrong flag, or a config with problems (each is printed)";

#[derive(Debug, Args)]
#[command(after_help = STATUS_HELP)]
pub struct StatusArgs {
    /// Base URL of Prometheus, or of what speaks its API (Thanos, Mimir, VictoriaMetrics)
    #[arg(long, value_name = "URL", required_unless_present = "check")]
    pub prometheus: Option<String>,

    /// How the site looks, and in which words
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,

    /// The folder of the site; it is made if it is not there
    #[arg(long, value_name = "DIR", required_unless_present = "check")]
    pub output: Option<PathBuf>,

    /// Write it again and again, with so long in between, such as 30s [default: once]
    #[arg(long, value_name = "TIME", value_parser = every)]
    pub every: Option<Duration>,

    /// A header for Prometheus, such as "X-Scope-OrgID: tenant". May be given several times
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,

    /// Load the config, print the verdict or every problem, and exit
    #[arg(long)]
    pub check: bool,
}

fn every(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(every) if every >= Duration::from_secs(1) => Ok(every),
        Ok(_) => Err("is less than a second".to_owned()),
        Err(message) => Err(message),
    }
}
