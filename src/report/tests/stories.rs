//! Single outages, told to the second.

use std::sync::Arc;

use super::super::incidents::{InMaintenance, Incident};
use super::super::scrapes::{COUNTERS, Counter, Scrape};
use super::super::timeline::Scope;
use super::super::watch::Watcher;
use super::world::{Seen, tell, tell_all};

const HOUR: f64 = 3_600.0;

fn brief(incident: &Incident) -> (f64, Option<f64>, Scope, String) {
    (incident.start.at, incident.end.map(|end| end.at), incident.scope, incident.places.join(" "))
}

fn scopes(regions: &[(&str, &[(f64, f64)])]) -> Vec<(f64, Option<f64>, Scope, String)> {
    let seen: Vec<Seen> = regions.iter().map(|(region, down)| Seen::new(region, down)).collect();
    tell_all(&seen, HOUR).incidents.iter().map(brief).collect()
}

#[test]
fn an_incident_lasts_from_the_first_place_that_is_down_to_the_last_that_is_not() {
    let (eu, us, asia): (&[_], &[_], &[_]) = (&[(1000.0, 1100.0)], &[(1010.0, 1130.0)], &[(1020.0, 1090.0)]);
    let told = |scope, places: &str, end| [(1000.0, Some(end), scope, places.to_owned())];
    assert_eq!(scopes(&[("eu", eu), ("us", &[]), ("asia", &[])]), told(Scope::SingleRegion, "eu", 1100.0));
    assert_eq!(scopes(&[("eu", eu), ("us", us), ("asia", &[])]), told(Scope::MultiRegion, "eu us", 1130.0));
    assert_eq!(scopes(&[("eu", eu), ("us", us), ("asia", asia)]), told(Scope::Global, "asia eu us", 1130.0));
    assert_eq!(scopes(&[("eu", eu)]), told(Scope::Global, "eu", 1100.0), "the only witness");
}

#[test]
fn what_is_up_everywhere_in_between_is_two_incidents() {
    let wandering: [(&str, &[(f64, f64)]); 2] = [("eu", &[(1000.0, 1050.0)]), ("us", &[(1060.0, 1100.0)])];
    assert_eq!(
        scopes(&wandering),
        [
            (1000.0, Some(1050.0), Scope::SingleRegion, "eu".to_owned()),
            (1060.0, Some(1100.0), Scope::SingleRegion, "us".to_owned())
        ]
    );
    let handed_over: [(&str, &[(f64, f64)]); 3] =
        [("eu", &[(1000.0, 1050.0)]), ("us", &[(1050.0, 1100.0)]), ("asia", &[])];
    assert_eq!(scopes(&handed_over), [(1000.0, Some(1100.0), Scope::MultiRegion, "eu us".to_owned())]);
}

#[test]
fn a_place_is_down_when_half_of_its_vantages_are() {
    let mut seen =
        vec![Seen::new("eu", &[(1000.0, 1100.0)]), Seen::new("eu", &[]), Seen::new("eu", &[]), Seen::new("us", &[])];
    assert_eq!(tell_all(&seen, HOUR).incidents, []);
    seen[1].down = vec![(1050.0, 1200.0)];
    let told = tell_all(&seen, HOUR);
    assert_eq!(
        told.incidents.iter().map(brief).collect::<Vec<_>>(),
        [(1050.0, Some(1100.0), Scope::SingleRegion, "eu".to_owned())]
    );
    assert_eq!(told.totals.down, 50.0);
}

#[test]
fn the_objective_misses_what_two_places_or_the_only_one_see() {
    let one = Seen::new("eu", &[(1000.0, 1100.0)]);
    let two = Seen::new("us", &[(1050.0, 1100.0)]);
    let three = Seen::new("asia", &[]);
    let missed = |seen: &[&Seen]| {
        let seen: Vec<Seen> = seen.iter().map(|seen| (*seen).clone()).collect();
        let totals = tell_all(&seen, HOUR).totals;
        (totals.down, totals.missed, totals.down_everywhere)
    };
    assert_eq!(missed(&[&one]), (100.0, 100.0, 100.0));
    assert_eq!(missed(&[&one, &three]), (100.0, 0.0, 0.0));
    assert_eq!(missed(&[&one, &two]), (100.0, 50.0, 50.0));
    assert_eq!(missed(&[&one, &two, &three]), (100.0, 50.0, 0.0));
}

#[test]
fn the_start_and_the_end_are_those_of_runs_and_the_target_changed_within_an_interval_before() {
    let seen = Seen { interval: 15.0, scrape_interval: 30.0, ..Seen::new("eu", &[(1003.0, 1023.0)]) };
    let told = tell_all(&[seen], HOUR);
    let incident = &told.incidents[0];
    assert_eq!((incident.start.at, incident.start.earliest), (1005.0, 990.0));
    let end = incident.end.unwrap();
    assert_eq!((end.at, end.earliest), (1035.0, 1020.0));
    assert_eq!((incident.duration(), incident.duration_bounds()), (Some(30.0), Some((15.0, 45.0))));
}

#[test]
fn an_outage_between_two_scrapes_has_its_length_and_the_place_where_others_saw_it() {
    let mut seen = [
        Seen { interval: 1.0, first_scrape: 7.0, ..Seen::new("eu", &[(1000.0, 1003.0)]) },
        Seen { interval: 1.0, first_scrape: 2.0, ..Seen::new("us", &[(1000.0, 1003.0)]) },
    ];
    let told = tell_all(&seen, HOUR);
    let incident = &told.incidents[0];
    assert_eq!((told.incidents.len(), incident.between_scrapes, incident.counted), (1, true, 1));
    assert_eq!((incident.scope, incident.down, told.totals.down), (Scope::Global, 3.0, 3.0));
    assert_eq!(incident.reason, None);
    assert!(incident.start.earliest <= 1000.0 && 1000.0 <= incident.start.latest, "{incident:?}");
    let end = incident.end.unwrap();
    assert!(end.earliest <= 1003.0 && 1003.0 <= end.latest, "{incident:?}");

    // A vantage whose scrape saw it tells where it was.
    seen[0].first_scrape = 11.0;
    let told = tell_all(&seen, HOUR);
    let incident = &told.incidents[0];
    assert_eq!((told.incidents.len(), incident.between_scrapes), (1, false));
    assert_eq!((incident.start.at, incident.down), (1000.0, 3.0));
}

#[test]
fn an_outage_that_outlasts_its_window_is_one_and_began_in_maintenance() {
    let story = |down: (f64, f64)| Seen { maintenance: vec![(990.0, 1210.0)], ..Seen::new("eu", &[down]) };
    let told = tell_all(&[story((1000.0, 1300.0))], HOUR);
    let incident = &told.incidents[0];
    assert_eq!((told.incidents.len(), incident.maintenance), (1, InMaintenance::Began));
    assert_eq!(brief(incident), (1000.0, Some(1300.0), Scope::Global, "eu".to_owned()));
    assert_eq!((incident.down, incident.counted, incident.counts(), told.totals.down), (90.0, 1, true, 90.0));

    let told = tell_all(&[story((1000.0, 1200.0))], HOUR);
    assert_eq!(told.incidents[0].maintenance, InMaintenance::Whole);
    assert_eq!((told.incidents[0].counts(), told.totals.down, told.totals.maintenance), (false, 0.0, 220.0));

    let told = tell_all(&[story((900.0, 1300.0))], HOUR);
    assert_eq!((told.incidents[0].maintenance, told.totals.down), (InMaintenance::Partly, 180.0));
}

#[test]
fn an_outage_that_goes_on_has_no_end_and_one_from_before_has_its_start() {
    let seen = Seen::new("eu", &[(1000.0, 3000.0)]);
    let (scrapes, _) = seen.play(HOUR);
    let played = [(seen, scrapes)];
    let told = tell(&played, (500.0, 2000.0), (0.0, 2900.0));
    assert_eq!(brief(&told.incidents[0]), (1000.0, None, Scope::Global, "eu".to_owned()));
    assert_eq!(told.totals.down, 1000.0);
    let told = tell(&played, (2000.0, 3500.0), (1100.0, HOUR));
    assert_eq!(brief(&told.incidents[0]), (1000.0, Some(3000.0), Scope::Global, "eu".to_owned()));
    assert_eq!((told.totals.down, told.totals.known), (1000.0, 1500.0));
}

#[test]
fn a_target_that_is_younger_than_the_report_is_told_from_its_first_scrape() {
    let seen = Seen { first_run: 1000.0, first_scrape: 1005.0, ..Seen::new("eu", &[(2000.0, 2100.0)]) };
    let mut exporter = seen.play(HOUR).0;
    // Its clocks began with it.
    for scrape in &mut exporter {
        scrape.counters[Counter::Unknown as usize] = Some(0.0);
    }
    let told = tell(&[(seen, exporter)], (0.0, HOUR), (0.0, HOUR));
    assert_eq!((told.watches[0].known.first(), told.totals.down), (Some(1005.0), 100.0));
    assert_eq!(told.totals.known, HOUR - 1005.0);
    // From the five seconds before the first scrape up to the last one.
    assert_eq!(told.watches[0].gains[Counter::Up], 3585.0 - 1000.0 - 100.0);
}

#[test]
fn counters_of_an_exporter_that_began_anew_are_added_whole() {
    let before = Seen::new("eu", &[]).play(900.0).0;
    let after = Seen { first_run: 3.0, first_scrape: 5.0, ..Seen::new("eu", &[]) }.play(900.0).0;
    let mut watcher = Watcher::new(Seen::new("eu", &[]).vantage(), (0.0, 1800.0));
    for scrape in before {
        watcher.push(scrape);
    }
    for scrape in after {
        watcher.push(Scrape { time: scrape.time + 900.0, ..scrape });
    }
    let watch = watcher.finish(1800.0);
    // Up to the last scrape before and after, less the first run's wait.
    assert_eq!((watch.gains[Counter::Up], watch.gains[Counter::Unknown]), (885.0 + 887.0, 3.0));
    assert_eq!(watch.known.iter().count(), 1);
}

#[test]
fn another_exporter_by_the_same_labels_adds_nothing_of_its_past() {
    let mut watcher = Watcher::new(Seen::new("eu", &[]).vantage(), (0.0, 1800.0));
    for mut scrape in Seen::new("eu", &[]).play(900.0).0 {
        if scrape.time >= 450.0 {
            scrape.counters[Counter::Up as usize] = Some(1e6 + scrape.time);
        }
        watcher.push(scrape);
    }
    assert_eq!(watcher.finish(900.0).gains[Counter::Up], 885.0 - 15.0);
}

#[test]
fn a_restart_within_an_outage_does_not_split_it() {
    let down = |start: f64, time: f64| {
        let mut counters = [Some(0.0); COUNTERS];
        counters[Counter::Down as usize] = Some(time - start);
        counters[Counter::Outages as usize] = Some(1.0);
        Scrape {
            time,
            verdict: Some(false),
            start: Some(start),
            counters,
            reason: Some(Arc::from("http_status")),
            ..Scrape::default()
        }
    };
    let mut watcher = Watcher::new(Seen::new("eu", &[]).vantage(), (0.0, 1800.0));
    watcher.set_interval(5.0);
    let scrapes = Seen::new("eu", &[]).play(100.0).0;
    let last = scrapes.last().cloned().unwrap();
    for scrape in scrapes {
        watcher.push(scrape);
    }
    let add = |mut scrape: Scrape| {
        scrape.counters[Counter::Up as usize] = last.counters[Counter::Up as usize];
        scrape
    };
    watcher.push(add(down(95.0, 105.0)));
    watcher.push(add(down(95.0, 120.0)));
    // It began anew, and found the target down at 131.
    watcher.push(Scrape { time: 135.0, counters: [Some(0.0); COUNTERS], ..Scrape::default() });
    watcher.push(down(131.0, 150.0));
    let mut up = down(131.0, 160.0);
    (up.time, up.verdict, up.start, up.counters[Counter::Up as usize]) = (165.0, Some(true), None, Some(5.0));
    watcher.push(up);
    let outages = watcher.finish(400.0).outages;
    assert_eq!(outages.len(), 1, "{outages:?}");
    assert_eq!((outages[0].start.at, outages[0].end.unwrap().at, outages[0].counted), (95.0, 160.0, 1));
}

#[test]
fn a_target_that_was_removed_while_it_was_down_ended_with_its_last_scrape() {
    let seen = Seen::new("eu", &[(1000.0, HOUR)]);
    let scrapes: Vec<Scrape> = seen.play(1200.0).0;
    let told = tell(&[(seen, scrapes)], (0.0, HOUR), (0.0, HOUR));
    assert_eq!(brief(&told.incidents[0]), (1000.0, Some(1185.0), Scope::Global, "eu".to_owned()));
}

#[test]
fn what_is_not_reporting_makes_no_outage_global() {
    let eu = Seen::new("eu", &[(1000.0, 2000.0)]);
    let us = Seen::new("us", &[]);
    let (eu_scrapes, us_scrapes) = (eu.play(HOUR).0, us.play(HOUR).0);
    let away = us_scrapes.into_iter().filter(|scrape| scrape.time < 1200.0 || scrape.time > 1900.0);
    let away: Vec<Scrape> = away
        .map(|mut scrape| {
            if scrape.time > 1900.0 {
                // Without a state file, it began anew.
                scrape.counters[Counter::Up as usize] = Some(scrape.time - 1890.0);
            }
            scrape
        })
        .collect();
    let told = tell(&[(eu, eu_scrapes), (us, away)], (0.0, HOUR), (0.0, HOUR));
    assert_eq!(
        told.incidents.iter().map(brief).collect::<Vec<_>>(),
        [(1000.0, Some(2000.0), Scope::SingleRegion, "eu".to_owned())]
    );
    assert!(
        told.totals.judged < HOUR - 600.0,
        "nothing is judged while half of the places are away: {:?}",
        told.totals
    );
}
