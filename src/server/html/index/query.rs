//! The query string of `/`: which targets, in what order, which page of them.

use url::form_urlencoded::Serializer;

use crate::server::select::{Filter, is_name};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// The worst first, and of those the newest.
    #[default]
    State,
    Name,
    /// The slowest first.
    Latency,
    /// The one that ends soonest first.
    Certificate,
    /// The one that was not run for longest first.
    Run,
    /// The newest change first.
    Since,
}

impl Sort {
    pub(super) const ALL: [Self; 6] =
        [Self::State, Self::Name, Self::Latency, Self::Certificate, Self::Run, Self::Since];

    pub(super) fn as_label(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Name => "name",
            Self::Latency => "latency",
            Self::Certificate => "certificate",
            Self::Run => "run",
            Self::Since => "since",
        }
    }

    /// What comes first, for the form.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::State => "state, the worst first",
            Self::Name => "name",
            Self::Latency => "latency, the slowest first",
            Self::Certificate => "certificate, the next to end first",
            Self::Run => "last run, the longest ago first",
            Self::Since => "since when, the newest first",
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::server) struct Query {
    pub(super) filter: Filter,
    /// The name of a label.
    pub(super) group: Option<String>,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    /// From 0; the URL counts from 1.
    pub(super) page: usize,
}

impl Query {
    /// # Errors
    /// A sentence for each parameter that is not understood.
    pub(in crate::server) fn parse<N: AsRef<str>, V: AsRef<str>>(
        pairs: impl Iterator<Item = (N, V)>,
    ) -> Result<Self, Vec<String>> {
        let (mut query, mut problems, mut seen) = (Self::default(), Vec::new(), Vec::new());
        for (name, value) in pairs {
            let (name, value) = (name.as_ref(), value.as_ref());
            match query.filter.take(name, value) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            }
            if let Err(problem) = query.take(name, value.trim()) {
                problems.push(problem);
            } else if seen.contains(&name.to_owned()) {
                problems.push(format!("{name} is given twice"));
            }
            seen.push(name.to_owned());
        }
        if problems.is_empty() { Ok(query) } else { Err(problems) }
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "group" | "sort" | "page" if value.is_empty() => {}
            "group" if is_name(value) => self.group = Some(value.to_owned()),
            "group" => return Err(format!("group={value:?} is not the name of a label")),
            "sort" => {
                let bare = value.strip_prefix('-');
                let sort = Sort::ALL.into_iter().find(|sort| sort.as_label() == bare.unwrap_or(value));
                self.sort = sort.ok_or_else(|| {
                    let known: Vec<&str> = Sort::ALL.iter().map(|sort| sort.as_label()).collect();
                    format!("sort={value:?} is none of {}, with or without a - before it", known.join(", "))
                })?;
                self.reversed = bare.is_some();
            }
            "page" => {
                let number = value.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
                self.page = number.ok_or_else(|| format!("page={value:?} is not a number from 1"))?;
            }
            _ => {
                return Err(format!("{name:?} is no parameter; there are q, label, state, group, sort and page"));
            }
        }
        Ok(())
    }

    /// The link to this, relative to `/`.
    pub(super) fn link(&self) -> String {
        let mut pairs = Serializer::new(String::new());
        if !self.filter.text.is_empty() {
            pairs.append_pair("q", &self.filter.text);
        }
        for (name, value) in &self.filter.labels {
            pairs.append_pair("label", &format!("{name}:{value}"));
        }
        for state in &self.filter.states {
            pairs.append_pair("state", state.as_label());
        }
        if let Some(group) = &self.group {
            pairs.append_pair("group", group);
        }
        if (self.sort, self.reversed) != (Sort::default(), false) {
            let sign = if self.reversed { "-" } else { "" };
            pairs.append_pair("sort", &format!("{sign}{}", self.sort.as_label()));
        }
        if self.page > 0 {
            pairs.append_pair("page", &self.page.saturating_add(1).to_string());
        }
        let text = pairs.finish();
        if text.is_empty() { "./".to_owned() } else { format!("?{text}") }
    }

    /// This, with another page.
    pub(super) fn at_page(&self, page: usize) -> Self {
        Self { page, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(text: &str) -> Result<Query, Vec<String>> {
        Query::parse(url::form_urlencoded::parse(text.as_bytes()))
    }

    #[test]
    fn a_link_leads_to_what_it_was_made_from() {
        for text in [
            "",
            "q=a+b%26c",
            "q=x&label=team%3Aweb&label=team%3Apost&state=down&state=slow&group=team&sort=-latency&page=3",
            "sort=-state",
            "label=note%3A%3D%3A",
        ] {
            let query = parse(text).unwrap();
            let link = query.link();
            assert_eq!(link.strip_prefix('?').unwrap_or(""), text);
            assert_eq!(parse(link.trim_start_matches(['?', '.', '/'])).unwrap(), query, "{link}");
        }
        assert_eq!(parse("").unwrap().link(), "./");
    }

    #[test]
    fn what_an_empty_form_sends_asks_for_nothing() {
        assert_eq!(parse("q=&label=&label=&group=&sort=&page=").unwrap(), Query::default());
    }

    #[test]
    fn every_parameter_that_is_not_understood_is_named() {
        let problems = parse("page=0&sort=age&group=a+b&state=off&stat=down&label=x").unwrap_err();
        assert_eq!(
            problems,
            [
                "page=\"0\" is not a number from 1",
                "sort=\"age\" is none of state, name, latency, certificate, run, since, with or without a - before it",
                "group=\"a b\" is not the name of a label",
                "state=\"off\" is none of down, failing, unknown, slow, maintenance, up",
                "\"stat\" is no parameter; there are q, label, state, group, sort and page",
                "label=\"x\" is not NAME:VALUE, such as team:web",
            ]
        );
        assert_eq!(parse("sort=name&sort=name").unwrap_err(), ["sort is given twice"]);
        assert_eq!(parse("page=99999999999999999999999").unwrap_err().len(), 1);
        assert_eq!(parse(&format!("page={}", usize::MAX)).unwrap().link(), format!("?page={}", usize::MAX));
    }
}
