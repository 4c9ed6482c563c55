//! The model and the files, of a history that is known.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use super::ask::{Facts, Target, Words};
use super::config::Settings;
use super::model::{Site, State, build, join};
use super::write;
use crate::config::foreign::Foreign;
use crate::report::Vantage;
use crate::report::prometheus::Series;
use crate::report::spans::Spans;
use crate::report::watch::{Edge, Outage, Watch};

/// 2026-11-29T12:00:00Z.
const NOW: f64 = 1_795_953_600.0;
const DAY: f64 = 86_400.0;
const HOUR: f64 = 3_600.0;

/// What must reach no file: of each kind that a target or an exporter has a name for.
const PLANTED: [&str; 9] = [
    "planted-target",
    "planted-address",
    "planted-label",
    "planted-value",
    "planted-reason",
    "planted-module",
    "planted-exporter",
    "planted-region",
    "planted-job",
];

fn settings(more: &str) -> Settings {
    try_settings(&format!("name: Example\nurl: https://status.example.com\n{more}")).unwrap()
}

fn try_settings(text: &str) -> Result<Settings, String> {
    Foreign::new(Path::new("status.yaml"), text)
        .and_then(|file| Settings::of(&file))
        .map_err(|errors| errors.to_string())
}

/// A vantage with all that one may have.
fn vantage(region: &str) -> Vantage {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let labels: BTreeMap<String, String> = [
        label("target", "planted-target"),
        label("region", region),
        label("exporter", "planted-exporter"),
        label("job", "planted-job"),
        label("planted-label", "planted-value"),
    ]
    .into();
    Vantage::of(&Series { labels, samples: Vec::new() })
}

/// Known for 100 days; down at these times.
fn watch(region: &str, outages: &[(f64, Option<f64>)]) -> Watch {
    let mut known = Spans::default();
    known.add(NOW - 100.0 * DAY, NOW);
    let edge = |at: f64| Edge { at, earliest: at, latest: at };
    Watch {
        vantage: vantage(region),
        known,
        maintenance: Spans::default(),
        outages: outages
            .iter()
            .map(|(from, to)| Outage {
                start: edge(*from),
                end: to.map(edge),
                seen: *from,
                reason: Some("planted-reason".into()),
                tolerance: 5.0,
                counted: 1,
                within: None,
            })
            .collect(),
        gains: Default::default(),
        causes: BTreeMap::new(),
    }
}

fn target(display_name: &str, eu: &[(f64, Option<f64>)], us: &[(f64, Option<f64>)]) -> Target {
    Target {
        display_name: Some(display_name.to_owned()),
        labels: [
            ("planted-label".to_owned(), "planted-value".to_owned()),
            ("module".to_owned(), "planted-module".to_owned()),
            ("url".to_owned(), "https://planted-address/".to_owned()),
            ("group".to_owned(), "core".to_owned()),
        ]
        .into(),
        watches: vec![watch("planted-region-eu", eu), watch("planted-region-us", us)],
        ..Target::default()
    }
}

fn facts(targets: Vec<Target>) -> Facts {
    let named = targets.into_iter().enumerate();
    Facts {
        targets: named.map(|(index, target)| (format!("planted-target-{index}"), target)).collect(),
        regions: [("planted-region-eu".to_owned(), "Europe".to_owned())].into(),
        measured: Some(NOW - 10.0),
    }
}

fn site(facts: &Facts, more: &str) -> Site {
    let mut site = build(facts, &settings(more), NOW).0;
    join(&mut site.incidents);
    site
}

fn page(facts: &Facts, more: &str) -> String {
    let settings = settings(more);
    text_of(&site(facts, more), &settings, "index.html")
}

fn text_of(site: &Site, settings: &Settings, name: &str) -> String {
    let files = write::files(site, settings, Some(30));
    files.into_iter().find(|(known, _)| known == Path::new(name)).unwrap().1
}

#[test]
fn a_service_is_as_bad_as_its_worst_target() {
    let global = [(NOW - HOUR, None)];
    let facts = facts(vec![
        target("Search", &[], &[]),
        target("Search", &global, &global),
        target("Shop", &global, &[]),
        target("Mail", &[], &[]),
    ]);
    let site = site(&facts, "");
    let states: Vec<_> = site.services.iter().map(|service| (service.name.as_str(), service.state)).collect();
    assert_eq!(states, [("Mail", State::Operational), ("Search", State::Outage), ("Shop", State::Affected)]);
    assert_eq!((site.state, site.current), (State::Outage, true));
    let search = &site.services[1];
    assert_eq!(search.since.unwrap().to_string(), "2026-11-29T11:00:00Z");
    assert_eq!(search.uptime.last_24_hours, Some(1.0 - 1.0 / 24.0));
    assert_eq!(site.services[2].uptime.last_24_hours, Some(1.0), "most users had it");
    let shop = site.incidents.iter().find(|incident| incident.services == ["Shop"]).unwrap();
    assert_eq!((shop.state, shop.regions.as_slice()), (State::Affected, &["Europe".to_owned()][..]));
    assert_eq!(site.services[0].since, None);
}

#[test]
fn ninety_days_are_told_by_the_calendar_of_the_place() {
    // From 22:30 to 23:30 UTC: an hour over midnight in Berlin.
    let night = NOW - 13.5 * HOUR;
    let outage = [(night, Some(night + HOUR))];
    let facts = facts(vec![target("Search", &outage, &outage)]);
    let days = |more: &str| {
        let days = site(&facts, more).services[0].days.clone();
        assert_eq!(days.len(), 90);
        days.into_iter()
            .filter(|day| day.downtime_seconds > 0)
            .map(|day| (day.date, day.downtime_seconds, day.state))
            .collect::<Vec<_>>()
    };
    assert_eq!(days(""), [("2026-11-28".to_owned(), 3_600, State::Outage)]);
    assert_eq!(
        days("time_zone: Europe/Berlin"),
        [("2026-11-28".to_owned(), 1_800, State::Outage), ("2026-11-29".to_owned(), 1_800, State::Outage)]
    );
}

#[test]
fn outages_close_together_are_one_incident_and_short_ones_are_none() {
    let at = |hours: f64, seconds: f64| (NOW - hours * HOUR, Some(NOW - hours * HOUR + seconds));
    let flapping =
        [at(50.0, 100.0), (at(50.0, 0.0).0 + 200.0, Some(at(50.0, 0.0).0 + 400.0)), at(30.0, 20.0), at(20.0, 600.0)];
    let facts = facts(vec![target("Search", &flapping, &flapping)]);
    let lengths = |more: &str| {
        let site = site(&facts, more);
        site.incidents.iter().map(|incident| incident.seconds(site.written_at)).collect::<Vec<_>>()
    };
    assert_eq!(lengths(""), [600.0, 400.0], "the newest first");
    assert_eq!(lengths("shortest_incident: 10s"), [600.0, 20.0, 400.0]);
}

#[test]
fn maintenance_is_no_downtime_and_is_told_with_its_end() {
    let outage = [(NOW - HOUR, None)];
    let mut mended = target("Reports", &outage, &outage);
    for watch in &mut mended.watches {
        watch.maintenance.add(NOW - 2.0 * HOUR, NOW);
    }
    mended.maintenance_now = true;
    mended.window = Some((NOW - 2.0 * HOUR, NOW + HOUR));
    let mut next = target("Mail", &[], &[]);
    next.window = Some((NOW + DAY, NOW + DAY + HOUR));
    let facts = facts(vec![mended, next]);
    let site = site(&facts, "");
    assert_eq!(site.state, State::Maintenance);
    let reports = &site.services[1];
    assert_eq!((reports.state, reports.uptime.last_24_hours), (State::Maintenance, Some(1.0)));
    assert!(site.incidents.is_empty());
    let windows: Vec<_> =
        site.maintenance.iter().map(|window| (window.services[0].as_str(), window.under_way)).collect();
    assert_eq!(windows, [("Reports", true), ("Mail", false)]);
    let settings = settings("");
    let calendar = text_of(&site, &settings, "maintenance.ics");
    for line in ["DTSTART:20261129T100000Z", "DTEND:20261129T130000Z", "DTSTART:20261130T120000Z"] {
        assert!(calendar.contains(line), "{calendar}");
    }
    assert_eq!(calendar, text_of(&site, &settings, "maintenance.ics"), "it does not change by itself");
    assert_eq!(calendar.matches("BEGIN:VEVENT").count(), 2);
}

#[test]
fn services_of_which_the_operator_says_the_same_are_one_incident() {
    let global = [(NOW - HOUR, None)];
    let words = Words {
        cause: "A disk of our database is full.".to_owned(),
        action: "We are adding another one.".to_owned(),
        next_update: Some("2026-11-29T12:30:00Z".parse().unwrap()),
    };
    let mut down = vec![target("Search", &global, &global), target("Shop", &global, &[]), target("Mail", &[], &[])];
    down.iter_mut().for_each(|target| target.notice = Some(words.clone()));
    let facts = facts(down);
    let site = site(&facts, "");
    assert_eq!(site.incidents.len(), 1);
    assert_eq!(site.incidents[0].services, ["Search", "Shop"]);
    assert_eq!(site.announcements[0].services, ["Mail"], "it is up, and has the notice all the same");
    let page = page(&facts, "");
    for part in [
        "There is an outage",
        "A disk of our database is full.",
        "We are adding another one.",
        "29 November 2026, 12:30 UTC",
        "All users",
        "Notice: Mail",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn a_promise_that_has_passed_is_not_shown_as_one() {
    let global = [(NOW - HOUR, None)];
    let mut down = target("Search", &global, &global);
    let next_update = Some("2026-11-29T11:59:00Z".parse().unwrap());
    down.notice = Some(Words { cause: "x".to_owned(), action: String::new(), next_update });
    let page = page(&facts(vec![down]), "");
    assert!(page.contains("As soon as there is news") && !page.contains("11:59"), "{page}");
}

/// Every name that is ours is planted, and every file searched.
#[test]
fn nothing_of_ours_reaches_the_site() {
    let global = [(NOW - HOUR, None), (NOW - 40.0 * DAY, Some(NOW - 39.0 * DAY))];
    let mut down = target("Search", &global, &[(NOW - HOUR, None)]);
    down.scope = Some("single-region".to_owned());
    down.latency = Some(0.25);
    let mut unnamed = target("x", &global, &global);
    unnamed.display_name = None;
    let facts = facts(vec![down, unnamed, target("Shop", &[], &[])]);
    for more in ["", "latency: true\ngroup_label: group\ngroups: [{value: core, name: Our core}]\nlanguage: de"] {
        let settings = settings(more);
        let (mut site, warnings) = build(&facts, &settings, NOW);
        assert_eq!(warnings.len(), 1, "whoever runs it is told of the target without a name");
        let mut archive = super::archive::Archive::default();
        let records = archive.merge(&mut site, 60.0);
        let folder = tempfile::tempdir().unwrap();
        super::archive::append(&folder.path().join("archive.jsonl"), &records).unwrap();
        write::write(folder.path(), &write::files(&site, &settings, None), None).unwrap();
        let mut files = 0;
        let mut folders = vec![folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                for name in PLANTED {
                    assert!(!text.contains(name), "{name} is in {}", path.display());
                }
                files += 1;
            }
        }
        assert_eq!(files, 9, "the archive, six files of the site and two badges");
    }
}

#[test]
fn what_is_written_by_others_is_escaped() {
    let global = [(NOW - HOUR, None)];
    let hostile = "</title><script>alert(1)</script>\"'&]]>";
    let mut down = target(hostile, &global, &global);
    down.notice = Some(Words { cause: hostile.to_owned(), action: hostile.to_owned(), next_update: None });
    let facts = facts(vec![down]);
    let settings = settings(&format!(
        "introduction: {hostile:?}\ntexts: {{services: {hostile:?}}}\nlinks: [{{name: {hostile:?}, url: \"https://example.com/?a=1&b=<\"}}]"
    ));
    let (site, _) = build(&facts, &settings, NOW);
    for (name, text) in write::files(&site, &settings, None) {
        if name.extension().is_some_and(|extension| extension == "html" || extension == "svg" || extension == "xml") {
            assert!(!text.contains("<script"), "{}: {text}", name.display());
        }
    }
    let feed: atom_syndication::Feed = text_of(&site, &settings, "feed.xml").parse().unwrap();
    assert!(feed.entries()[0].title().value.contains(hostile), "{feed:?}");
}

#[test]
fn a_site_of_a_bad_year_is_one_request_of_less_than_100_kilobytes() {
    let often: Vec<(f64, Option<f64>)> = (0..60)
        .rev()
        .map(|day| (NOW - f64::from(day) * DAY - HOUR, Some(NOW - f64::from(day) * DAY - HOUR / 2.0)))
        .collect();
    let mut targets = vec![target("Search", &often, &often), target("Shop", &often, &[])];
    targets.extend((0..28).map(|number| target(&format!("Service {number}"), &often[..3], &[])));
    let page = page(&facts(targets), "");
    assert!(page.len() < 100_000, "{}", page.len());
    for other in ["<script", "http-equiv=\"refresh\"", "src=\"http", "url(", "@import"] {
        assert!(!page.contains(other), "{other}");
    }
}

#[test]
fn the_styles_are_those_that_the_policy_allows() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let page = page(&facts(vec![target("Search", &[], &[])]), "colors: {light: \"#700\", dark: \"#faa\"}");
    let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    assert!(style.contains("--accent:#770000"));
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(style.as_bytes()));
    assert!(page.contains(&format!("style-src 'sha256-{hash}'")), "{page}");
    assert!(!page.contains(" style="), "no styles in attributes, which the policy forbids");
}

#[test]
fn old_measurements_are_not_said_to_be_news() {
    let mut old = facts(vec![target("Search", &[], &[])]);
    old.measured = Some(NOW - 420.0);
    let page_of_old = page(&old, "");
    assert!(page_of_old.contains("How our services are is not known at the moment"), "{page_of_old}");
    assert!(page_of_old.contains("no news for 7 minutes"), "{page_of_old}");
    assert!(!page_of_old.contains("All services are operational"));
    // Prometheus does not answer at all: what was known is shown with its time.
    let settings = settings("");
    let (fresh, _) = build(&facts(vec![target("Search", &[], &[])]), &settings, NOW);
    let aged = fresh.aged(&settings, NOW + HOUR);
    let page = text_of(&aged, &settings, "index.html");
    assert!(page.contains("no news for 1 hour"), "{page}");
    assert!(page.contains("As of <time datetime=\"2026-11-29T13:00:00Z\">"), "{page}");
    assert!(text_of(&aged, &settings, "badge.svg").contains("Not known"));
    assert!(text_of(&aged, &settings, "badges/search.svg").contains("Not known"));
    let nothing = build(&Facts::default(), &settings, NOW).0;
    assert!(text_of(&nothing, &settings, "index.html").contains("There are no measurements yet."));
}

#[test]
fn status_json_is_read_as_it_was_written_and_only_what_is_new_is_written() {
    let settings = settings("");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("theirs.txt"), "x").unwrap();
    let (site, _) = build(&facts(vec![target("Search", &[], &[]), target("Shop", &[], &[])]), &settings, NOW);
    let count = write::write(folder.path(), &write::files(&site, &settings, None), None).unwrap();
    assert_eq!(count, 8);
    assert_eq!(write::before(folder.path()), Some(site.clone()));
    assert_eq!(write::write(folder.path(), &write::files(&site, &settings, None), Some(&site)).unwrap(), 0);
    let (less, _) = build(&facts(vec![target("Search", &[], &[])]), &settings, NOW + 30.0);
    write::write(folder.path(), &write::files(&less, &settings, None), Some(&site)).unwrap();
    let there = |name: &str| folder.path().join(name).exists();
    assert!(there("theirs.txt") && there("badges/search.svg") && !there("badges/shop.svg"));
    std::fs::write(folder.path().join("status.json"), "{").unwrap();
    assert_eq!(write::before(folder.path()), None);
}

#[test]
fn german_is_german() {
    let global = [(NOW - HOUR, None)];
    let page = page(&facts(vec![target("Suche", &global, &global)]), "language: de\ntime_zone: Europe/Berlin");
    for part in [
        "lang=\"de\"",
        "Es gibt einen Ausfall",
        "seit <time",
        "29. November 2026, 12:00 Uhr (CET)",
        "Alle Nutzer",
        "95,833\u{a0}%",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn every_problem_of_the_config_is_told_with_its_place() {
    let error = try_settings(
        "nam: x\nurl: status.example.com\ntime_zone: Mars/Olympus\nlanguage: xx\ncolors: {light: \"#ffee00\"}\n\
         links: [{name: A, url: \"javascript:alert(1)\"}]\nlogo: none.gif\nstale_after: soon\nunnamed: maybe\n\
         groups: [{value: a}]\n",
    )
    .unwrap_err();
    assert!(error.contains("status.yaml:1: nam: ") && error.contains("name"), "{error}");
    let error = try_settings(
        "url: status.example.com\ntime_zone: Mars/Olympus\nlanguage: xx\ncolors: {light: \"#ffee00\"}\n\
         links: [{name: A, url: \"javascript:alert(1)\"}]\nlogo: none.gif\nstale_after: soon\nunnamed: maybe\n\
         groups: [{value: a}]\n",
    )
    .unwrap_err();
    for part in [
        "name: is required",
        "status.yaml:1: url: \"status.example.com\" is not an http or https URL",
        "status.yaml:2: time_zone: \"Mars/Olympus\" is not a time zone",
        "status.yaml:3: language: \"xx\" is neither en nor de nor a .yaml file of texts",
        "status.yaml:4: colors.light: #ffee00 on the light ground #ffffff has a contrast of 1.2 to 1, and text needs 4.5 to 1; #",
        "status.yaml:5: links[0].url: \"javascript:alert(1)\" is not a URL of http, https, mailto or tel",
        "logo: none.gif is neither .svg nor .png nor .webp",
        "stale_after: \"soon\"",
        "unnamed: \"maybe\" is neither hide nor show",
        "groups: needs group_label",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn the_example_has_every_key() {
    let text = include_str!("../../../status.example.yaml");
    let settings = try_settings(text).unwrap();
    assert_eq!(settings.name, "Example status");
    let commented: String = text
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .filter(|rest| rest.split_once(':').is_some_and(|(key, _)| !key.contains(' ')))
                .unwrap_or(line)
        })
        .fold(String::new(), |all, line| all + line + "\n");
    for key in [
        "name",
        "url",
        "introduction",
        "language",
        "time_zone",
        "texts",
        "logo",
        "links",
        "colors",
        "group_label",
        "groups",
        "unnamed",
        "latency",
        "stale_after",
        "shortest_incident",
        "notice_files",
        "archive",
    ] {
        assert!(commented.lines().any(|line| line.starts_with(&format!("{key}:"))), "{key}");
    }
}
