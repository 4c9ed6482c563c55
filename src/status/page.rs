//! The pages. One file each, with its styles inside; no scripts, and nothing from anywhere else.

use base64::Engine as _;
use jiff::civil::Date;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::ask::DAYS;
use super::config::Settings;
use super::language::Language;
use super::model::{Announcement, Day, Incident, Maintenance, Service, Site, State};

const STYLE: &str = include_str!("style.css");
/// More past incidents than these are on the page of all of them.
const RECENT: usize = 20;
/// What stands open for so long has missed some news.
const LONG_OPEN: u64 = 300;

/// Which of the two pages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Now,
    History,
}

impl State {
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Operational => "operational",
            Self::Unknown => "unknown",
            Self::Maintenance => "maintenance",
            Self::Affected => "affected",
            Self::Outage => "outage",
        }
    }

    const ALL: [Self; 5] = [Self::Operational, Self::Unknown, Self::Maintenance, Self::Affected, Self::Outage];

    /// In a box of 20 by 20: each state has a shape of its own.
    fn shape(self) -> &'static str {
        match self {
            Self::Operational => {
                "M10 1a9 9 0 1 0 0 18 9 9 0 0 0 0-18M8.6 14.2 4.7 10.3l1.5-1.5 2.4 2.4 5.2-5.2 1.5 1.5z"
            }
            Self::Unknown => "M10 1a9 9 0 1 0 0 18 9 9 0 0 0 0-18m0 2a7 7 0 1 1 0 14 7 7 0 0 1 0-14M6 9h8v2H6z",
            Self::Maintenance => "M2 2h16v16H2zM7 5v10h2V5zm4 0v10h2V5z",
            Self::Affected => "M10 1 20 19H0zM9 7v6h2V7zm0 7.5v2h2v-2z",
            Self::Outage => {
                "M6 1h8l5 5v8l-5 5H6l-5-5V6zm.9 4.5L5.5 6.9 8.6 10l-3.1 3.1 1.4 1.4 3.1-3.1 3.1 3.1 1.4-1.4-3.1-3.1 3.1-3.1-1.4-1.4L10 8.6z"
            }
        }
    }
}

/// What the pages are made with.
pub(super) struct Pages<'a> {
    pub(super) site: &'a Site,
    pub(super) settings: &'a Settings,
    /// Seconds between two writes, if this goes on.
    pub(super) every: Option<u64>,
}

impl Pages<'_> {
    fn language(&self) -> &Language {
        &self.settings.language
    }

    fn text(&self, key: &str) -> &str {
        self.language().text(key)
    }

    fn time(&self, at: jiff::Timestamp) -> Markup {
        html! { time datetime=(at) { (self.language().time(at, &self.settings.time_zone)) } }
    }

    /// A text with a moment in it.
    fn timed(&self, key: &str, at: jiff::Timestamp) -> Markup {
        let text = self.text(key);
        let (before, after) = text.split_once("{time}").unwrap_or((text, ""));
        html! { (before) (self.time(at)) (after) }
    }

    pub(super) fn index(&self) -> String {
        let site = self.site;
        let now = site.written_at;
        let main = html! {
            section #headline class={ "state-" (site.state.key()) } aria-labelledby="headline-text" {
                h1 #headline-text { (icon(site.state)) (self.text(self.headline())) }
                @if !site.current {
                    @match site.measured_at {
                        Some(at) => { p.stale { (self.stale(at)) } }
                        None => { p.stale { (self.text("never_measured")) } }
                    }
                }
                p.written {
                    (self.timed("as_of", now))
                    @if let Some(every) = self.every {
                        " " (self.language().say("kept_fresh", &[("interval", &self.language().duration(every))]))
                    }
                }
                p.open-long {
                    (self.language().say("open_long", &[("age", &self.language().duration(LONG_OPEN))])) " "
                    a href="" { (self.text("reload")) }
                }
            }
            @if !self.settings.introduction.is_empty() { p.introduction { (self.settings.introduction) } }
            section #incidents aria-labelledby="incidents-text" {
                h2 #incidents-text { (self.text("incidents")) }
                @if site.ongoing().next().is_none() && site.announcements.is_empty() && site.current {
                    p { (self.text("no_incidents")) }
                }
                @for incident in site.ongoing() { (self.ongoing(incident)) }
                @for announcement in &site.announcements { (self.announcement(announcement)) }
            }
            (self.services())
            section #maintenance aria-labelledby="maintenance-text" {
                h2 #maintenance-text { (self.text("maintenance")) }
                @if site.maintenance.is_empty() { p { (self.text("maintenance_none")) } }
                @for window in &site.maintenance { (self.window(window)) }
            }
            section #history aria-labelledby="history-text" {
                h2 #history-text { (self.text("history")) }
                (self.months(site.incidents.iter().filter(|incident| self.is_recent(incident)).take(RECENT)))
                p { a href="history.html" { (self.text("history_all")) } }
            }
        };
        self.page(&self.language().say("title", &[("name", &site.name)]), Kind::Now, main)
    }

    pub(super) fn history(&self) -> String {
        let main = html! {
            h1 { (self.language().say("title", &[("name", &self.site.name)])) }
            p { a href="./" { (self.text("back")) } }
            section #history aria-labelledby="history-text" {
                h2 #history-text { (self.text("history")) }
                (self.months(self.site.incidents.iter().filter(|incident| incident.end.is_some())))
            }
        };
        self.page(&format!("{}: {}", self.site.name, self.text("history")), Kind::History, main)
    }

    fn headline(&self) -> &'static str {
        if !self.site.current {
            return "headline_stale";
        }
        match self.site.state {
            State::Operational => "headline_operational",
            State::Unknown => "headline_unknown",
            State::Maintenance => "headline_maintenance",
            State::Affected => "headline_affected",
            State::Outage => "headline_outage",
        }
    }

    fn stale(&self, measured: jiff::Timestamp) -> Markup {
        let age = self.site.written_at.as_second().saturating_sub(measured.as_second());
        let age = self.language().duration(u64::try_from(age).unwrap_or_default());
        let text = self.text("stale").replace("{age}", &age);
        let (before, after) = text.split_once("{time}").unwrap_or((&text, ""));
        html! { (before) (self.time(measured)) (after) }
    }

    fn is_recent(&self, incident: &Incident) -> bool {
        let age = self.site.written_at.as_second() - incident.start.as_second();
        incident.end.is_some() && age <= i64::from(DAYS) * 86_400
    }

    fn page(&self, title: &str, kind: Kind, main: Markup) -> String {
        let style = format!(
            "{STYLE}:root{{--accent:{}}}@media (prefers-color-scheme:dark){{:root{{--accent:{}}}}}",
            self.settings.light, self.settings.dark
        );
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"
        );
        let markup = html! {
            (DOCTYPE)
            html lang=(self.text("language")) {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="referrer" content="no-referrer";
                    meta name="color-scheme" content="light dark";
                    title { (title) }
                    link rel="icon" href=(favicon(self.site.state));
                    link rel="alternate" type="application/atom+xml" href="feed.xml" title=(self.text("feed"));
                    style { (PreEscaped(&style)) }
                }
                body {
                    @if kind == Kind::Now { a.skip href="#services" { (self.text("skip")) } }
                    (shapes())
                    header {
                        a.name href="./" {
                            @if let Some(logo) = &self.settings.logo { img src=(logo) alt="" height="36"; }
                            (self.site.name)
                        }
                        @if !self.settings.links.is_empty() {
                            nav aria-label=(self.site.name) {
                                @for (name, url) in &self.settings.links { a href=(url) { (name) } }
                            }
                        }
                    }
                    main { (main) }
                    footer {
                        h2 { (self.text("subscribe")) }
                        ul {
                            li { a href="feed.xml" { (self.text("feed")) } }
                            li { a href="maintenance.ics" { (self.text("calendar")) } }
                            li { a href="status.json" { (self.text("data")) } }
                        }
                    }
                }
            }
        };
        markup.into_string()
    }

    fn state(&self, state: State) -> Markup {
        html! { (icon(state)) (self.text(&format!("state_{}", state.key()))) }
    }

    fn ongoing(&self, incident: &Incident) -> Markup {
        html! {
            article class={ "card state-" (incident.state.key()) } id={ "incident-" (incident.id) } {
                h3 { (icon(incident.state)) (self.language().list(&incident.services)) ": " (self.text(&format!("state_{}", incident.state.key()))) }
                p { (self.timed("since", incident.start)) }
                dl {
                    dt { (self.text("affected")) } dd { (self.who(incident)) }
                    dt { (self.text("cause")) }
                    dd { @if incident.cause.is_empty() { (self.text("cause_unknown")) } @else { (incident.cause) } }
                    @if !incident.action.is_empty() { dt { (self.text("action")) } dd { (incident.action) } }
                    dt { (self.text("next_update")) } dd { (self.next(incident.next_update)) }
                }
                (self.updates(incident))
            }
        }
    }

    /// What was said before, if anything else was.
    fn updates(&self, incident: &Incident) -> Markup {
        html! {
            @if incident.updates.len() > 1 {
                details {
                    summary { (self.text("updates")) }
                    ul.updates {
                        @for update in &incident.updates {
                            li { (self.time(update.at)) ": " (update.cause) @if !update.cause.is_empty() { " " } (update.action) }
                        }
                    }
                }
            }
        }
    }

    fn next(&self, next: Option<jiff::Timestamp>) -> Markup {
        match next {
            Some(at) if at >= self.site.written_at => self.time(at),
            // A promise that was not kept is not shown as one.
            Some(_) | None => html! { (self.text("next_update_open")) },
        }
    }

    fn who(&self, incident: &Incident) -> Markup {
        html! {
            @if incident.state == State::Outage { (self.text("affected_all")) }
            @else if incident.regions.is_empty() { (self.text("affected_some")) }
            @else { (self.language().say("affected_regions", &[("regions", &self.language().list(&incident.regions))])) }
        }
    }

    fn announcement(&self, announcement: &Announcement) -> Markup {
        html! {
            article.card {
                h3 { (self.text("notice")) ": " (self.language().list(&announcement.services)) }
                @if !announcement.cause.is_empty() { p { (announcement.cause) } }
                @if !announcement.action.is_empty() { p { (announcement.action) } }
                @if let Some(next) = announcement.next_update.filter(|next| *next >= self.site.written_at) {
                    p { (self.text("next_update")) ": " (self.time(next)) }
                }
            }
        }
    }

    fn window(&self, window: &Maintenance) -> Markup {
        let state = if window.under_way { "maintenance_under_way" } else { "maintenance_planned" };
        html! {
            article class="card state-maintenance" {
                h3 { (icon(State::Maintenance)) (self.text(state)) ": " (self.language().list(&window.services)) }
                p {
                    @match (window.start, window.end) {
                        (Some(start), Some(end)) => {
                            @let text = self.text("from_to");
                            @let (head, rest) = text.split_once("{from}").unwrap_or(("", text));
                            @let (middle, tail) = rest.split_once("{to}").unwrap_or((rest, ""));
                            (head) (self.time(start)) (middle) (self.time(end)) (tail)
                        }
                        (None, Some(end)) => { (self.timed("until", end)) }
                        (_, None) => { (self.text("until_open")) }
                    }
                }
            }
        }
    }

    fn services(&self) -> Markup {
        let mut groups: Vec<(Option<&str>, Vec<&Service>)> = Vec::new();
        for service in &self.site.services {
            let group = service.group.as_deref();
            match groups.iter_mut().find(|(known, _)| *known == group) {
                Some((_, services)) => services.push(service),
                None => groups.push((group, vec![service])),
            }
        }
        // Those without a group come last.
        groups.sort_by_key(|(group, _)| group.is_none());
        let grouped = groups.iter().any(|(group, _)| group.is_some());
        html! {
            section #services aria-labelledby="services-text" {
                h2 #services-text { (self.text("services")) }
                @for (group, services) in &groups {
                    @if grouped { h3 { (group.unwrap_or_else(|| self.text("other_services"))) } }
                    ul.services { @for service in services { (self.service(service, grouped)) } }
                }
            }
        }
    }

    fn service(&self, service: &Service, grouped: bool) -> Markup {
        let bad: Vec<&Day> = service.days.iter().rev().filter(|day| day.state >= State::Affected).collect();
        let summary = match bad.len() {
            0 => self.text("day_operational").to_owned(),
            count => self.language().count("days_bad", count as u64),
        };
        let figures = [
            ("last_24_hours", service.uptime.last_24_hours),
            ("last_7_days", service.uptime.last_7_days),
            ("last_30_days", service.uptime.last_30_days),
            ("last_90_days", service.uptime.last_90_days),
        ];
        html! {
            li class={ "card state-" (service.state.key()) } id={ "service-" (service.id) } {
                div.line {
                    @if grouped { h4 { (service.name) } } @else { h3 { (service.name) } }
                    p.state {
                        (self.state(service.state))
                        @if let Some(since) = service.since { " " span.since { (self.timed("since", since)) } }
                    }
                }
                (self.bars(service, &summary))
                div.line.scale {
                    span { (self.language().say("days_ago", &[("days", &service.days.len().to_string())])) }
                    span { (self.text("today")) }
                }
                p.scale { (self.text("uptime")) }
                dl.figures {
                    @for (key, share) in figures {
                        div { dt { (self.text(key)) } dd { (share.map_or_else(|| self.text("no_data").to_owned(), |share| self.language().percent(share))) } }
                    }
                    @if let Some(seconds) = service.latency_seconds {
                        div { dt { (self.text("latency")) } dd { (milliseconds(seconds)) " ms" } }
                    }
                }
                @if !bad.is_empty() {
                    details {
                        summary { (summary) }
                        ul { @for day in bad { li { (self.day(day)) } } }
                    }
                }
            }
        }
    }

    /// The good days are one line of strokes; the others have a shape, a colour and words of their own.
    fn bars(&self, service: &Service, summary: &str) -> Markup {
        let days = service.days.len();
        let label = self.language().say("bars", &[("days", &days.to_string()), ("summary", summary)]);
        let mut good = String::new();
        let mut at: Option<usize> = None;
        for (index, _) in service.days.iter().enumerate().filter(|(_, day)| day.state == State::Operational) {
            match at {
                None => good.push_str(&format!("M{} 1v32", index * 8 + 4)),
                Some(before) => good.push_str(&format!("m{}-32v32", (index - before) * 8)),
            }
            at = Some(index);
        }
        let others = service.days.iter().enumerate().filter(|(_, day)| day.state != State::Operational);
        html! {
            svg.bars role="img" aria-label=(label) viewBox={ "0 0 " (days * 8) " 34" } preserveAspectRatio="none" {
                @if !good.is_empty() { path.operational d=(good) { title { (self.text("day_operational")) } } }
                @for (index, day) in others {
                    path class=(day.state.key()) d=(stroke(index * 8 + 4, day.state)) { title { (self.day(day)) } }
                }
            }
        }
    }

    fn day(&self, day: &Day) -> String {
        let language = self.language();
        let mut words = Vec::new();
        let parts = [
            ("day_down", day.downtime_seconds),
            ("day_affected", day.affected_seconds),
            ("day_maintenance", day.maintenance_seconds),
        ];
        for (key, seconds) in parts {
            if seconds > 0 {
                words.push(language.say(key, &[("duration", &language.duration(seconds))]));
            }
        }
        if words.is_empty() {
            let key = if day.state == State::Unknown { "day_unknown" } else { "day_operational" };
            words.push(language.text(key).to_owned());
        }
        let date = day.date.parse::<Date>().map_or_else(|_| day.date.clone(), |date| language.date_short(date));
        format!("{date}: {}", words.join(", "))
    }

    fn months<'i>(&self, incidents: impl Iterator<Item = &'i Incident>) -> Markup {
        let mut months: Vec<(Date, Vec<&Incident>)> = Vec::new();
        for incident in incidents {
            let date = incident.start.to_zoned(self.settings.time_zone.clone()).date().first_of_month();
            match months.last_mut() {
                Some((month, of_month)) if *month == date => of_month.push(incident),
                _ => months.push((date, vec![incident])),
            }
        }
        html! {
            @if months.is_empty() { p { (self.text("history_none")) } }
            @for (month, incidents) in &months {
                h3 { (self.language().month(*month)) }
                @for incident in incidents { (self.past(incident)) }
            }
        }
    }

    fn past(&self, incident: &Incident) -> Markup {
        let seconds = incident.seconds(self.site.written_at).max(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not below zero")]
        let duration = self.language().duration(seconds as u64);
        html! {
            article class={ "past state-" (incident.state.key()) } id={ "incident-" (incident.id) } {
                h4 { (icon(incident.state)) (self.language().list(&incident.services)) ": " (self.text(&format!("state_{}", incident.state.key()))) }
                p {
                    (self.time(incident.start)) ", " (self.language().say("lasted", &[("duration", &duration)]))
                    ". " (self.text("affected")) ": " (self.who(incident)) "."
                }
                @if !incident.cause.is_empty() { p { (incident.cause) } }
                (self.updates(incident))
            }
        }
    }
}

/// A heading's sign; the words beside it say the same.
fn icon(state: State) -> Markup {
    html! { svg class={ "icon " (state.key()) } aria-hidden="true" width="20" height="20" { use href={ "#sign-" (state.key()) } {} } }
}

fn shapes() -> Markup {
    html! {
        svg.shapes aria-hidden="true" width="0" height="0" {
            @for state in State::ALL {
                symbol id={ "sign-" (state.key()) } viewBox="0 0 20 20" { path fill-rule="evenodd" d=(state.shape()) {} }
            }
        }
    }
}

fn favicon(state: State) -> String {
    let colour = badge_colour(state);
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 20 20\"><path fill=\"{colour}\" fill-rule=\"evenodd\" d=\"{}\"/></svg>",
        state.shape()
    );
    format!("data:image/svg+xml;base64,{}", base64::engine::general_purpose::STANDARD.encode(svg))
}

/// On which white text can be read.
pub(super) fn badge_colour(state: State) -> &'static str {
    match state {
        State::Operational => "#18794a",
        State::Unknown => "#5c6672",
        State::Maintenance => "#2f62c9",
        State::Affected => "#a85a00",
        State::Outage => "#c4283c",
    }
}

/// A bad day is not only of another colour: it is cut in two, or shorter.
fn stroke(x: usize, state: State) -> String {
    match state {
        State::Operational => format!("M{x} 1v32"),
        State::Outage => format!("M{x} 1v20m0 4v8"),
        State::Affected => format!("M{x} 13v20"),
        State::Maintenance => format!("M{x} 9v6m0 4v6m0 4v4"),
        State::Unknown => format!("M{x} 29v4"),
    }
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.0}", seconds * 1000.0)
}
