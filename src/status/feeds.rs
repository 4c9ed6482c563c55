//! What one can subscribe to: incidents as an Atom feed, maintenance as a calendar. Nothing in them changes with the time
//! of day alone, so a file that says nothing new stays as it is.

use atom_syndication::{Content, Entry, Feed, FixedDateTime, Generator, Link, Person, Text};
use icalendar::{Calendar, Component as _, Event};
use jiff::Timestamp;

use super::config::Settings;
use super::model::{Incident, Site};

/// Readers keep what they have seen.
const ENTRIES: usize = 50;

pub(super) fn atom(site: &Site, settings: &Settings) -> String {
    let newest = site.incidents.iter().map(changed).max();
    let feed = Feed {
        title: Text::plain(settings.language.say("title", &[("name", &site.name)])),
        id: site.url.clone(),
        updated: date(newest.unwrap_or(Timestamp::UNIX_EPOCH)),
        authors: vec![Person { name: site.name.clone(), ..Person::default() }],
        generator: Some(Generator { value: "uptime_exporter".to_owned(), ..Generator::default() }),
        links: vec![
            link(&site.url, "alternate", "text/html"),
            link(&format!("{}feed.xml", site.url), "self", "application/atom+xml"),
        ],
        entries: site.incidents.iter().take(ENTRIES).map(|incident| entry(incident, site, settings)).collect(),
        lang: Some(settings.language.text("language").to_owned()),
        ..Feed::default()
    };
    feed.to_string() + "\n"
}

fn entry(incident: &Incident, site: &Site, settings: &Settings) -> Entry {
    let language = &settings.language;
    let what =
        format!("{}: {}", language.list(&incident.services), language.text(&format!("state_{}", incident.state.key())));
    let title = if incident.end.is_some() { language.say("resolved", &[("what", &what)]) } else { what };
    let from = language.time(incident.start, &settings.time_zone);
    let mut lines = vec![match incident.end {
        Some(end) => language.say("from_to", &[("from", &from), ("to", &language.time(end, &settings.time_zone))]),
        None => language.say("since", &[("time", &from)]),
    }];
    for (key, words) in [("cause", &incident.cause), ("action", &incident.action)] {
        if !words.is_empty() {
            lines.push(format!("{}: {words}", language.text(key)));
        }
    }
    let anchor = format!("{}#incident-{}", site.url, incident.id);
    Entry {
        title: Text::plain(title),
        id: anchor.clone(),
        updated: date(changed(incident)),
        published: Some(date(incident.start)),
        links: vec![link(&anchor, "alternate", "text/html")],
        content: Some(Content {
            value: Some(lines.join("\n")),
            content_type: Some("text".to_owned()),
            ..Content::default()
        }),
        ..Entry::default()
    }
}

/// When there was last something to say.
fn changed(incident: &Incident) -> Timestamp {
    let said = incident.updates.first().map_or(incident.start, |update| update.at);
    incident.end.unwrap_or(incident.start).max(said)
}

fn link(href: &str, rel: &str, mime_type: &str) -> Link {
    Link { href: href.to_owned(), rel: rel.to_owned(), mime_type: Some(mime_type.to_owned()), ..Link::default() }
}

fn date(at: Timestamp) -> FixedDateTime {
    at.to_string().parse().unwrap_or_default()
}

pub(super) fn calendar(site: &Site, settings: &Settings) -> String {
    let language = &settings.language;
    let mut calendar = Calendar::new();
    calendar.name(&format!("{}: {}", site.name, language.text("maintenance")));
    for window in &site.maintenance {
        let (Some(start), Some(end)) = (window.start, window.end) else { continue };
        let services = language.list(&window.services);
        let mut event = Event::new();
        event
            .uid(&format!(
                "{}-{}@{}",
                percent_encoding::utf8_percent_encode(&window.services.join(","), percent_encoding::NON_ALPHANUMERIC),
                start.as_second(),
                settings.url.host_str().unwrap_or_default()
            ))
            .summary(&format!("{}: {services}", language.text("maintenance")))
            .add_property("DTSTAMP", stamp(start))
            .add_property("DTSTART", stamp(start))
            .add_property("DTEND", stamp(end))
            .add_property("URL", site.url.clone());
        calendar.push(event.done());
    }
    calendar.done().to_string()
}

fn stamp(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}
