//! Where the log goes: standard error, as logfmt or JSON.

use tracing::error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::cli::{LogFormat, LogLevel};

/// Starts the log of the process. Called once; a second call changes nothing.
pub fn start(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    // Libraries talk of their own affairs at the lower levels, connection by connection.
    let filter = Targets::new().with_target("uptime_exporter", level).with_default(level.min(LevelFilter::WARN));
    // The Rust module is left out of each line: `target` is a field of ours.
    let layer = match format {
        LogFormat::Logfmt => {
            let format = tracing_logfmt::builder().with_target(false).with_span_name(false).layer();
            format.with_writer(std::io::stderr).boxed()
        }
        LogFormat::Json => {
            fmt::layer().json().flatten_event(true).with_target(false).with_writer(std::io::stderr).boxed()
        }
    };
    // Fails only when a log was started before, as tests may do.
    if registry().with(layer.with_filter(filter)).try_init().is_ok() {
        // A panic is caught and counted where it happens; its message and place belong in the log, in the log's format.
        std::panic::set_hook(Box::new(|panic| error!(%panic, "Panicked. This is a bug of the exporter.")));
    }
}
