//! What is made of an answer.

use super::message::{Record, Reply};
use crate::config::dns::RecordRules;
use crate::config::dns_numbers::{self, RCODES};
use crate::config::{DnsSettings, Pattern};
use crate::observation::{DnsReply, Failure, Reason};

/// Bytes of records that are kept as evidence.
const EXCERPT: usize = 2048;
const SOA: u16 = 6;

/// The facts, and the verdict.
pub(super) fn judge(settings: &DnsSettings, reply: &Reply) -> (DnsReply, Result<(), Failure>) {
    let texts: [Vec<String>; 3] =
        std::array::from_fn(|section| reply.sections[section].iter().map(Record::text).collect());
    let serial = (settings.query_type == SOA).then(|| reply.sections[0].iter().find_map(Record::serial).unwrap_or(0));
    let count = |section: usize| u32::try_from(reply.sections[section].len()).unwrap_or(u32::MAX);
    let shown = DnsReply {
        rcode: reply.rcode,
        answers: count(0),
        authorities: count(1),
        additionals: count(2),
        serial,
        records: if settings.keep_excerpt { excerpt(&texts) } else { Box::default() },
    };
    (shown, verdict(settings, reply, &texts))
}

fn verdict(settings: &DnsSettings, reply: &Reply, texts: &[Vec<String>; 3]) -> Result<(), Failure> {
    if !settings.valid_rcodes.contains(&reply.rcode) {
        let rcode = dns_numbers::name(RCODES, "RCODE", reply.rcode);
        return Err(Failure::new(Reason::DnsRcode, format!("the server answered {rcode}")));
    }
    let rules =
        [(&settings.answer, "answer"), (&settings.authority, "authority"), (&settings.additional, "additional")];
    for ((rules, section), records) in rules.into_iter().zip(texts) {
        check(rules, records)
            .map_err(|what| Failure::new(Reason::DnsAnswerMismatch, format!("in the {section} section {what}")))?;
    }
    Ok(())
}

/// The incumbent's rules, in its order.
fn check(rules: &RecordRules, records: &[String]) -> Result<(), String> {
    let RecordRules { fail_if_matches, fail_if_all_match, fail_if_not_matches, fail_if_none_matches } = rules;
    if records.is_empty() && !(fail_if_not_matches.is_empty() && fail_if_none_matches.is_empty()) {
        return Err("there is no record, and one has to match".to_owned());
    }
    let matches = |pattern: &Pattern, record: &str| pattern.is_match(record.as_bytes());
    for record in records {
        let shown = shorten(record);
        if let Some(pattern) = fail_if_matches.iter().find(|pattern| matches(pattern, record)) {
            return Err(format!("{shown:?} matches {:?}", pattern.as_str()));
        }
        if let Some(pattern) = fail_if_not_matches.iter().find(|pattern| !matches(pattern, record)) {
            return Err(format!("{shown:?} does not match {:?}", pattern.as_str()));
        }
    }
    for record in records {
        if let Some(pattern) = fail_if_all_match.iter().find(|pattern| !matches(pattern, record)) {
            return Err(format!("{:?} does not match {:?}", shorten(record), pattern.as_str()));
        }
    }
    let any = records.iter().any(|record| fail_if_none_matches.iter().any(|pattern| matches(pattern, record)));
    if !fail_if_none_matches.is_empty() && !any {
        return Err("no record matches any of fail_if_none_matches_regexp".to_owned());
    }
    Ok(())
}

fn shorten(record: &str) -> String {
    record.chars().take(120).collect()
}

fn excerpt(texts: &[Vec<String>; 3]) -> Box<[Box<str>]> {
    let mut left = EXCERPT;
    let fits = texts.iter().flatten().map_while(|text| {
        left = left.checked_sub(text.len())?;
        Some(text.as_str().into())
    });
    fits.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn rules(which: &str, patterns: &[&str]) -> RecordRules {
        let patterns = patterns.iter().map(|text| Pattern::new(text).unwrap()).collect();
        let mut rules = RecordRules::default();
        match which {
            "matches" => rules.fail_if_matches = patterns,
            "all" => rules.fail_if_all_match = patterns,
            "not" => rules.fail_if_not_matches = patterns,
            _ => rules.fail_if_none_matches = patterns,
        }
        rules
    }

    #[test]
    fn the_rules_are_the_incumbents_the_odd_one_too() {
        let both = ["a\t1\tIN\tA\t192.0.2.1".to_owned(), "a\t1\tIN\tA\t192.0.2.2".to_owned()];
        for (which, patterns, records, passes) in [
            ("matches", &["192.0.2.1"][..], &both[..], false),
            ("matches", &["192.0.2.9"], &both, true),
            ("matches", &["x"], &[], true),
            ("not", &["192.0.2."], &both, true),
            ("not", &["192.0.2.1"], &both, false),
            ("not", &["x"], &[], false),
            ("none", &["192.0.2.1", "x"], &both, true),
            ("none", &["x"], &both, false),
            ("none", &["x"], &[], false),
            // It fails when not all match.
            ("all", &["192.0.2."], &both, true),
            ("all", &["192.0.2.1"], &both, false),
            ("all", &["x"], &[], true),
        ] {
            assert_eq!(check(&rules(which, patterns), records).is_ok(), passes, "{which} {patterns:?} {records:?}");
        }
    }
}
