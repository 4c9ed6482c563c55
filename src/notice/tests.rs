#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn notices(text: &str) -> Vec<Notice> {
    Source::new("notices.yaml", text).notices().unwrap()
}

fn notice(target: &str, cause: &str) -> Notice {
    Notice {
        cause: cause.to_owned(),
        action: String::new(),
        next_update: None,
        audience: Audience { names: vec![Glob::new(target)], labels: Vec::new() },
    }
}

const TWO: &str = "\
# Notices of the team.

# The shop, since Tuesday.
- targets: [shop]   # and its tills
  cause: A device is faulty.

# Mail.
- targets: [\"mail-*\"]
  labels: {env: prod}
  action: |
    We are moving it.

# The end.
";

#[test]
fn a_new_notice_stands_first_and_all_else_stays() {
    let mut new = notice("search", "A disk: full #1");
    new.next_update = Some("2026-11-29T17:00:00Z".parse().unwrap());
    let text = edit::add(TWO, false, &new).unwrap();
    let expected = TWO.replace(
        "# The shop, since",
        "- targets: [search]\n  cause: \"A disk: full #1\"\n  next_update: 2026-11-29T17:00:00Z\n\n# The shop, since",
    );
    assert_eq!(text, expected);
    assert_eq!(notices(&text)[0], new);
    assert_eq!(edit::remove(&text, 0).unwrap(), TWO, "and without it the file is what it was");
}

#[test]
fn an_update_touches_the_values_alone() {
    let changes = Changes {
        cause: Some("Somebody else's.".to_owned()),
        action: Some("We wait.".to_owned()),
        next_update: Some(Some("2026-11-29T17:00:00Z".parse().unwrap())),
    };
    assert_eq!(
        edit::update(TWO, 0, &changes).unwrap(),
        TWO.replace("A device is faulty.", "Somebody else's.\n  action: We wait.\n  next_update: 2026-11-29T17:00:00Z")
    );
    let text = edit::update(TWO, 1, &changes).unwrap();
    assert_eq!(
        text,
        TWO.replace(
            "|\n    We are moving it.",
            "We wait.\n  cause: Somebody else's.\n  next_update: 2026-11-29T17:00:00Z"
        )
    );
    let none = Changes { next_update: Some(None), cause: Some(String::new()), ..Changes::default() };
    let text = edit::update(&text, 1, &none).unwrap();
    assert_eq!((notices(&text)[1].next_update, notices(&text)[1].cause.as_str()), (None, ""));
}

#[test]
fn a_notice_goes_with_its_lines_and_comments_stay() {
    assert_eq!(
        edit::remove(TWO, 0).unwrap(),
        TWO.replace("- targets: [shop]   # and its tills\n  cause: A device is faulty.\n", "")
    );
    let text = edit::remove(&edit::remove(TWO, 1).unwrap(), 0).unwrap();
    assert_eq!(notices(&text), []);
    for comment in ["# Notices of the team.", "# The shop, since Tuesday.", "# Mail.", "# The end."] {
        assert!(text.contains(comment), "{text}");
    }
}

/// Each way in which a file can be written, and what it is after one notice more, one changed and one less.
#[test]
fn every_style_is_edited_in_place() {
    for (text, json) in [
        ("", false),
        ("# nothing yet", false),
        ("---\n", false),
        ("~\n", false),
        ("[] # none\n", false),
        ("--- []\n", false),
        ("- {targets: [a], cause: x}\n", false),
        ("- targets:\n  - a\n  cause: x", false),
        ("-\n  targets: [a]\n  cause:\n  action: x\n", false),
        ("  - targets: [a]\r\n    cause: x\r\n  - targets: [b]\r\n    cause: y\r\n", false),
        ("- targets: [é]\n  cause: >-\n    one\n    two\n\n\n- targets: [b]\n  cause: 'y'\n", false),
        ("- &a\n  targets: [a]\n  cause: x\n- <<: *a\n  targets: [b]\n", false),
        ("- cause: \"a # b\" # c\n  targets: [a]\n# end", false),
        ("[{targets: [a], cause: x}, {targets: [b], cause: y}]\n", false),
        ("[]", true),
        ("[\n  {\"targets\": [\"a\"], \"cause\": \"x\"},\n  {\"targets\": [\"b\"], \"cause\": \"y\"}\n]\n", true),
    ] {
        let path = if json { "notices.json" } else { "notices.yaml" };
        let read = |text: &str| Source::new(path, text).notices().unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let before = read(text);
        let new = notice("new", "Words, \"and\" more: é");
        let added = edit::add(text, json, &new).unwrap();
        let mut expected = before.clone();
        expected.insert(0, new);
        assert_eq!(read(&added), expected, "{text:?} -> {added:?}");
        for index in 0..expected.len() {
            let changes = Changes {
                cause: Some("Other, words".to_owned()),
                next_update: Some(Some("2026-11-29T17:00:00Z".parse().unwrap())),
                ..Changes::default()
            };
            let changed = edit::update(&added, index, &changes).unwrap();
            let mut expected = expected.clone();
            changes.apply(&mut expected[index]);
            if !text.contains('&') {
                assert_eq!(read(&changed), expected, "{added:?} -> {changed:?}");
            }
        }
        let mut rest = added.clone();
        for left in (0..expected.len()).rev() {
            rest = edit::remove(&rest, left).unwrap();
            assert_eq!(read(&rest), expected[..left], "{added:?} -> {rest:?}");
        }
    }
}

fn args(line: &[&str]) -> NoticeArgs {
    use clap::Parser as _;
    let line = ["uptime_exporter", "notice"].iter().chain(line);
    match crate::cli::Cli::try_parse_from(line).unwrap().command {
        Some(crate::cli::Command::Notice(args)) => args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_night_with_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notices.yaml");
    let file = file.to_str().unwrap();
    let run = |line: &[&str]| run(&args(&[line, &["--file", file]].concat())).map_err(|error| error.to_string());
    let error = run(&["end", "--target", "search"]).unwrap_err();
    assert!(error.contains("is not there; notice add makes it"), "{error}");
    let add = ["add", "--target", "search", "--cause", "A disk is full.", "--next-update", "30m"];
    let said = run(&[&add[..], &["--check"]].concat()).unwrap();
    assert!(said.starts_with("Nothing was written (--check).\n"), "{said}");
    assert!(!Path::new(file).exists());
    let said = run(&add).unwrap();
    for part in ["added: the notice for target search", "cause: A disk is full.", "in 30 min"] {
        assert!(said.contains(part), "{said}");
    }
    let error = run(&add).unwrap_err();
    assert!(error.contains("for target search already, number 1; change it with notice update"), "{error}");
    run(&["add", "--label", "env=prod", "--label", "team=a*", "--action", "We look."]).unwrap();
    let error = run(&["update", "--target", "serch", "--action", "x"]).unwrap_err();
    assert!(
        error.contains(
            "no notice for exactly target serch; there are: 1: label env=prod, label team=a*; 2: target search"
        ),
        "{error}"
    );
    run(&["update", "--target", "search", "--action", "We add one.", "--next-update", "none"]).unwrap();
    run(&["update", "--number", "1", "--cause", "A power cut."]).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    assert_eq!(
        text,
        "- labels: {env: prod, team: \"a*\"}\n  action: We look.\n  cause: A power cut.\n\
         - targets: [search]\n  cause: A disk is full.\n  next_update: \"\"\n  action: We add one.\n"
    );
    let list = run(&["list"]).unwrap();
    assert!(list.contains(": 2: target search\n  cause: A disk is full.\n  action: We add one.\n"), "{list}");
    run(&["end", "--label", "team=a*", "--label", "env=prod"]).unwrap();
    run(&["end", "--target", "search"]).unwrap();
    assert_eq!(std::fs::read_to_string(file).unwrap(), "");
    assert!(run(&["list"]).unwrap().contains("no notices"));
    for (line, part) in [
        (&["add", "--cause", "x"][..], "--target NAME"),
        (&["add", "--target", "a"], "--cause or --action"),
        (&["update", "--target", "a"], "say what to change"),
        (&["update", "--number", "7", "--cause", "x"], "no notice number 7; there is none at all"),
        (&["add", "--target", "a", "--cause", "x", "--next-update", "2020-01-01T00:00Z"], "has passed"),
    ] {
        let error = run(line).unwrap_err();
        assert!(error.contains(part), "{line:?}: {error}");
    }
    let long = "x".repeat(1_001);
    let error = run(&["add", "--target", "a", "--cause", &long]).unwrap_err();
    assert!(error.contains("nothing was written") && error.contains("1001 bytes long"), "{error}");
}

#[test]
fn a_file_with_problems_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notices.yaml");
    std::fs::write(&file, "- targets: [a]\n  couse: x\n").unwrap();
    let error = run(&args(&["end", "--target", "a", "--file", file.to_str().unwrap()])).unwrap_err();
    assert!(error.is_misuse());
    let error = error.to_string();
    assert!(error.contains("notices.yaml:2: [0].couse: ") && error.contains("cause"), "{error}");
    let shared = "- &a\n  targets: [a]\n  cause: x\n- *a\n";
    std::fs::write(&file, shared).unwrap();
    let line = ["update", "--number", "1", "--cause", "y", "--file", file.to_str().unwrap()];
    let error = run(&args(&line)).unwrap_err().to_string();
    assert!(error.contains("the change would reach more than the notice; edit it by hand"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), shared);
}

#[test]
fn the_config_tells_which_targets_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    std::fs::write(
        &config,
        "targets:\n- {name: search, target: \"http://127.0.0.1:1/\"}\n- {name: shop, target: \"http://127.0.0.1:1/\"}\n\
         notice_files: [\"n/*.yaml\"]\n",
    )
    .unwrap();
    let run = |line: &[&str]| {
        run(&args(&[line, &["--config", config.to_str().unwrap()]].concat())).map_err(|error| error.to_string())
    };
    let error = run(&["list"]).unwrap_err();
    assert!(error.contains("names no file that is there; give --file"), "{error}");
    std::fs::create_dir(folder.path().join("n")).unwrap();
    std::fs::write(folder.path().join("n/a.yaml"), "").unwrap();
    let said = run(&["add", "--target", "s*", "--cause", "All."]).unwrap();
    assert!(said.contains("targets: search, shop\n"), "{said}");
    assert!(run(&["add", "--target", "nobody", "--cause", "x"]).unwrap().contains("warning: it is for no target"));
    std::fs::write(folder.path().join("n/b.yaml"), "- targets: [shop]\n  cause: x\n").unwrap();
    let said = run(&["update", "--target", "shop", "--cause", "y"]).unwrap();
    assert!(said.contains("warning: another notice stands before it for: shop"), "{said}");
    let error = run(&["add", "--target", "x", "--cause", "x"]).unwrap_err();
    assert!(error.contains("several files; give one of them with --file: ") && error.contains("b.yaml"), "{error}");
}

proptest! {
    /// Whatever is written into whatever file, all other notices stay.
    #[test]
    fn words_of_any_kind_come_back_as_they_were_given(
        target in "[ -~é\u{85}\u{2028}]{1,12}",
        cause in "[ -~é\n\t\u{85}\u{feff}\u{1f600}]{1,40}",
        json in any::<bool>(),
    ) {
        prop_assume!(!cause.trim().is_empty());
        let (path, text) = if json { ("n.json", "[]") } else { ("n.yaml", TWO) };
        let before = Source::new(path, text).notices().unwrap();
        let new = notice(&target, cause.trim());
        let added = edit::add(text, json, &new).unwrap();
        let found = Source::new(path, added.as_str()).notices();
        let mut expected = vec![new];
        expected.extend(before);
        prop_assert_eq!(found.as_ref().ok(), Some(&expected), "{:?}", added);
        let changes = Changes { action: Some(cause), ..Changes::default() };
        let changed = edit::update(&added, 0, &changes).unwrap();
        changes.apply(&mut expected[0]);
        prop_assert_eq!(Source::new(path, changed.as_str()).notices().ok(), Some(expected), "{:?}", changed);
    }
}
