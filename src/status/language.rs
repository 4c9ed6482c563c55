//! The words of the site: a text for each key, with parts to fill in, and the forms that numbers take.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::config::foreign::Foreign;

const ENGLISH: &str = include_str!("languages/en.yaml");
const GERMAN: &str = include_str!("languages/de.yaml");

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Language {
    texts: BTreeMap<String, String>,
    plural: Plural,
}

/// Which form goes with which number, as CLDR has it for whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plural {
    /// Japanese, Chinese, Korean, Turkish.
    Other,
    /// English, German, Dutch, Italian, Spanish.
    OneOther,
    /// French, Portuguese: none is singular.
    ZeroOneOther,
    /// Russian, Ukrainian.
    OneFewMany,
    /// Polish.
    Polish,
    /// Czech, Slovak.
    OneFewOther,
}

impl Plural {
    const ALL: [(&'static str, Self, &'static [&'static str]); 6] = [
        ("other", Self::Other, &["other"]),
        ("one-other", Self::OneOther, &["one", "other"]),
        ("zero-one-other", Self::ZeroOneOther, &["one", "other"]),
        ("one-few-many", Self::OneFewMany, &["one", "few", "many"]),
        ("polish", Self::Polish, &["one", "few", "many"]),
        ("one-few-other", Self::OneFewOther, &["one", "few", "other"]),
    ];

    fn form(self, count: u64) -> &'static str {
        let few = (2..=4).contains(&(count % 10)) && !(12..=14).contains(&(count % 100));
        match self {
            Self::OneOther if count == 1 => "one",
            Self::ZeroOneOther if count <= 1 => "one",
            Self::OneFewMany if count % 10 == 1 && count % 100 != 11 => "one",
            Self::Polish | Self::OneFewOther if count == 1 => "one",
            Self::OneFewMany | Self::Polish if few => "few",
            Self::OneFewMany | Self::Polish => "many",
            Self::OneFewOther if (2..=4).contains(&count) => "few",
            Self::Other | Self::OneOther | Self::ZeroOneOther | Self::OneFewOther => "other",
        }
    }
}

/// Keys with a form for each kind of number.
const COUNTED: [&str; 5] = ["seconds", "minutes", "hours", "days", "days_bad"];

impl Language {
    pub(super) fn shipped(name: &str) -> Option<Self> {
        let text = match name {
            "en" => ENGLISH,
            "de" => GERMAN,
            _ => return None,
        };
        let file = Foreign::new(std::path::Path::new(name), text).ok()?;
        Self::of_file(&file).ok()
    }

    /// # Errors
    /// A sentence for each text that is missing, or that is not known, or that has parts that nobody fills in.
    pub(super) fn of_file(file: &Foreign) -> Result<Self, Vec<String>> {
        let texts: BTreeMap<String, String> = file.strict_shape().map_err(|errors| vec![errors.to_string()])?;
        let mut problems = Vec::new();
        let place = |key: &str| format!("{}: {key}", file.place(&[key.into()]));
        let rule = texts.get("plural").map_or("", String::as_str);
        let Some((_, plural, forms)) = Plural::ALL.iter().find(|(name, ..)| *name == rule) else {
            let names: Vec<&str> = Plural::ALL.iter().map(|(name, ..)| *name).collect();
            return Err(vec![format!("{}: {rule:?} is none of {}", place("plural"), names.join(", "))]);
        };
        let english = english();
        let mut wanted: BTreeMap<String, String> = BTreeMap::new();
        for (key, text) in &english {
            match COUNTED.iter().find(|counted| key.strip_prefix(**counted).is_some_and(is_form)) {
                None => drop(wanted.insert(key.clone(), text.clone())),
                Some(counted) => {
                    wanted.extend(forms.iter().map(|form| (format!("{counted}_{form}"), text.clone())));
                }
            }
        }
        for (key, english) in &wanted {
            match texts.get(key) {
                None => {
                    problems.push(format!("{}: {key} is missing; in English it is {english:?}", file.path().display()))
                }
                Some(text) => {
                    problems.extend(unknown_part(text, english).map(|part| format!("{}: {part}", place(key))))
                }
            }
        }
        for key in texts.keys().filter(|key| !wanted.contains_key(*key)) {
            problems.push(format!("{}: is not a text of the site", place(key)));
        }
        if problems.is_empty() { Ok(Self { texts, plural: *plural }) } else { Err(problems) }
    }

    /// With some texts in the site's own words.
    ///
    /// # Errors
    /// Keys that there are not, and what is wrong with others.
    pub(super) fn with(mut self, texts: BTreeMap<String, String>) -> Result<Self, Vec<(String, String)>> {
        let mut problems = Vec::new();
        for (key, text) in texts {
            match self.texts.get(&key) {
                None => problems
                    .push((key, "is not a text of the site; src/status/languages/en.yaml has them all".to_owned())),
                Some(known) if matches!(key.as_str(), "plural" | "language") => {
                    problems.push((key, format!("is {known:?} by the language; choose another language instead")));
                }
                Some(known) => match unknown_part(&text, known) {
                    Some(problem) => problems.push((key, problem)),
                    None => drop(self.texts.insert(key, text)),
                },
            }
        }
        if problems.is_empty() { Ok(self) } else { Err(problems) }
    }

    pub(super) fn text(&self, key: &str) -> &str {
        debug_assert!(self.texts.contains_key(key), "{key}");
        self.texts.get(key).map_or("", String::as_str)
    }

    /// With the parts filled in.
    pub(super) fn say(&self, key: &str, parts: &[(&str, &str)]) -> String {
        fill(self.text(key), parts)
    }

    pub(super) fn count(&self, key: &str, count: u64) -> String {
        let form = self.plural.form(count);
        self.say(&format!("{key}_{form}"), &[("count", &count.to_string())])
    }

    /// Two units at most, the smaller one only beside a small number of the larger.
    pub(super) fn duration(&self, seconds: u64) -> String {
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
        let both = |one: String, other: u64, key: &str| {
            if other == 0 { one } else { format!("{one} {}", self.count(key, other)) }
        };
        match seconds {
            0..60 => self.count("seconds", seconds),
            60..3_600 => self.count("minutes", seconds / 60),
            3_600..86_400 => both(self.count("hours", hours), minutes, "minutes"),
            _ => both(self.count("days", days), hours, "hours"),
        }
    }

    /// Rounded to what people remember: of minutes no seconds.
    pub(super) fn date(&self, date: Date) -> String {
        let month = self.text(&format!("month_{}", date.month()));
        self.say("date", &[("day", &date.day().to_string()), ("month", month), ("year", &date.year().to_string())])
    }

    pub(super) fn date_short(&self, date: Date) -> String {
        let month = self.text(&format!("month_{}", date.month()));
        self.say("date_short", &[("day", &date.day().to_string()), ("month", month)])
    }

    pub(super) fn month(&self, date: Date) -> String {
        let month = self.text(&format!("month_{}", date.month()));
        self.say("month_year", &[("month", month), ("year", &date.year().to_string())])
    }

    pub(super) fn time(&self, at: Timestamp, zone: &TimeZone) -> String {
        let local = at.to_zoned(zone.clone());
        let time = local.strftime("%H:%M").to_string();
        let zone = local.strftime("%Z").to_string();
        self.say("date_time", &[("date", &self.date(local.date())), ("time", &time), ("zone", &zone)])
    }

    pub(super) fn list(&self, words: &[String]) -> String {
        match words {
            [] => String::new(),
            [one] => one.clone(),
            [head @ .., last] => self.say("list_and", &[("a", &head.join(", ")), ("b", last)]),
        }
    }

    /// A share as people write it; nothing that was not whole reads as whole.
    pub(super) fn percent(&self, share: f64) -> String {
        let cut = (share.clamp(0.0, 1.0) * 100_000.0 + 1e-6).floor() / 1000.0;
        let text = if cut >= 100.0 { "100".to_owned() } else { format!("{cut:.3}") };
        let space = if self.text("language").starts_with("de") || self.text("language").starts_with("fr") {
            "\u{a0}"
        } else {
            ""
        };
        format!("{}{space}%", text.replace('.', self.text("decimal")))
    }
}

fn english() -> BTreeMap<String, String> {
    let file = Foreign::new(std::path::Path::new("en"), ENGLISH).ok();
    file.and_then(|file| file.strict_shape().ok()).unwrap_or_default()
}

fn is_form(rest: &str) -> bool {
    matches!(rest, "_one" | "_two" | "_few" | "_many" | "_other")
}

fn fill(text: &str, parts: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let inner = &rest[open + 1..];
        match inner.find('}').map(|close| (&inner[..close], &inner[close + 1..])) {
            Some((name, after)) if parts.iter().any(|(known, _)| *known == name) => {
                let value = parts.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
                out.push_str(value);
                rest = after;
            }
            _ => {
                out.push('{');
                rest = inner;
            }
        }
    }
    out.push_str(rest);
    out
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

/// What is wrong with a text that stands for `english`.
fn unknown_part(text: &str, english: &str) -> Option<String> {
    let known: Vec<&str> = parts(english).collect();
    let part = parts(text).find(|part| !known.contains(part))?;
    Some(if known.is_empty() {
        format!("{{{part}}} has no meaning here; nothing is filled in")
    } else {
        format!("{{{part}}} has no meaning here; there are {{{}}}", known.join("}, {"))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn problems(text: &str) -> Vec<String> {
        Language::of_file(&Foreign::new(std::path::Path::new("x.yaml"), text).unwrap()).unwrap_err()
    }

    #[test]
    fn both_languages_are_whole_and_speak_of_numbers_and_dates() {
        let (en, de) = (Language::shipped("en").unwrap(), Language::shipped("de").unwrap());
        for (seconds, english, german) in [
            (0, "0 seconds", "0 Sekunden"),
            (1, "1 second", "1 Sekunde"),
            (61, "1 minute", "1 Minute"),
            (3_600, "1 hour", "1 Stunde"),
            (7_500, "2 hours 5 minutes", "2 Stunden 5 Minuten"),
            (90_000, "1 day 1 hour", "1 Tag 1 Stunde"),
        ] {
            assert_eq!((en.duration(seconds).as_str(), de.duration(seconds).as_str()), (english, german));
        }
        let at = "2026-03-05T09:07:59Z".parse().unwrap();
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(en.time(at, &TimeZone::UTC), "5 March 2026, 09:07 UTC");
        assert_eq!(de.time(at, &berlin), "5. März 2026, 10:07 Uhr (CET)");
        for (share, english, german) in
            [(1.0, "100%", "100\u{a0}%"), (0.999_999_9, "99.999%", "99,999\u{a0}%"), (0.5, "50.000%", "50,000\u{a0}%")]
        {
            assert_eq!((en.percent(share).as_str(), de.percent(share).as_str()), (english, german));
        }
        assert_eq!(de.list(&["A".to_owned(), "B".to_owned(), "C".to_owned()]), "A, B und C");
    }

    #[test]
    fn numbers_take_the_forms_of_their_language() {
        for (plural, forms) in [
            (Plural::Other, "other other other other other other"),
            (Plural::OneOther, "other one other other other other"),
            (Plural::ZeroOneOther, "one one other other other other"),
            (Plural::OneFewMany, "many one few many one few"),
            (Plural::Polish, "many one few many many few"),
            (Plural::OneFewOther, "other one few other other other"),
        ] {
            let found: Vec<&str> = [0, 1, 2, 12, 21, 22].into_iter().map(|count| plural.form(count)).collect();
            assert_eq!(found.join(" "), forms, "{plural:?}");
        }
    }

    #[test]
    fn a_file_of_another_language_is_held_to_all_texts() {
        let polish = ENGLISH.replace("plural: one-other", "plural: polish");
        let found = problems(&polish);
        assert!(found.iter().any(|problem| problem.contains("minutes_few is missing")), "{found:?}");
        assert!(found.iter().any(|problem| problem.contains("minutes_other: is not a text of the site")), "{found:?}");
        let found = problems(&ENGLISH.replace("As of {time}.", "As of {tiem}."));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("as_of: {tiem} has no meaning here; there are {time}"), "{found:?}");
        assert!(problems("plural: dual\n")[0].contains("one-other"));
    }

    #[test]
    fn single_texts_can_be_replaced() {
        let with = |key: &str, text: &str| {
            Language::shipped("en").unwrap().with(std::iter::once((key.to_owned(), text.to_owned())).collect())
        };
        assert_eq!(with("services", "Products").unwrap().text("services"), "Products");
        assert!(with("servics", "x").unwrap_err()[0].1.contains("is not a text"));
        assert!(with("since", "from {when}").unwrap_err()[0].1.contains("{time}"));
        assert!(with("plural", "other").is_err());
    }

    proptest! {
        #[test]
        fn parts_are_filled_in_once(text in "[a-z{} ]{0,30}", value in "[{}a-z]{0,8}") {
            let filled = fill(&text, &[("a", &value)]);
            prop_assert_eq!(filled, text.replace("{a}", &value));
        }
    }
}
