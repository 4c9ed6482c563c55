//! A line of the log as exporters of the Prometheus project write it: `ts`, `level`, `msg`, then what the event has.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::LogFormat;
use crate::figures::is_printable;

/// Writes events in one of the formats of `--log.format`.
pub(super) struct Lines(pub(super) LogFormat);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = Line { ts: jiff::Timestamp::now(), level: event.metadata().level(), fields };
        match self.0 {
            LogFormat::Logfmt => writeln!(writer, "{}", line.logfmt()),
            LogFormat::Json => writeln!(writer, "{}", line.json()),
        }
    }
}

struct Line<'a> {
    ts: jiff::Timestamp,
    level: &'a Level,
    fields: Fields,
}

impl Line<'_> {
    /// Milliseconds, as many digits each time.
    fn ts(&self) -> String {
        format!("{:.3}", self.ts)
    }

    fn level(&self) -> &'static str {
        match *self.level {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        }
    }

    fn logfmt(&self) -> String {
        let mut line = format!("ts={} level={} msg={}", self.ts(), self.level(), logfmt_text(&self.fields.message));
        for (key, value) in &self.fields.others {
            let value = value.as_str().map_or_else(|| value.to_string(), logfmt_text);
            let _ = write!(line, " {key}={value}");
        }
        line
    }

    fn json(&self) -> String {
        let mut all = Map::new();
        for (key, text) in [("ts", self.ts()), ("level", self.level().to_owned()), ("msg", self.fields.message.clone())]
        {
            all.insert(key.to_owned(), text.into());
        }
        all.extend(self.fields.others.clone());
        Value::Object(all).to_string()
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn add_text(&mut self, field: &Field, text: String) {
        if field.name() == "message" {
            self.message = text;
        } else {
            self.add(field, text);
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add_text(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add_text(field, format!("{value:?}"));
    }
}

/// A value in quotes where it needs them. No text, whoever wrote it, ends the line, begins another key or speaks to the
/// terminal.
fn logfmt_text(text: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !needs_escape(c) && !matches!(c, '"' | '=' | '\\' | '\u{fffd}');
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if needs_escape(c) => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// All of them are below U+FFFF.
fn needs_escape(c: char) -> bool {
    !is_printable(c)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{fmt as layers, registry};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = layers::layer().event_format(Lines(format)).with_writer(move || writer.clone());
        tracing::subscriber::with_default(registry().with(layer), log);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn event() {
        let error = io::Error::other("no\nroom");
        tracing::warn!(target = "the shop", seconds = 1.5, runs = 3_u64, ok = true, error = %error, "It went down.");
    }

    /// Everything behind the time stamp, which has three digits of a second.
    fn behind_ts<'a>(line: &'a str, before: &str) -> &'a str {
        let (ts, rest) = line.strip_prefix(before).unwrap().split_at("2026-11-29T13:44:11.440Z".len());
        assert!(ts.ends_with('Z') && ts.as_bytes()[19] == b'.', "{line}");
        assert!(ts.parse::<jiff::Timestamp>().is_ok(), "{line}");
        rest
    }

    #[test]
    fn a_line_has_the_keys_of_the_ecosystem() {
        let line = logged(LogFormat::Logfmt, event);
        assert_eq!(
            behind_ts(&line, "ts="),
            " level=warn msg=\"It went down.\" target=\"the shop\" seconds=1.5 runs=3 ok=true error=\"no\\nroom\"\n"
        );
        let line = logged(LogFormat::Json, event);
        assert_eq!(
            behind_ts(&line, "{\"ts\":\""),
            "\",\"level\":\"warn\",\"msg\":\"It went down.\",\"target\":\"the shop\",\"seconds\":1.5,\"runs\":3,\
             \"ok\":true,\"error\":\"no\\nroom\"}\n"
        );
    }

    #[test]
    fn a_value_is_quoted_where_a_reader_would_stumble() {
        for (text, written) in [
            ("plain", "plain"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("größer", "größer"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a=b", "\"a=b\""),
            ("say \"no\"", "\"say \\\"no\\\"\""),
            ("back\\slash", "\"back\\\\slash\""),
            ("\u{1b}[2J", "\"\\u001b[2J\""),
            ("\u{9b}2J", "\"\\u009b2J\""),
            ("a\u{2028}level=error", "\"a\\u2028level=error\""),
            ("\u{202e}txt", "\"\\u202etxt\""),
        ] {
            assert_eq!(logfmt_text(text), written, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_as_it_was(text in any::<String>()) {
            let written = logfmt_text(&text);
            let read = if written.starts_with('"') { serde_json::from_str::<String>(&written).unwrap() } else { written.clone() };
            prop_assert_eq!(read, text);
            prop_assert!(!written.chars().any(needs_escape));
        }
    }
}
