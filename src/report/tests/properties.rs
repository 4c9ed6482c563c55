//! What holds whatever happens: figures of one report never contradict each other, nor those of two reports.

use proptest::prelude::*;

use super::super::incidents::{InMaintenance, Incident};
use super::super::scrapes::{Counter, Scrape};
use super::super::spans::{Spans, overlap};
use super::super::timeline::Scope;
use super::world::{Seen, Told, tell};

/// Runs of the history; more of it lies before and after, in which nothing fails.
const RUNS: usize = 120;
const QUIET: f64 = 3_000.0;

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-3
}

/// One vantage at which each run fails at random.
fn seen(region: usize, maintenance: Vec<(f64, f64)>) -> impl Strategy<Value = Seen> {
    let interval = prop::sample::select(vec![2.0, 5.0, 15.0, 30.0]);
    let scrape = prop::sample::select(vec![5.0, 15.0, 40.0, 60.0]);
    let share = prop::sample::select(vec![0.02, 0.3, 0.8]);
    let takes = prop::sample::select(vec![0.0, 0.05, 0.6]);
    let whole = (interval, scrape, share, takes, 1_u32..4, 0_u8..8, 0_u8..20);
    whole.prop_flat_map(move |(interval, scrape_interval, share, takes, confirm, first_run, first_scrape)| {
        let maintenance = maintenance.clone();
        prop::collection::vec(prop::bool::weighted(share), RUNS).prop_map(move |fails| {
            let slot = |n: usize| QUIET + interval * n as f64;
            let failing = fails.iter().enumerate().filter(|(_, fails)| **fails);
            Seen {
                down: failing.map(|(n, _)| (slot(n), slot(n + 1))).collect(),
                maintenance: maintenance.clone(),
                first_run: f64::from(first_run) * 0.25,
                interval,
                retry: interval / 4.0,
                takes: interval * takes,
                confirm,
                first_scrape: f64::from(first_scrape) * 0.25,
                scrape_interval,
                ..Seen::new(&format!("r{region}"), &[])
            }
        })
    })
}

fn windows() -> impl Strategy<Value = Vec<(f64, f64)>> {
    prop::collection::vec((0_u16..1_800, 1_u16..600), 0..3).prop_map(|windows| {
        let mut spans = Spans::default();
        for (from, length) in windows {
            spans.add(QUIET + f64::from(from), QUIET + f64::from(from) + f64::from(length));
        }
        spans.iter().collect()
    })
}

/// One to five vantages, each in a region of its own, with the same maintenance.
fn world() -> impl Strategy<Value = Vec<Seen>> {
    (1_usize..6, windows()).prop_flat_map(|(count, maintenance)| {
        (0..count).map(|region| seen(region, maintenance.clone())).collect::<Vec<_>>()
    })
}

fn length(world: &[Seen]) -> f64 {
    2.0 * QUIET + world.iter().map(|seen| seen.interval).fold(0.0, f64::max) * RUNS as f64
}

fn play(world: &[Seen]) -> Vec<(Seen, Vec<Scrape>)> {
    world.iter().map(|seen| (seen.clone(), seen.play(length(world)).0)).collect()
}

/// Seconds of the incidents outside maintenance, clipped to the window, by nothing but their starts and ends.
fn union(told: &Told, window: (f64, f64)) -> f64 {
    let mut spans = Spans::default();
    for incident in &told.incidents {
        spans.add(incident.start.at.max(window.0), incident.end.map_or(window.1, |end| end.at).min(window.1));
    }
    let mut maintenance = Spans::default();
    for (from, to) in told.watches.iter().flat_map(|watch| watch.maintenance.iter()) {
        maintenance.add(from, to);
    }
    let aside = |span: (f64, f64)| maintenance.iter().map(|window| overlap(span, window)).sum::<f64>();
    spans.iter().map(|span| span.1 - span.0 - aside(span)).sum()
}

fn agrees(incident: &Incident, watching: usize) -> Result<(), TestCaseError> {
    prop_assert_eq!(incident.places.len(), incident.vantages.len(), "each is in a region of its own");
    match incident.scope {
        Scope::SingleRegion => prop_assert_eq!(incident.places.len(), 1),
        Scope::MultiRegion => prop_assert!(incident.places.len() >= 2),
        Scope::Global => prop_assert!(4 * incident.places.len() > 3 * watching),
        Scope::Unknown => prop_assert!(false, "everybody reports"),
    }
    prop_assert_eq!(incident.scope == Scope::SingleRegion, watching > 1 && incident.places.len() == 1);
    prop_assert!(incident.start.earliest <= incident.start.at && incident.start.at <= incident.start.latest);
    if let Some(end) = incident.end {
        prop_assert!(incident.start.at < end.at && end.earliest <= end.at && end.at <= end.latest);
        let (duration, (least, most)) = (incident.duration().unwrap(), incident.duration_bounds().unwrap());
        prop_assert!(least - 1e-6 <= duration && duration <= most + 1e-6, "{least} {duration} {most}");
    }
    prop_assert_eq!(incident.counts(), incident.maintenance != InMaintenance::Whole);
    prop_assert!(!incident.counts() || incident.whole > 0.0);
    Ok(())
}

proptest! {
    #[test]
    fn scope_regions_and_figures_of_a_report_agree(world in world(), from in 0_u16..4_000, span in 1_u16..4_000) {
        let window = (f64::from(from), (f64::from(from) + f64::from(span)).min(length(&world)));
        let told = tell(&play(&world), window, (0.0, length(&world)));
        for incident in &told.incidents {
            agrees(incident, world.len())?;
        }
        let totals = &told.totals;
        prop_assert!(near(totals.down, union(&told, window)), "{} {}", totals.down, union(&told, window));
        prop_assert!(near(totals.down, told.incidents.iter().map(|incident| incident.down).sum()));
        prop_assert!(told.incidents.windows(2).all(|pair| pair[0].end.is_some_and(|end| end.at < pair[1].start.at)));
        prop_assert!(totals.missed <= totals.down + 1e-6 && totals.down_everywhere <= totals.down + 1e-6);
        prop_assert!(totals.down <= totals.known + 1e-6 && totals.judged <= totals.known + 1e-6);
        prop_assert!(totals.known + totals.maintenance <= window.1 - window.0 + 1e-6);
        prop_assert!(told.timeline.stretches.windows(2).all(|pair| pair[0].to <= pair[1].from));
        prop_assert!(told.timeline.stretches.iter().all(|stretch| stretch.is_down() == stretch.scope().is_some()));
        let summed: f64 = told.watches.iter().map(|watch| watch.gains[Counter::Down]).sum();
        prop_assert!(totals.down <= summed + world.len() as f64 * 600.0, "{} {}", totals.down, summed);
    }

    #[test]
    fn two_times_that_adjoin_add_up_to_the_whole(world in world(), at in 100_u16..5_000) {
        let played = play(&world);
        let (end, at) = (length(&world), f64::from(at));
        let reach = |from: f64, to: f64| (from - 900.0, (to + 900.0).min(end));
        let whole = tell(&played, (0.0, end), reach(0.0, end));
        let (one, other) = (tell(&played, (0.0, at), reach(0.0, at)), tell(&played, (at, end), reach(0.0, end)));
        for figure in [
            |told: &Told| told.totals.down,
            |told: &Told| told.totals.known,
            |told: &Told| told.totals.down_everywhere,
            |told: &Told| told.totals.maintenance,
            |told: &Told| told.totals.judged,
            |told: &Told| told.totals.missed,
        ] {
            prop_assert!(near(figure(&whole), figure(&one) + figure(&other)));
        }
        for (number, watch) in whole.watches.iter().enumerate() {
            for counter in [Counter::Up, Counter::Down, Counter::Unknown, Counter::Maintenance, Counter::Failed] {
                let parts = one.watches[number].gains[counter] + other.watches[number].gains[counter];
                prop_assert!(near(watch.gains[counter], parts));
            }
        }
    }

    #[test]
    fn how_much_more_was_read_changes_no_figure(world in world(), at in 1_000_u16..5_000, span in 60_u16..2_000) {
        let played = play(&world);
        let end = length(&world);
        let window = (f64::from(at), (f64::from(at) + f64::from(span)).min(end));
        let all = tell(&played, window, (0.0, end));
        // As a report does: from before the outage that goes on when its time begins.
        let begin = window.0 - 900.0;
        let going = all.watches.iter().flat_map(|watch| &watch.outages);
        let going = going.filter(|outage| outage.start.at < begin && outage.until(f64::MAX) > begin);
        let begin = going.map(|outage| outage.start.at - 900.0).fold(begin, f64::min);
        let near_by = tell(&played, window, (begin, (window.1 + 900.0).min(end)));
        prop_assert!(near(all.totals.down, near_by.totals.down), "{:?} {:?}", all.totals, near_by.totals);
        prop_assert!(near(all.totals.missed, near_by.totals.missed));
        prop_assert!(near(all.totals.known, near_by.totals.known));
        prop_assert_eq!(all.incidents.len(), near_by.incidents.len());
        for (one, other) in all.watches.iter().zip(&near_by.watches) {
            for counter in [Counter::Up, Counter::Down, Counter::Unknown, Counter::Maintenance, Counter::Failed] {
                prop_assert!(near(one.gains[counter], other.gains[counter]));
            }
        }
    }

    #[test]
    fn one_vantage_has_the_downtime_of_its_runs_however_seldom_it_is_scraped(seen in seen(0, Vec::new())) {
        let world = [seen];
        let (scrapes, outages) = world[0].play(length(&world));
        let told = tell(&[(world[0].clone(), scrapes)], (0.0, length(&world)), (0.0, length(&world)));
        let truth: f64 = outages.iter().map(|(from, to)| to - from).sum();
        // To what a run in flight at a scrape takes, for each of the outages.
        let credit = world[0].takes * outages.len() as f64 + 1e-6;
        prop_assert!((told.totals.down - truth).abs() <= credit, "{} {truth}", told.totals.down);
        let counted: u32 = told.incidents.iter().map(|incident| incident.counted).sum();
        // Of several outages between two scrapes the counters tell how many there were.
        prop_assert_eq!(counted as usize, outages.len(), "{:?} {:?}", outages, told.watches[0].outages);
        let reach = world[0].scrape_interval + world[0].interval;
        // The target changed when the bounds say.
        let mut down = Spans::default();
        for (from, to) in &world[0].down {
            down.add(*from, *to);
        }
        for incident in told.incidents.iter().filter(|incident| incident.counted == 1) {
            let (start, end) = (incident.start, incident.end.unwrap());
            let near_by = outages.iter().filter(|(from, to)| *from < end.at + reach && *to > start.at - reach);
            if near_by.count() > 1 {
                continue;
            }
            // A slow run can skip a tick, which the report does not know.
            let slack = if world[0].takes > 0.0 { world[0].interval } else { 1e-6 };
            let within = |moment: f64, earliest: f64, latest: f64| earliest - slack <= moment && moment <= latest + 1e-6;
            prop_assert!(down.iter().any(|(from, _)| within(from, start.earliest, start.latest)), "{:?}", incident);
            prop_assert!(down.iter().any(|(_, to)| within(to, end.earliest, end.latest)), "{:?}", incident);
        }
    }
}
