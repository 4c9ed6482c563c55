//! The page as a whole; its parts have tests of their own.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;
use crate::metrics::fixture::{complete, http_target, varied};
use crate::observation::{Detail, Failure, Observation, Outcome};
use crate::state::{Changes, Recent, What};

fn draw(target: &TargetSnapshot, taken: SystemTime) -> String {
    page(target, taken, None, &External::default())
}

fn named(name: &str) -> (TargetSnapshot, SystemTime) {
    let snapshot = varied();
    let target = snapshot.targets.iter().find(|target| target.target.name.as_str() == name).unwrap();
    (target.clone(), snapshot.taken)
}

#[test]
fn an_outage_tells_what_since_when_and_why() {
    let (target, taken) = named("expired");
    let page = draw(&target, taken);
    for part in [
        "<title>expired is down</title>",
        "<section class=\"box down\" id=\"now\">",
        "<strong>Down since <time datetime=",
        "tls_expired",
        "<strong>Look first:</strong>",
        "href=\"../runbooks/tls_expired?target=expired\"",
        "A network device of our provider is faulty.",
        "some_addresses_fail",
        "<strong>Not alone:</strong> 12 of the 13 targets on 192.0.2.0/24 fail, 48 elsewhere do not.",
        "<section id=\"path\"><h2>The way to it</h2>",
        "<strong>the way ends after 198.51.100.3, the 3rd hop</strong> <small>ends</small>",
        "<mark>no answer from here on</mark>",
        "The way when it was good",
        "<h3>Latest failure</h3>",
        "<small>only in the good run</small>",
        "<p id=\"certificate\">",
        "<h2>What changed</h2>",
        "before the outage</small>",
        "<pre id=\"summary-text\"",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
}

#[test]
fn a_trace_is_a_link_where_it_is_to_be_seen() {
    let (target, taken) = named("expired");
    let id = "0af7651916cd43dd8448eb211c80319c";
    assert!(draw(&target, taken).contains(&format!("<p>Trace {id}</p>")));
    let config = "global: {trace_url: \"https://tempo.example/{trace_id}?a=1&b='<\"}";
    let config = crate::config::Source::new("t.yaml", config).config().unwrap();
    let page = page(&target, taken, config.trace_url.as_deref(), &External::default());
    let link = format!("<a href=\"https://tempo.example/{id}?a=1&amp;b=%27%3C\">{id}</a>");
    assert_eq!(page.matches(&link).count(), 1, "of the failing run: {page}");
    assert!(page.contains("/4bf92f3577b34da6a3ce929d0e0e4736?"), "{page}");
}

#[test]
fn each_block_says_what_it_counts_from() {
    let (mut target, taken) = named("shop");
    let page = draw(&target, taken);
    assert!(page.contains("<h2>Counted in the last 1 d 0 h</h2>"), "{page}");
    assert!(!page.contains("The state above is older"), "{page}");
    target.totals.up = Duration::from_secs(540);
    let page = draw(&target, taken);
    assert!(page.contains("<h2>Counted in the last 9 min 0 s</h2>"), "{page}");
    assert!(page.contains("The state above is older"), "{page}");
}

#[test]
fn a_slow_phase_of_a_run_is_seen_and_said() {
    let (mut target, taken) = named("shop");
    let mut run = (**target.last.as_ref().unwrap()).clone();
    let quick = run.clone();
    let Detail::Http(detail) = &mut run.detail else { unreachable!() };
    detail.phases.processing = Some(Duration::from_millis(1900));
    run.elapsed = Duration::from_millis(2001);
    target.recent = Recent::of(&[quick, run]);
    let page = draw(&target, taken);
    assert!(page.contains("<small>mostly processing, 1.9 s</small>"), "{page}");
    assert!(page.contains("A full bar is 2.0 s."), "{page}");
    assert_eq!(page.matches("<div id=\"phases\">").count(), 1);
}

/// Text that wants to be markup, from everybody who is not us.
const HOSTILE: &str =
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&lt;\u{0}\u{1b}[31m\u{202e}\u{2066}</pre></title><!--";

/// Every text of a run that a peer can choose.
fn hostile(mut run: Observation) -> Observation {
    let text = || Box::<str>::from(HOSTILE);
    run.outcome = Outcome::Down(Failure::new(Reason::BodyMismatch, HOSTILE));
    if let Some(resolution) = &mut run.resolution
        && let Some(lookup) = &mut resolution.lookup
    {
        lookup.aliases = Box::new([text()]);
        lookup.name_servers = Box::new([text()]);
    }
    if let Some(tls) = &mut run.tls {
        let mut chain = (*tls.chain).clone();
        for certificate in chain.certificates.iter_mut() {
            certificate.subject = HOSTILE.into();
            certificate.issuer = HOSTILE.into();
            certificate.dns_names = HOSTILE.into();
            certificate.serial = HOSTILE.into();
        }
        tls.chain = Arc::new(chain);
        tls.verify_error = Some(HOSTILE.into());
    }
    match &mut run.detail {
        Detail::Http(detail) => {
            detail.headers = Box::new([(text(), text()), ("server".into(), text())]);
            detail.body_excerpt = Box::from(HOSTILE.as_bytes());
            detail.redirect_chain = Box::new([text()]);
            detail.proxy = Some(text());
        }
        Detail::Tcp(detail) | Detail::Unix(detail) => {
            detail.expect_info =
                Box::new([Box::new([(text(), text()), ("name".into(), text()), ("value".into(), text())])]);
            detail.received_excerpt = Box::from(HOSTILE.as_bytes());
        }
        Detail::Grpc(detail) => detail.message = text(),
        Detail::Websocket(detail) => detail.received_excerpt = Box::from(HOSTILE.as_bytes()),
        Detail::Dns(detail) => {
            if let Some(reply) = &mut detail.reply {
                reply.records = Box::new([text()]);
            }
        }
        Detail::Icmp(_) | Detail::None => {}
    }
    run
}

#[test]
fn nothing_from_outside_is_markup_whoever_sent_it() {
    let snapshot = complete();
    for target in &snapshot.targets {
        let mut target = target.clone();
        let mut settings = Arc::into_inner(http_target("x<script>\"'&", &[("note", HOSTILE)], &[])).unwrap();
        settings.display_name = Some(HOSTILE.into());
        settings.address = HOSTILE.into();
        target.target = Arc::new(settings);
        let bad = |run: &Option<Arc<Observation>>| run.as_deref().map(|run| Arc::new(hostile(run.clone())));
        let capsules = &mut target.capsules;
        capsules.latest_failure = bad(&capsules.last_good);
        capsules.first_failure = bad(&capsules.first_failure);
        target.last = bad(&target.last);
        let changed =
            Changed { what: What::Server, time: snapshot.taken, before: HOSTILE.into(), after: HOSTILE.into() };
        target.changes = Changes::new(vec![changed]);
        let runs: Vec<Observation> = target.last.as_deref().cloned().into_iter().collect();
        target.recent = Recent::of(&runs);
        let page = draw(&target, snapshot.taken);
        let ours = format!("<script>{}</script>", crate::server::html::layout::SCRIPT);
        let body = page.split_once("</style>").unwrap().1.replace(&ours, "");
        for bad in [
            "<script>",
            "<img",
            "onerror=alert(2)>",
            "</pre></title>",
            "<!--",
            "\u{0}",
            "\u{1b}",
            "\u{202e}",
            "\u{2066}",
        ] {
            assert!(!body.contains(bad), "{bad:?} of {}\n{page}", target.target.probe.prober());
        }
        assert!(!body.contains(" style="), "{page}");
        for tag in
            ["section", "dl", "ul", "ol", "table", "details", "div", "svg", "main", "pre", "td", "th", "mark", "span"]
        {
            let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}\n{page}");
        }
    }
}

#[test]
fn every_id_is_there_once() {
    for target in &complete().targets {
        let page = draw(target, complete().taken);
        for id in page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
        }
        for id in ["now", "evidence", "summary", "totals"] {
            assert!(page.contains(&format!(" id=\"{id}\"")), "{id}");
        }
    }
}
