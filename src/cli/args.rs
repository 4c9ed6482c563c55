//! Arguments as the incumbent's parser (kingpin) takes them: `--no-` in front of every switch, and `@FILE` for the
//! arguments that a file has, one a line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use clap::{ArgAction, Command};

use crate::config::parse_integer;

/// Files in files; a file that names itself ends here.
const MAX_DEPTH: usize = 8;

/// The arguments, files read and switches that are off left out. Those of a subcommand stay as they are.
///
/// # Errors
/// A sentence: a file that cannot be read.
pub(super) fn expanded(args: impl IntoIterator<Item = OsString>, command: &Command) -> Result<Vec<OsString>, String> {
    let mut args = args.into_iter();
    let mut all: Vec<OsString> = args.next().into_iter().collect();
    let mut rest: Vec<(OsString, usize)> = args.map(|arg| (arg, 0)).collect();
    rest.reverse();
    while let Some((arg, depth)) = rest.pop() {
        if arg == "--" || command.find_subcommand(&arg).is_some() {
            all.push(arg);
            all.extend(rest.into_iter().rev().map(|(arg, _)| arg));
            return Ok(all);
        }
        if let Some(file) = arg.as_bytes().strip_prefix(b"@") {
            if depth == MAX_DEPTH {
                return Err(format!("{}: files name files that name files, and there is no end to it", arg.display()));
            }
            rest.extend(lines(Path::new(OsStr::from_bytes(file)))?.into_iter().rev().map(|line| (line, depth + 1)));
            continue;
        }
        match arg.to_str().and_then(|arg| arg.strip_prefix("--no-")).filter(|name| is_switch(name, command)) {
            Some(name) => {
                let on = format!("--{name}");
                all.retain(|arg| *arg != *on);
            }
            None if arg == "--help-long" || arg == "--help-man" => all.push("--help".into()),
            None => all.push(arg),
        }
    }
    Ok(all)
}

fn is_switch(name: &str, command: &Command) -> bool {
    let takes = |action: &ArgAction| matches!(action, ArgAction::SetTrue);
    command.get_arguments().any(|arg| arg.get_long() == Some(name) && takes(arg.get_action()))
}

/// Each line is one argument; empty ones and those that begin with `#` are none.
fn lines(file: &Path) -> Result<Vec<OsString>, String> {
    if file.as_os_str().is_empty() {
        return Err("@ stands alone; write @FILE for the arguments in FILE".to_owned());
    }
    let text = std::fs::read(file).map_err(|error| format!("@{}: the file cannot be read: {error}", file.display()))?;
    let line = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).to_vec();
    let is_argument = |line: &Vec<u8>| !line.starts_with(b"#") && !line.trim_ascii().is_empty();
    Ok(text.split(|byte| *byte == b'\n').map(line).filter(is_argument).map(OsString::from_vec).collect())
}

/// A whole number as Go reads it, without a sign.
pub(super) fn unsigned(text: &str) -> Option<u64> {
    let signed = text.starts_with(['+', '-']);
    parse_integer(text).filter(|_| !signed).and_then(|number| number.try_into().ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::CommandFactory as _;

    use super::super::Cli;
    use super::*;

    fn taken(args: &[&str]) -> Result<Vec<String>, String> {
        let args = ["uptime_exporter"].iter().chain(args).map(OsString::from);
        let all = expanded(args, &Cli::command())?;
        Ok(all.into_iter().skip(1).map(|arg| arg.into_string().unwrap()).collect())
    }

    #[test]
    fn a_switch_with_no_in_front_is_off() {
        for (args, left) in [
            (&["--no-config.check"][..], &[][..]),
            (&["--config.check", "--no-config.check"], &[]),
            (&["--no-config.check", "--config.check"], &["--config.check"]),
            (&["--no-log.level", "info"], &["--no-log.level", "info"]),
            (&["--no-such"], &["--no-such"]),
            (&["report", "--no-config.check", "@x"], &["report", "--no-config.check", "@x"]),
            (&["--", "@x"], &["--", "@x"]),
        ] {
            assert_eq!(taken(args).unwrap(), left, "{args:?}");
        }
    }

    #[test]
    fn a_file_has_arguments_one_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| format!("@{}", folder.path().join(name).display());
        std::fs::write(folder.path().join("inner"), "two words\r\n").unwrap();
        std::fs::write(folder.path().join("outer"), format!("# comment\n\n  \n--a\n{}\n--no-once\n", at("inner")))
            .unwrap();
        std::fs::write(folder.path().join("itself"), at("itself")).unwrap();
        assert_eq!(taken(&["x", &at("outer"), "z"]).unwrap(), ["x", "--a", "two words", "z"]);
        assert!(taken(&[&at("itself")]).unwrap_err().contains("no end"));
        assert!(taken(&[&at("missing")]).unwrap_err().contains("missing: the file cannot be read: "));
        assert!(taken(&["@"]).unwrap_err().contains("@FILE"));
        assert_eq!(taken(&["--config.file=@x"]).unwrap(), ["--config.file=@x"], "as kingpin has it");
    }

    #[test]
    fn numbers_are_gos() {
        for (text, number) in
            [("30", 30), ("0x1E", 30), ("0b11110", 30), ("036", 30), ("0o36", 30), ("3_0", 30), ("0", 0)]
        {
            assert_eq!(unsigned(text), Some(number), "{text}");
        }
        for bad in ["", "-1", "+1", "1.5", "30s", "0x", "09", " 1", "99999999999999999999"] {
            assert_eq!(unsigned(bad), None, "{bad}");
        }
    }
}
