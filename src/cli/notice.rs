//! The flags of `notice`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::notice::NextUpdate;

const NOTICE_HELP: &str = "\
The words go into a file of notice_files, which the exporter looks at every few seconds; from there they are on the target's
page, in the messages to customers, and on the status site. All else in the file stays as it is, comments too.

In an outage:
  uptime_exporter notice add --target search --cause \"A disk of our database is full.\" \\
      --action \"We are adding another one.\" --next-update 30m
  uptime_exporter notice update --target search --action \"The disk is there; we are checking.\" --next-update 15m
  uptime_exporter notice end --target search

Several targets, by pattern or by label:
  uptime_exporter notice add --target shop --target 'mail-*' --label customer=acme --cause \"...\"

Exit codes:
  0  done
  1  the file could not be written; it is as it was
  2  a wrong flag, or a file with problems (each is printed); nothing was written";

#[derive(Debug, Args)]
#[command(after_help = NOTICE_HELP)]
pub struct NoticeArgs {
    #[command(subcommand)]
    pub action: NoticeAction,
}

const ADD_HELP: &str = "\
The new notice stands before the others, since a target has the first that is for it.

Example:
  uptime_exporter notice add --target search --cause \"A disk of our database is full.\" \\
      --action \"We are adding another one.\" --next-update 30m";

const UPDATE_HELP: &str = "\
What is not given stays as it is. A text of \"\" takes the old one away, and so does --next-update none.

Example:
  uptime_exporter notice update --target search --action \"The disk is there; we are checking.\" --next-update 15m";

const END_HELP: &str = "\
It is taken out of the file; the status site keeps it with the outage.

Example:
  uptime_exporter notice end --target search";

#[derive(Debug, Subcommand)]
pub enum NoticeAction {
    /// Write a notice
    #[command(after_help = ADD_HELP)]
    Add {
        #[command(flatten)]
        file: NoticeFile,
        #[command(flatten)]
        audience: NoticeAudience,
        #[command(flatten)]
        words: NoticeWords,
        /// Say what would be done, and do nothing
        #[arg(long)]
        check: bool,
    },
    /// Change what a notice says
    #[command(after_help = UPDATE_HELP)]
    Update {
        #[command(flatten)]
        file: NoticeFile,
        #[command(flatten)]
        which: NoticeFor,
        #[command(flatten)]
        words: NoticeWords,
        /// Say what would be done, and do nothing
        #[arg(long)]
        check: bool,
    },
    /// Take a notice away: all is well again
    #[command(after_help = END_HELP)]
    End {
        #[command(flatten)]
        file: NoticeFile,
        #[command(flatten)]
        which: NoticeFor,
        /// Say what would be done, and do nothing
        #[arg(long)]
        check: bool,
    },
    /// Show all notices, with their numbers
    List(NoticeFile),
}

#[derive(Debug, Args)]
pub struct NoticeFile {
    /// The notice file. notice add makes one that is not there
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub file: Option<PathBuf>,

    /// The exporter's config, to take its notice file, and to say which targets have the notice [default: config.yaml]
    #[arg(long, visible_alias = "config.file", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct NoticeAudience {
    /// Targets by name, * for any run of characters. May be given several times
    #[arg(long = "target", visible_alias = "name", value_name = "NAME")]
    pub targets: Vec<String>,

    /// Only targets with this label, * as above. Of several, all must hold
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub struct NoticeFor {
    #[command(flatten)]
    pub audience: NoticeAudience,

    /// The notice by its number in notice list
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["targets", "labels"])]
    pub number: Option<usize>,
}

#[derive(Debug, Args)]
pub struct NoticeWords {
    /// What is known of the cause
    #[arg(long, value_name = "TEXT")]
    pub cause: Option<String>,

    /// What is being done
    #[arg(long, value_name = "TEXT")]
    pub action: Option<String>,

    /// When there will be news: so long from now, such as 30m, or a time, such as 2026-11-29T17:00Z, or none
    #[arg(long, value_name = "WHEN")]
    pub next_update: Option<NextUpdate>,
}

impl NoticeAction {
    pub fn file(&self) -> &NoticeFile {
        match self {
            Self::Add { file, .. } | Self::Update { file, .. } | Self::End { file, .. } | Self::List(file) => file,
        }
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        Some(_) | None => Err("is no label; write NAME=VALUE".to_owned()),
    }
}
