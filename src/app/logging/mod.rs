//! Where the log goes: standard error, as logfmt or JSON.

mod format;

use tracing::error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use self::format::Lines;
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
    let layer = fmt::layer().event_format(Lines(format)).with_writer(std::io::stderr);
    // Fails only when a log was started before, as tests may do.
    if registry().with(layer.with_filter(filter)).try_init().is_ok() {
        // A panic is caught and counted where it happens; its message and place belong in the log, in the log's format.
        std::panic::set_hook(Box::new(|panic| error!(%panic, "Panicked. This is a bug of the exporter.")));
    }
}
