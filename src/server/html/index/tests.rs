//! The whole page: its words, its order, its size, and what it makes of hostile input.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::Notice;
use crate::metrics::fixture::{complete, http_target, many, now, shared_cause, varied};
use crate::observation::{Failure, Outcome, Reason};
use crate::state::{Explained, ParentState, Recent, TargetSnapshot, Verdict};

fn view() -> View<'static> {
    View { taken: now(), ready: true, region: None, started: now() - Duration::from_secs(960) }
}

fn page_of(snapshot: &Snapshot, query: &str) -> String {
    let query = Query::parse(url::form_urlencoded::parse(query.as_bytes())).unwrap();
    page(snapshot, &query, &view())
}

/// Names of the rows, in their order.
fn rows(page: &str) -> Vec<&str> {
    page.split("data-target=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

fn headline_of(page: &str) -> &str {
    let from = page.find("aria-live=\"polite\">").unwrap() + "aria-live=\"polite\">".len();
    &page[from..from + page[from..].find('<').unwrap()]
}

fn fail(target: &mut TargetSnapshot, verdict: Verdict, seconds: u64) {
    let mut run = target.last.as_deref().unwrap().clone();
    run.outcome = Outcome::Down(Failure::new(Reason::HttpStatus, "the status is 500"));
    run.started = now() - Duration::from_secs(seconds);
    target.failures_in_a_row = 1;
    target.recent = Recent::of(std::slice::from_ref(&run));
    target.last = Some(Arc::new(run));
    target.verdict = verdict;
    if verdict == Verdict::Down {
        target.since = Some(now() - Duration::from_secs(seconds));
    }
}

#[test]
fn the_headline_tells_in_words_what_is_wrong_and_so_does_the_tab() {
    let page = page_of(&varied(), "");
    assert_eq!(headline_of(&page), "2 outages, 1 shared cause; 2 up, 1 in maintenance, 1 unknown");
    assert!(
        page.contains("<title>2 outages, 1 shared cause; 2 up, 1 in maintenance, 1 unknown - uptime_exporter</title>")
    );
    let mut snapshot = many(1200);
    assert_eq!(headline_of(&page_of(&snapshot, "")), "No outages; 1,200 up");
    fail(&mut snapshot.targets[0], Verdict::Up, 1);
    fail(&mut snapshot.targets[1], Verdict::Down, 60);
    let mut slow = http_target("slow", &[], &[]);
    Arc::get_mut(&mut slow).unwrap().slow_threshold = Some(Duration::from_millis(1));
    snapshot.targets[2].target = slow;
    let expected = "1 outage, 1 failing, not confirmed; 1,198 up (1 slow)";
    assert_eq!(headline_of(&page_of(&snapshot, "")), expected);
}

#[test]
fn maintenance_is_no_outage_and_reads_as_what_it_is() {
    let mut snapshot = varied();
    for target in &mut snapshot.targets {
        if target.verdict == Verdict::Down {
            target.maintenance = Some(true);
        }
    }
    let page = page_of(&snapshot, "");
    assert_eq!(headline_of(&page), "No outages; 2 up, 3 in maintenance, 1 unknown");
    assert!(!page.contains("badge down") && !page.contains("<article"), "{page}");
    assert_eq!(page.matches("it is down").count(), 2);
}

#[test]
fn an_outage_is_told_with_all_that_is_known_of_it() {
    let mut snapshot = varied();
    for target in &mut snapshot.targets {
        target.shared_cause = None;
    }
    let view = View { region: Some("Europe"), ..view() };
    let page = page(&snapshot, &Query::default(), &view);
    let article = page.split("<article").nth(1).unwrap().split("</article>").next().unwrap();
    for part in [
        "data-key=\"expired\"",
        "<a href=\"targets/expired\"><bdi>expired</bdi></a>",
        "Since <time datetime=\"2026-01-02T03:03:04.000Z\">2026-01-02 03:03:04 UTC</time> (1 min 1 s).",
        "the certificate CN=shop.example.com expired on 2026-01-01</strong> <code>tls_expired</code>",
        "Look first: </strong>The renewal job",
        "<a href=\"runbooks/tls_expired\">Runbook</a>",
        "Re-checks found: 1 of 2 addresses fail",
        "1 target behind it is down too: <a href=\"targets/gone\">",
        "Notice: </strong>A network device of our provider is faulty. We are moving &quot;everything&quot; to another site. ",
        "The next update was due at <time datetime=\"2026-01-01T01:00:00.000Z\">",
    ] {
        assert!(article.contains(part), "{part}\n{article}");
    }
    assert_eq!(page.matches("As seen from <bdi>Europe</bdi>").count(), 1);
    assert_eq!(page.matches("<article").count(), 1, "what stands behind it is told with it");
    assert!(page.find("id=\"outages\"") < page.find("id=\"targets\""));
}

#[test]
fn what_shares_a_cause_is_one_outage_the_greatest_first_and_then_the_newest() {
    let mut snapshot = many(8);
    for (index, seconds) in [(0, 50), (1, 40), (2, 30), (3, 20), (4, 10)] {
        fail(&mut snapshot.targets[index], Verdict::Down, seconds);
    }
    snapshot.targets[0].shared_cause = Some(Arc::new(shared_cause()));
    snapshot.targets[1].shared_cause = Some(Arc::new(shared_cause()));
    let by = Arc::clone(&snapshot.targets[1].target);
    snapshot.targets[2].explained = Some(Explained { by, parent: ParentState::Down, since: None });
    let rows: Vec<Row<'_>> = snapshot.targets.iter().map(Row::new).collect();
    let told: Vec<Vec<&str>> = outages(&rows)
        .iter()
        .map(|outage| match outage {
            Outage::Shared(_, rows) => rows.iter().map(Row::name).collect(),
            Outage::One(row, behind) => [row].into_iter().chain(behind).map(Row::name).collect(),
        })
        .collect();
    assert_eq!(told, [&["target-00000", "target-00001", "target-00002"][..], &["target-00004"], &["target-00003"]]);
    let page = page_of(&snapshot, "");
    assert!(page.contains("3 targets with a shared cause"), "{page}");
    assert!(page.contains("<a href=\"runbooks/http_status\">http_status</a> 3"), "{page}");
}

#[test]
fn no_outage_is_lost_where_two_explain_each_other_or_one_itself() {
    let mut snapshot = many(3);
    for (index, by) in [(0, 1), (1, 0), (2, 2)] {
        fail(&mut snapshot.targets[index], Verdict::Down, 10);
        let by = Arc::clone(&snapshot.targets[by].target);
        snapshot.targets[index].explained = Some(Explained { by, parent: ParentState::Down, since: None });
    }
    let rows: Vec<Row<'_>> = snapshot.targets.iter().map(Row::new).collect();
    assert_eq!(outages(&rows).len(), 3);
}

#[test]
fn the_newest_failure_is_the_first_row_confirmed_or_not() {
    let mut snapshot = many(4);
    fail(&mut snapshot.targets[1], Verdict::Down, 3600);
    fail(&mut snapshot.targets[3], Verdict::Down, 300);
    fail(&mut snapshot.targets[2], Verdict::Up, 10);
    let page = page_of(&snapshot, "");
    assert_eq!(rows(&page), ["target-00002", "target-00003", "target-00001", "target-00000"]);
}

#[test]
fn rows_come_in_the_order_that_is_asked_for_and_what_has_no_value_last() {
    let snapshot = complete();
    let order = |query: &str| {
        let page = page_of(&snapshot, query);
        rows(&page).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let names = order("sort=name");
    assert!(names.is_sorted() && names.len() == snapshot.targets.len(), "{names:?}");
    let mut reversed = order("sort=-name");
    reversed.reverse();
    assert_eq!(reversed, names);
    assert_eq!(order("sort=latency")[0], "ping");
    assert_eq!(order("sort=-latency")[0], "gone");
    for query in ["sort=latency", "sort=-latency", "sort=run", "sort=-run"] {
        assert_eq!(order(query).last().unwrap(), "new", "{query}: never run");
    }
    assert_eq!(order("sort=run")[0], "mail");
    assert_eq!(order("sort=since")[..2], ["expired", "gone"]);
    assert_eq!(order("sort=state")[..3], ["expired", "gone", "new"]);
    assert_eq!(order("state=down&state=unknown"), ["expired", "gone", "new"]);
}

#[test]
fn groups_have_their_heads_and_counts_and_what_has_no_such_label_comes_last() {
    let page = page_of(&varied(), "group=team&sort=name");
    let heads: Vec<usize> = [
        "team: <bdi>post</bdi><small> 1 maintenance",
        "team: <bdi>web</bdi><small> 1 up",
        "without team<small> 2 down, 1 unknown, 1 up",
    ]
    .iter()
    .map(|head| page.find(head).unwrap_or_else(|| panic!("{head}\n{page}")))
    .collect();
    assert!(heads.is_sorted());
    assert_eq!(rows(&page)[..2], ["mail", "shop"]);
    let none = page_of(&varied(), "group=nobody");
    assert!(none.contains("None of these targets has a label <code>nobody</code>."), "{none}");
}

#[test]
fn words_and_labels_narrow_the_whole_page_and_it_says_so() {
    let page = page_of(&varied(), "label=team:web");
    assert_eq!((headline_of(&page), rows(&page)), ("No outages; 1 up", vec!["shop"]));
    assert!(page.contains("Only what matches is counted: 1 of 6 targets."), "{page}");
    assert!(page.contains("value=\"team:web\""));
    let none = page_of(&varied(), "q=nothing+like+it");
    assert!(none.contains("No target matches.") && !none.contains("<table"), "{none}");
}

#[test]
fn long_lists_come_in_pages_that_lead_to_each_other() {
    let snapshot = many(list::ROWS * 2 + 1);
    let first = page_of(&snapshot, "q=target");
    assert_eq!(rows(&first).len(), list::ROWS);
    assert!(first.contains("1 to 100 of 201 targets") && first.contains("Page 1 of 3"), "{first}");
    assert!(first.contains("<a href=\"?q=target&amp;page=2\" rel=\"next\">Next</a>"), "{first}");
    let last = page_of(&snapshot, "page=3");
    assert_eq!(rows(&last), ["target-00200"]);
    assert!(last.contains("<a href=\"./\">First</a>") && !last.contains(">Next<"), "{last}");
    let beyond = page_of(&snapshot, "page=18446744073709551615");
    assert!(beyond.contains("There is no page 18,446,744,073,709,551,615; this is the last."), "{beyond}");
    assert_eq!(rows(&beyond), ["target-00200"]);
}

#[test]
fn ten_thousand_targets_make_a_page_below_200_kilobytes_even_when_all_are_down() {
    let mut snapshot = many(10_000);
    let runs = Recent::of(&vec![snapshot.targets[0].last.as_deref().unwrap().clone(); Recent::MOST]);
    for target in &mut snapshot.targets {
        target.recent = runs.clone();
    }
    let up = page_of(&snapshot, "");
    assert!(up.len() < 200_000, "{}", up.len());
    for target in &mut snapshot.targets {
        fail(target, Verdict::Down, 60);
        target.recent = runs.clone();
        target.notice = varied().targets[0].notice.clone();
    }
    let down = page_of(&snapshot, "");
    assert_eq!(headline_of(&down), "10,000 outages; 0 up");
    assert!(down.len() < 200_000, "{}", down.len());
    assert!(down.contains("9,980 more are in <a href=\"?state=down\">the list of what is down</a>."));
}

#[test]
fn an_exporter_that_is_not_ready_or_has_no_targets_says_so() {
    let view = View { ready: false, ..view() };
    let page = page(&varied(), &Query::default(), &view);
    assert!(page.contains("Not every target has been observed yet: 5 of 6."), "{page}");
    let none = page_of(&Snapshot { targets: Vec::new(), ..varied() }, "");
    assert!(none.contains("The config has no targets.") && headline_of(&none) == "No targets", "{none}");
    assert!(!none.contains("id=\"filter\""));
}

#[test]
fn the_page_says_what_its_blocks_count_from() {
    let page = page_of(&varied(), "");
    assert!(
        page.contains("The exporter has been running since <time datetime=\"2026-01-02T02:48:05.000Z\">"),
        "{page}"
    );
    assert!(page.contains("(16 min 0 s)"), "{page}");
}

/// Every tag is one of ours with attributes of ours, and is closed in its order.
fn check_markup(page: &str) {
    const VOID: [&str; 4] = ["meta", "link", "input", "br"];
    const KNOWN: &str = " html head meta link title style body a header strong nav ul li main h1 h2 h3 p section article span i bdi \
        small code time form label input fieldset legend select option button datalist table caption thead tbody tr th td svg \
        path footer q script ";
    const ATTRIBUTES: &str = " lang charset name content rel href class id tabindex data-refresh aria-live role data-keep hidden \
        aria-labelledby aria-label data-key data-target datetime method action type value autocomplete size list placeholder \
        checked selected scope colspan title width height viewBox d aria-hidden aria-current ";
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(closing) = rest.strip_prefix('/') {
            let end = closing.find('>').unwrap();
            assert_eq!(open.pop(), Some(&closing[..end]), "before {}", &closing[..closing.len().min(200)]);
            rest = &closing[end + 1..];
            continue;
        }
        let end = rest.find([' ', '>']).unwrap();
        let tag = &rest[..end];
        assert!(KNOWN.contains(&format!(" {tag} ")), "<{tag}>");
        rest = &rest[end..];
        while let Some(attributes) = rest.strip_prefix(' ') {
            let end = attributes.find(['=', ' ', '>']).unwrap();
            let name = &attributes[..end];
            assert!(ATTRIBUTES.contains(&format!(" {name} ")), "{name} of <{tag}>");
            rest = &attributes[end..];
            if let Some(quoted) = rest.strip_prefix("=\"") {
                let end = quoted.find('"').unwrap();
                assert!(!quoted[..end].contains(['<', '>']), "{}", &quoted[..end]);
                rest = &quoted[end + 1..];
            }
        }
        rest = rest.strip_prefix('>').unwrap_or_else(|| panic!("<{tag}> has something else in it: {rest:.60}"));
        if tag == "script" || tag == "style" {
            rest = &rest[rest.find(&format!("</{tag}>")).unwrap()..];
        }
        if !VOID.contains(&tag) {
            open.push(tag);
        }
    }
    assert_eq!(open, [""; 0]);
}

#[test]
fn nothing_from_outside_is_markup_hides_itself_or_turns_the_line() {
    const HOSTILE: &str =
        "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&lt;\u{0}\u{1b}[2J\u{202e}\u{2066}\u{200b}]]>--><!--";
    // A name has no control characters; the config sees to that.
    let hostile_name: String = HOSTILE.chars().filter(|c| !c.is_control()).collect();
    let mut snapshot = varied();
    for target in &mut snapshot.targets {
        let name = format!("{hostile_name}{}", target.target.name.as_str().len());
        let mut planted = http_target(&name, &[("note", HOSTILE), ("team", HOSTILE)], &[]);
        let known = Arc::get_mut(&mut planted).unwrap();
        known.display_name = Some(HOSTILE.into());
        known.address = HOSTILE.to_owned();
        known.module = HOSTILE.to_owned();
        target.target = planted;
        if let Some(notice) = &target.notice {
            let mut notice = Notice::clone(notice);
            (notice.cause, notice.action) = (HOSTILE.to_owned(), HOSTILE.to_owned());
            target.notice = Some(Arc::new(notice));
        }
        if let Some(run) = target.last.as_deref() {
            let mut run = run.clone();
            if let Outcome::Down(failure) = &run.outcome {
                run.outcome = Outcome::Down(Failure::new(failure.reason, HOSTILE));
            }
            target.recent = Recent::of(std::slice::from_ref(&run));
            target.last = Some(Arc::new(run));
        }
        if let Some(diagnosis) = &target.diagnosis {
            let mut diagnosis = crate::observation::Diagnosis::clone(diagnosis);
            diagnosis.sentence = HOSTILE.into();
            target.diagnosis = Some(Arc::new(diagnosis));
        }
        if let Some(explained) = &mut target.explained {
            explained.by = http_target(&hostile_name, &[], &[]);
        }
    }
    let mut with_cause = snapshot.clone();
    for target in &mut with_cause.targets {
        if target.shared_cause.is_some() {
            let value = HOSTILE.into();
            target.shared_cause = Some(Arc::new(crate::observation::SharedCause { value, ..shared_cause() }));
        }
    }
    for target in &mut snapshot.targets {
        target.shared_cause = None;
    }
    let hostile = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>();
    let view = View { region: Some(HOSTILE), ..view() };
    for snapshot in [&snapshot, &with_cause] {
        for query in [
            String::new(),
            "group=note".to_owned(),
            format!("q={hostile}"),
            format!("label=note:{hostile}"),
            format!("q={hostile}&label=note:{hostile}&group=team&page=7"),
        ] {
            let query = Query::parse(url::form_urlencoded::parse(query.as_bytes())).unwrap();
            let page = page(snapshot, &query, &view);
            check_markup(&page);
            assert!(!page.contains("<script>alert") && !page.contains("<img") && !page.contains("<!--"), "{page}");
            let unseen = |c: &char| (c.is_control() && *c != '\n') || matches!(c, '\u{202e}' | '\u{2066}' | '\u{200b}');
            assert_eq!(page.chars().find(unseen), None);
            assert!(page.contains("\u{27e8}U+202E\u{27e9}"));
        }
    }
    let problems = Query::parse([(HOSTILE, HOSTILE), ("sort", HOSTILE), ("label", HOSTILE)].into_iter()).unwrap_err();
    check_markup(&refused(&problems, &view));
}

#[test]
fn every_page_is_well_formed() {
    for (snapshot, query) in [
        (varied(), ""),
        (complete(), "group=region"),
        (complete(), "group=nobody&page=2"),
        (many(250), "page=2"),
        (Snapshot { targets: Vec::new(), ..varied() }, ""),
        (varied(), "q=none"),
    ] {
        check_markup(&page_of(&snapshot, query));
    }
}
