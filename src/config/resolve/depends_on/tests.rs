//! Whole configs, and who stands behind whom in them.

#![allow(clippy::unwrap_used)]

use std::fs;

use proptest::prelude::*;

use crate::config::{Config, ConfigErrors, Parents, Source};

fn config(text: &str) -> Result<Config, ConfigErrors> {
    Source::new("config.yaml", text).config()
}

/// `child: parent parent`, for each target that has parents.
fn rows(config: &Config) -> Vec<String> {
    let name = |place: usize| config.targets[place].name.as_str();
    (0..config.targets.len())
        .filter(|child| !config.parents.of(*child).is_empty())
        .map(|child| {
            let parents: Vec<&str> = config.parents.of(child).iter().map(|parent| name(*parent)).collect();
            format!("{}: {}", name(child), parents.join(" "))
        })
        .collect()
}

/// Targets with labels and `depends_on`, each as YAML.
fn targets(entries: &[(&str, &str)]) -> String {
    let mut text = "targets:\n".to_owned();
    for (name, more) in entries {
        text.push_str(&format!("  - {{name: {name}, target: 127.0.0.1, {more}}}\n"));
    }
    text
}

fn rows_of(global: &str, entries: &[(&str, &str)]) -> Vec<String> {
    let text = format!("global: {{depends_on: {global}}}\n{}", targets(entries));
    rows(&config(&text).unwrap_or_else(|errors| panic!("{errors}\n{text}")))
}

fn problems_of(global: &str, entries: &[(&str, &str)]) -> Vec<String> {
    let text = format!("global: {{depends_on: {global}}}\n{}", targets(entries));
    config(&text).unwrap_err().problems().iter().map(ToString::to_string).collect()
}

#[test]
fn names_globs_and_labels_name_parents() {
    let gateways =
        [("gw-1", "labels: {role: gateway, site: a}"), ("gw-2", "labels: {role: gateway, site: b}"), ("7", "")];
    let cases = [
        ("[gw-1]", "shop: gw-1"),
        ("[7]", "shop: 7"),
        ("[gw-2, gw-1, gw-2]", "shop: gw-1 gw-2"),
        ("['gw-*']", "shop: gw-1 gw-2"),
        ("['*-2']", "shop: gw-2"),
        ("[{labels: {role: gateway}}]", "shop: gw-1 gw-2"),
        ("[{labels: {role: 'gate*', site: b}}]", "shop: gw-2"),
        ("[{labels: {role: gateway, site: c}}, 7]", "shop: 7"),
    ];
    for (depends_on, row) in cases {
        let shop = [("shop", &*format!("depends_on: {depends_on}"))];
        assert_eq!(rows_of("null", &[&gateways[..], &shop[..]].concat()), [row], "{depends_on}");
    }
    for depends_on in ["[]", "null", ""] {
        let shop = [("shop", &*format!("depends_on: {depends_on}"))];
        assert_eq!(rows_of("[]", &[&gateways[..], &shop[..]].concat()), [""; 0], "{depends_on}");
    }
}

#[test]
fn a_list_of_ones_own_takes_the_place_of_the_default() {
    let entries = [("a", ""), ("b", "depends_on: []"), ("c", "depends_on: [a]"), ("gw", "")];
    assert_eq!(rows_of("[gw]", &entries), ["a: gw", "c: a"]);
}

#[test]
fn a_default_leaves_out_whom_it_names_and_what_stands_behind_them() {
    let entries =
        [("a", ""), ("gw-1", ""), ("gw-2", "depends_on: [isp]"), ("isp", "depends_on: [power]"), ("power", "")];
    let expected = ["a: gw-1 gw-2", "gw-2: isp", "isp: power"];
    assert_eq!(rows_of("['gw-*']", &entries), expected);
    let labelled = [("a", ""), ("gw", "labels: {role: gateway}"), ("isp", "labels: {role: gateway}")];
    assert_eq!(rows_of("[{labels: {role: gateway}}]", &labelled), ["a: gw isp"]);
}

#[test]
fn a_group_of_a_target_file_has_a_list_for_its_targets() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "config.yaml",
        "global: {depends_on: [isp]}\ntargets: [{name: isp, target: 127.0.0.1}]\ntarget_files: ['t/*']\n",
    );
    fs::create_dir(folder.path().join("t")).unwrap();
    write("t/ours.yaml", "- targets: [a-gw, a-1, a-2]\n  depends_on: [a-gw]\n");
    write("t/shared.json", r#"[{"targets": ["b-1", "b-gw"], "labels": {"__depends_on": "b-gw, a-g*"}}]"#);
    write("t/list.yaml", "- {name: c, target: 127.0.0.1, depends_on: [a-1, b-1]}\n- {name: d, target: 127.0.0.1}\n");
    let config = crate::config::load(&folder.path().join("config.yaml")).unwrap();
    let expected = [
        "a-1: a-gw",
        "a-2: a-gw",
        "a-gw: isp", // left out of its own group, so what holds for all holds for it
        "b-1: a-gw b-gw",
        "b-gw: isp",
        "c: a-1 b-1",
        "d: isp",
    ];
    assert_eq!(rows(&config), expected);
    assert!(config.targets.iter().all(|target| target.labels.value("__depends_on").is_none()));

    write("t/ours.yaml", "- targets: [a-1]\n  depends_on: [a-gw]\n  labels: {__depends_on: b-gw}\n");
    write("t/shared.json", r#"[{"targets": ["b-1", "b-gw"], "labels": {"__depends_on": "b-gv"}}]"#);
    let problems = crate::config::load(&folder.path().join("config.yaml")).unwrap_err().to_string();
    let told: Vec<&str> = problems.lines().filter_map(|line| line.split_once("/t/")).map(|(_, line)| line).collect();
    let expected = [
        "ours.yaml:3: [0].labels.__depends_on: cannot stand beside the group's depends_on; keep one of them",
        "shared.json:1: [0].labels.__depends_on: \"b-gv\" is not a target; did you mean b-gw?",
    ];
    assert_eq!(told, expected, "{problems}");
}

#[test]
fn cycles_of_two_to_five_are_told_with_all_their_names() {
    for length in 2..=5_usize {
        let entries: Vec<_> = (0..length)
            .map(|place| (format!("t{place}"), format!("depends_on: [gw, t{}]", (place + 1) % length)))
            .chain([("gw".to_owned(), String::new()), ("z".to_owned(), "depends_on: [t1]".to_owned())])
            .collect();
        let entries: Vec<_> = entries.iter().map(|(name, more)| (name.as_str(), more.as_str())).collect();
        let ring: Vec<String> = (0..length).chain([0]).map(|place| format!("t{place}")).collect();
        let expected = format!("config.yaml:3: targets[0].depends_on[1]: is a cycle: {}", ring.join(" -> "));
        assert_eq!(problems_of("null", &entries), [expected]);
    }
}

#[test]
fn a_cycle_of_defaults_is_one_too_and_a_long_one_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("config.yaml", "target_files: [t.yaml]\n");
    write("t.yaml", "- {targets: [a], depends_on: [b]}\n- {targets: [b], depends_on: [a]}\n");
    let problems = crate::config::load(&folder.path().join("config.yaml")).unwrap_err().to_string();
    assert!(problems.contains("t.yaml:1: [0].depends_on[0]: is a cycle: a -> b -> a\n1 problem"), "{problems}");

    let entries: Vec<_> =
        (0..50).map(|n| (format!("t{n:02}"), format!("depends_on: [t{:02}]", (n + 1) % 50))).collect();
    let entries: Vec<_> = entries.iter().map(|(name, more)| (name.as_str(), more.as_str())).collect();
    let problem = problems_of("null", &entries).remove(0);
    let cut = "t00 -> t01 -> t02 -> t03 -> t04 -> t05 -> ... 40 more ... -> t46 -> t47 -> t48 -> t49 -> t00";
    assert!(problem.ends_with(cut), "{problem}");
}

#[test]
fn a_selector_that_matches_nobody_now_is_a_warning() {
    let text = targets(&[("shop", "depends_on: ['gw-*', {labels: {role: gateway}}]")]);
    let config = config(&text).unwrap();
    assert!(config.parents.is_empty());
    let expected = [
        "config.yaml: targets[0].depends_on[0]: no target matches \"gw-*\"",
        "config.yaml: targets[0].depends_on[1]: no target has these labels",
    ];
    assert_eq!(config.warnings, expected);
}

#[test]
fn a_list_of_ones_own_may_not_match_oneself() {
    let shop = "depends_on: [shop, 's*', {labels: {role: x}}], labels: {role: x}";
    let expected = [
        "config.yaml:3: targets[0].depends_on[0]: is the target itself; a target cannot depend on itself",
        "config.yaml:3: targets[0].depends_on[1]: \"s*\" matches the target itself; a target cannot depend on itself",
        "config.yaml:3: targets[0].depends_on[2]: the target itself has these labels; a target cannot depend on itself",
    ];
    assert_eq!(problems_of("null", &[("shop", shop), ("s2", "")]), expected);
}

#[test]
fn the_names_of_targets_with_other_problems_are_known() {
    let problems = problems_of("[a]", &[("a", "module: none"), ("b", "depends_on: [a, c], module: none")]);
    let told: Vec<&str> =
        problems.iter().filter(|problem| problem.contains("depends_on")).map(String::as_str).collect();
    assert_eq!(told, ["config.yaml:4: targets[1].depends_on[1]: \"c\" is not a target"]);
}

#[test]
fn there_are_bounds() {
    let many: Vec<_> = (0..=Parents::MOST).map(|n| format!("p{n}")).collect();
    let mut entries: Vec<_> = many.iter().map(|name| (name.as_str(), "")).collect();
    entries.push(("shop", "depends_on: ['p*']"));
    let place = entries.len() - 1;
    let expected = format!(
        "config.yaml:{}: targets[{place}].depends_on: names {} targets; at most {} may stand behind one",
        place + 3,
        Parents::MOST + 1,
        Parents::MOST
    );
    assert_eq!(problems_of("null", &entries), [expected]);
    entries.remove(0);
    assert_eq!(rows_of("null", &entries).len(), 1);

    let row: Vec<_> = (0..=Parents::MOST_IN_A_ROW)
        .map(|n| (format!("t{n:02}"), if n == 0 { String::new() } else { format!("depends_on: [t{:02}]", n - 1) }))
        .collect();
    let row: Vec<_> = row.iter().map(|(name, more)| (name.as_str(), more.as_str())).collect();
    assert_eq!(
        rows_of("null", &row[1..].iter().map(|(n, m)| (*n, if *n == "t01" { "" } else { m })).collect::<Vec<_>>())
            .len(),
        31
    );
    let problem = problems_of("null", &row).remove(0);
    assert!(
        problem.contains("targets[32].depends_on[0]: 33 targets stand behind one another; at most 32 may: t32 -> t31"),
        "{problem}"
    );
}

#[test]
fn who_stands_behind_whom_changes_no_fingerprint() {
    let with = config(&targets(&[("a", "depends_on: [b]"), ("b", "")])).unwrap();
    let without = config(&targets(&[("a", ""), ("b", "")])).unwrap();
    assert_ne!(with.parents, without.parents);
    let prints = |config: &Config| config.targets.iter().map(|target| target.fingerprint).collect::<Vec<_>>();
    assert_eq!(prints(&with), prints(&without), "so that the schedule goes on undisturbed");
}

proptest! {
    #[test]
    fn whatever_is_written_is_acyclic_or_an_error(
        global in prop::option::of(prop::collection::vec(0_usize..8, 0..3)),
        own in prop::collection::vec(prop::option::of(prop::collection::btree_set(0_usize..8, 0..3)), 8)
    ) {
        let list = |places: &mut dyn Iterator<Item = usize>| {
            places.map(|place| format!("t{place}")).collect::<Vec<_>>().join(", ")
        };
        let global = global.map_or("null".to_owned(), |places| format!("[{}]", list(&mut places.into_iter())));
        let entries: Vec<_> = own.iter().enumerate().map(|(place, parents)| {
            let parents = parents.as_ref().map(|parents| list(&mut parents.iter().copied()));
            (format!("t{place}"), parents.map_or(String::new(), |parents| format!("depends_on: [{parents}]")))
        }).collect();
        let text: String = entries.iter().map(|(name, more)| format!("  - {{name: {name}, target: 127.0.0.1, {more}}}\n")).collect();
        let text = format!("global: {{depends_on: {global}}}\ntargets:\n{text}");
        let own_cycle = crate::config::parents::cycles(
            &own.iter().map(|own| own.iter().flatten().copied().collect()).collect::<Vec<_>>(),
        );
        match config(&text) {
            Ok(config) => {
                prop_assert!(own_cycle.is_empty(), "{}", text);
                for child in 0..8 {
                    let mut above: Vec<usize> = config.parents.of(child).to_vec();
                    for _ in 0..8 {
                        prop_assert!(!above.contains(&child), "{} is behind itself in {}", child, text);
                        above = above.iter().flat_map(|place| config.parents.of(*place)).copied().collect();
                    }
                }
            }
            // One default makes no cycle that is not there without it.
            Err(errors) => prop_assert!(!own_cycle.is_empty(), "{}\n{}", errors, text),
        }
    }
}
