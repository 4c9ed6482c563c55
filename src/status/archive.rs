//! What was said and when, in a file that only grows: Prometheus forgets, and notices are not in it for ever.
//!
//! A line is one word on one incident, as JSON; of an incident the last line holds. A line that was cut off, as by a power cut, is passed
//! over, and what is written after it begins on a line of its own.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::model::{Incident, Site, State, Update, sort};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// When it was written.
    at: Timestamp,
    incident: String,
    services: Vec<String>,
    #[serde(default)]
    regions: Vec<String>,
    state: State,
    start: Timestamp,
    end: Option<Timestamp>,
    #[serde(default)]
    cause: String,
    #[serde(default)]
    action: String,
    next_update: Option<Timestamp>,
}

/// All incidents that were ever told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Archive {
    incidents: BTreeMap<String, Incident>,
    /// Of each, when its last line was written.
    last: BTreeMap<String, Timestamp>,
}

impl Record {
    fn of(incident: &Incident, at: Timestamp) -> Self {
        let Incident { id, services, regions, state, start, end, cause, action, next_update, updates: _ } =
            incident.clone();
        Self { at, incident: id, services, regions, state, start, end, cause, action, next_update }
    }
}

impl Archive {
    /// And how many lines nobody can read.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub(super) fn read(path: &Path) -> io::Result<(Self, usize)> {
        match fs::read(path) {
            Ok(bytes) => Ok(Self::of(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Self::default(), 0)),
            Err(error) => Err(error),
        }
    }

    fn of(bytes: &[u8]) -> (Self, usize) {
        let mut archive = Self::default();
        let mut unread = 0;
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            match serde_json::from_slice::<Record>(line) {
                Ok(record) => archive.take(record),
                Err(_) => unread += 1,
            }
        }
        (archive, unread)
    }

    fn take(&mut self, record: Record) {
        let Record { at, incident: id, services, regions, state, start, end, cause, action, next_update } = record;
        self.last.insert(id.clone(), at);
        let incident = self.incidents.entry(id.clone()).or_default();
        let spoken = !cause.is_empty() || !action.is_empty();
        let new = incident.updates.first().is_none_or(|last| (&last.cause, &last.action) != (&cause, &action));
        if spoken && new {
            incident.updates.insert(0, Update { at, cause: cause.clone(), action: action.clone() });
        }
        *incident = Incident {
            id,
            services,
            regions,
            state,
            start,
            end,
            cause,
            action,
            next_update,
            updates: std::mem::take(&mut incident.updates),
        };
    }

    /// Puts what was said before into the site, and what is new into the archive; the lines for it. Incidents of less than
    /// `shortest` seconds that go on are not kept yet.
    pub(super) fn merge(&mut self, site: &mut Site, shortest: f64) -> Vec<Record> {
        let now = site.written_at;
        let mut records = Vec::new();
        let mut found: Vec<String> = Vec::new();
        for incident in &mut site.incidents {
            let mut candidates =
                self.incidents.values().filter(|known| !found.contains(&known.id) && same(known, incident));
            let known = self.incidents.get(&incident.id).filter(|known| !found.contains(&known.id));
            let known = known.or_else(|| candidates.next());
            // One that ends sooner is not listed, so it is not written down before.
            if known.is_none() && incident.end.is_none() && incident.seconds(now) < shortest {
                found.push(incident.id.clone());
                continue;
            }
            if let Some(known) = known {
                incident.id.clone_from(&known.id);
                // What the operator took away after the end, or before a restart, was said all the same.
                if incident.cause.is_empty() && incident.action.is_empty() {
                    incident.cause.clone_from(&known.cause);
                    incident.action.clone_from(&known.action);
                    incident.next_update = known.next_update.filter(|_| incident.end.is_none());
                }
                if known.end.is_some() && incident.end.is_some() {
                    // Told once, it is not told otherwise because Prometheus forgets.
                    (incident.start, incident.end) = (known.start, known.end);
                    incident.state = known.state;
                }
                incident.services.clone_from(&union(&known.services, &incident.services));
                if incident.state != State::Outage {
                    incident.regions = union(&known.regions, &incident.regions);
                }
                incident.state = incident.state.max(known.state);
                incident.start = incident.start.min(known.start);
            }
            found.push(incident.id.clone());
            let record = Record::of(incident, now);
            let is_new = known.is_none_or(|known| Record { at: now, ..Record::of(known, now) } != record);
            if is_new {
                records.push(record.clone());
                self.take(record);
            }
            if let Some(known) = self.incidents.get(&incident.id) {
                incident.updates.clone_from(&known.updates);
            }
        }
        let gone: Vec<Incident> = self.incidents.values().filter(|known| !found.contains(&known.id)).cloned().collect();
        for mut incident in gone {
            if incident.end.is_none() {
                // Prometheus knows no more of it: it was over when it was last told, at the latest.
                incident.end = self.last.get(&incident.id).copied().or(Some(now));
                incident.next_update = None;
                let record = Record::of(&incident, now);
                records.push(record.clone());
                self.take(record);
            }
            site.incidents.push(incident);
        }
        site.incidents.dedup_by(|one, other| one.id == other.id);
        sort(&mut site.incidents);
        records
    }
}

/// Of a service in common, at a time in common, or nearly.
fn same(known: &Incident, incident: &Incident) -> bool {
    const NEAR: i64 = 120;
    let services = known.services.iter().any(|service| incident.services.contains(service));
    let end = |incident: &Incident| incident.end.map_or(i64::MAX, Timestamp::as_second);
    let apart = known.start.as_second() > end(incident).saturating_add(NEAR)
        || incident.start.as_second() > end(known).saturating_add(NEAR);
    known.id == incident.id || (services && !apart)
}

fn union(one: &[String], other: &[String]) -> Vec<String> {
    let mut all = one.to_vec();
    all.extend(other.iter().filter(|name| !one.contains(name)).cloned());
    all
}

/// Lines at the end of the file, on the disk when this returns.
pub(super) fn append(path: &Path, records: &[Record]) -> io::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let mut text = Vec::new();
    // A line that was cut off stays by itself.
    if fs::read(path).is_ok_and(|bytes| bytes.last().is_some_and(|last| *last != b'\n')) {
        text.push(b'\n');
    }
    for record in records {
        serde_json::to_writer(&mut text, record)?;
        text.push(b'\n');
    }
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(&text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-29T{text}:00Z").parse().unwrap()
    }

    fn site(now: &str, incidents: Vec<Incident>) -> Site {
        Site { written_at: at(now), incidents, ..Site::default() }
    }

    fn incident(id: &str, start: &str, end: Option<&str>, cause: &str) -> Incident {
        Incident {
            id: id.to_owned(),
            services: vec!["Search".to_owned()],
            state: State::Outage,
            start: at(start),
            end: end.map(at),
            cause: cause.to_owned(),
            ..Incident::default()
        }
    }

    /// One run, as the command has them.
    fn step(path: &Path, mut site: Site) -> (Site, usize) {
        let (mut archive, _) = Archive::read(path).unwrap();
        let records = archive.merge(&mut site, 60.0);
        append(path, &records).unwrap();
        (site, records.len())
    }

    #[test]
    fn an_incident_keeps_what_was_said_when_everybody_else_has_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.jsonl");
        step(&path, site("10:00", vec![incident("search-1", "09:58", None, "")]));
        let (_, written) = step(&path, site("10:05", vec![incident("search-1", "09:58", None, "A disk is full.")]));
        assert_eq!(written, 1);
        let (_, written) = step(&path, site("10:06", vec![incident("search-1", "09:58", None, "A disk is full.")]));
        assert_eq!(written, 0, "nothing new is said");
        // The start is a little different after a restart, and the notice has gone with the end.
        let (told, _) = step(&path, site("10:20", vec![incident("search-2", "09:57", Some("10:15"), "")]));
        assert_eq!((told.incidents[0].id.as_str(), told.incidents[0].cause.as_str()), ("search-1", "A disk is full."));
        let (told, written) = step(&path, site("10:30", Vec::new()));
        assert_eq!(written, 0);
        assert_eq!(told.incidents[0].end, Some(at("10:15")));
        assert_eq!(
            told.incidents[0].updates,
            [Update { at: at("10:05"), cause: "A disk is full.".to_owned(), action: String::new() }]
        );
    }

    #[test]
    fn services_that_come_to_share_their_words_stay_open_each_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.jsonl");
        let two = |words: &str| {
            let shop = Incident { services: vec!["Shop".to_owned()], ..incident("shop-1", "09:58", None, words) };
            vec![incident("search-1", "09:58", None, words), shop]
        };
        step(&path, site("10:00", two("")));
        let (told, _) = step(&path, site("10:05", two("A disk is full.")));
        assert!(told.incidents.iter().all(|incident| incident.end.is_none()), "{told:?}");
        let mut joined = told.incidents;
        super::super::model::join(&mut joined);
        assert_eq!(joined.len(), 1);
    }

    #[test]
    fn what_may_be_over_sooner_than_is_listed_is_not_kept_yet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.jsonl");
        let (told, written) = step(&path, site("10:00", vec![incident("search-1", "10:00", None, "")]));
        assert_eq!((told.incidents.len(), written), (1, 0), "it is shown while it goes on");
        let (told, written) = step(&path, site("10:02", Vec::new()));
        assert_eq!((told.incidents.len(), written), (0, 0));
    }

    #[test]
    fn a_line_that_was_cut_off_costs_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.jsonl");
        step(&path, site("10:00", vec![incident("a", "09:00", Some("09:10"), "one")]));
        let whole = fs::read(&path).unwrap();
        step(&path, site("11:00", vec![incident("b", "10:30", Some("10:40"), "two")]));
        let both = fs::read(&path).unwrap();
        for cut in whole.len() + 1..both.len() - 1 {
            fs::write(&path, &both[..cut]).unwrap();
            assert_eq!(Archive::read(&path).unwrap().1, usize::from(cut < both.len() - 1), "{cut}");
            let (told, _) = step(&path, site("12:00", vec![incident("c", "11:30", Some("11:40"), "three")]));
            let ids: Vec<&str> = told.incidents.iter().map(|incident| incident.id.as_str()).collect();
            assert_eq!(ids, ["c", "a"], "{cut}");
            let (archive, _) = Archive::read(&path).unwrap();
            assert!(archive.incidents.contains_key("c"), "{cut}");
        }
    }

    #[test]
    fn what_was_going_on_when_its_history_was_lost_has_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.jsonl");
        step(&path, site("10:00", vec![incident("a", "09:00", None, "one")]));
        let (told, _) = step(&path, site("12:00", Vec::new()));
        assert_eq!(told.incidents[0].end, Some(at("10:00")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Archive::of(&bytes);
        }
    }
}
