//! The program `uptime_exporter`: flags, log, run, exit code.

use std::io::Write as _;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;
use tracing::error;
use uptime_exporter::app::signal::StopSignals;
use uptime_exporter::app::{self, App, logging, open_files};
use uptime_exporter::cli::{Cli, Command, ConvertArgs};
use uptime_exporter::server::{External, Web};
use uptime_exporter::state::file::StateFile;
use uptime_exporter::{convert, notice, once, report, status};

/// Could not start, or ended unexpectedly; with `--once`: a target is not up.
const FAILED: u8 = 1;
/// A wrong flag or a config with problems; clap uses it too.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let cli = match Cli::of_process() {
        Ok(cli) => cli,
        Err(sentence) => return fail(MISUSED, &sentence),
    };
    logging::start(cli.log_level, cli.log_format);
    open_files::raise_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILED, &format!("cannot start the runtime: {error}")),
    };
    let code = runtime.block_on(async {
        let stop = CancellationToken::new();
        let signals = match StopSignals::listen() {
            Ok(signals) => signals,
            Err(error) => return fail(FAILED, &format!("cannot listen to signals: {error}")),
        };
        tokio::select! {
            code = start(cli, stop.clone()) => code,
            () = signals.forward(stop) => ExitCode::from(FAILED),
        }
    });
    // A thread that reads a config from a dead network file system would keep the process for ever.
    runtime.shutdown_background();
    code
}

/// Of links, when there is no port to be seen: a Unix socket alone.
const DEFAULT_PORT: u16 = 9815;

async fn start(cli: Cli, stop: CancellationToken) -> ExitCode {
    if let Some(Command::Report(args)) = &cli.command {
        return told(report::run(args).await, |_| false);
    }
    if let Some(Command::Convert(args)) = &cli.command {
        return convert(args);
    }
    if let Some(Command::Notice(args)) = &cli.command {
        return told(notice::run(args), notice::NoticeError::is_misuse);
    }
    if let Some(Command::Status(args)) = &cli.command {
        return told(status::run(args, &stop).await, status::StatusError::is_misuse);
    }
    let app = match App::load(&cli.config_file, cli.auto_reload()).await {
        Ok(app) => app,
        Err(problems) => return fail(MISUSED, &problems.to_string()),
    };
    let web = match cli.web_config_file() {
        None => Web::default(),
        Some(path) => match Web::load(path) {
            Ok(web) => web,
            Err(error) => return fail(MISUSED, &error.to_string()),
        },
    };
    if cli.config_check {
        let (faults, said) = app.findings();
        said.iter().for_each(|line| eprintln!("{line}"));
        if !faults.is_empty() {
            return fail(MISUSED, &faults.to_string());
        }
        println!("{}: ok, {}", cli.config_file.display(), app.summary());
        return ExitCode::SUCCESS;
    }
    if cli.once {
        let app = match app.discovered().await {
            Ok((app, problems)) => {
                problems.iter().for_each(|problem| eprintln!("no targets from {problem}"));
                app
            }
            Err(problems) => return fail(MISUSED, &problems.to_string()),
        };
        let (probes, parents) = app.into_probes();
        let results = once::run(probes, &parents, once::Progress::for_stderr(), &stop).await;
        once::print(&results, cli.format.unwrap_or_default());
        return if once::all_up(&results) { ExitCode::SUCCESS } else { ExitCode::from(FAILED) };
    }
    let listeners = if cli.systemd_socket { app::from_systemd() } else { app::bind(&cli.listen_addresses).await };
    let listeners = match listeners {
        Ok(listeners) => listeners,
        Err(error) => return fail(FAILED, &format!("{:#}", anyhow::Error::new(error))),
    };
    let port = listeners.iter().find_map(app::Listener::port).unwrap_or(DEFAULT_PORT);
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (url, prefix) = (given(&cli.external_url), given(&cli.route_prefix));
    let (url, prefix) = (url.as_deref(), prefix.as_deref());
    let external = match External::new(url, prefix, port, web.is_tls()) {
        Ok(external) => external,
        Err(error) => return fail(MISUSED, &error.to_string()),
    };
    let mut app = app.with_probe_options(cli.probe_options()).with_web(web, external);
    if let Some(path) = cli.state_file {
        app = app.with_state_file(StateFile::new(path), cli.state_interval);
    }
    match app.run(listeners, stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = format!("{error:#}"), "Ended unexpectedly.");
            ExitCode::from(FAILED)
        }
    }
}

fn convert(args: &ConvertArgs) -> ExitCode {
    let conversion = match convert::convert(args) {
        Ok(conversion) => conversion,
        Err(error) => return fail(MISUSED, &error.to_string()),
    };
    match &args.output {
        None => {
            if let Err(error) = std::io::stdout().write_all(conversion.config.as_bytes()) {
                return fail(FAILED, &format!("cannot write to standard output: {error}"));
            }
        }
        Some(path) => {
            if let Err(error) = convert::save(&conversion.config, path, args) {
                return fail(FAILED, &format!("{:#}", anyhow::Error::new(error)));
            }
        }
    }
    if conversion.notes.is_empty() {
        return fail(0, &conversion.summary);
    }
    eprintln!("Not carried over:");
    conversion.notes.iter().for_each(|note| eprintln!("  {note}"));
    fail(FAILED, &conversion.summary)
}

/// What a subcommand has to say, and the exit code of its end.
fn told<E>(result: Result<String, E>, is_misuse: impl Fn(&E) -> bool) -> ExitCode
where
    E: std::error::Error + Send + Sync + 'static,
{
    match result {
        Ok(said) => {
            print!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let code = if is_misuse(&error) { MISUSED } else { FAILED };
            fail(code, &format!("{:#}", anyhow::Error::new(error)))
        }
    }
}

/// For whoever typed the command; the log is for what happens later.
fn fail(code: u8, problems: &str) -> ExitCode {
    eprintln!("{problems}");
    ExitCode::from(code)
}
