//! CEL rules over a JSON body.

mod parse;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub(super) use self::parse::{Build, Fault, parse};
use crate::config::{CelDocument, CelFault, CelRule, HttpSettings, OutOfStack, Stop, with_levels};
use crate::observation::{Failure, Reason};

/// What the values of a body may take. A body of 64 MiB has less, unless it is made of next to nothing but brackets.
const MAX_MEMORY: usize = 512 << 20;

/// Whether both CEL rules are content with `body`.
pub(super) fn judge(settings: &HttpSettings, body: &[u8], stop: &Stop) -> Result<(), Failure> {
    let rules = (settings.fail_if_json_matches.as_ref(), settings.fail_if_json_not_matches.as_ref());
    if let (None, None) = rules {
        return Ok(());
    }
    let levels = [rules.0, rules.1].into_iter().flatten().map(CelRule::levels).max().unwrap_or_default();
    with_levels(levels + parse::nesting(body), || judge_here(rules, body, stop)).unwrap_or_else(|OutOfStack| {
        Err(Failure::new(Reason::Internal, "the CEL rules could not be run: there is no thread that is large enough"))
    })
}

fn judge_here(rules: (Option<&CelRule>, Option<&CelRule>), body: &[u8], stop: &Stop) -> Result<(), Failure> {
    let document = parse(body, &Documents, MAX_MEMORY).map_err(|fault| match fault {
        Fault::NotJson(what) => Failure::new(Reason::BodyMismatch, format!("the body is not JSON: {what}")),
        Fault::TooLarge => {
            let sentence =
                format!("the values of the body take more than {} MiB, too much for a CEL rule", MAX_MEMORY >> 20);
            Failure::new(Reason::BodyTooLarge, sentence)
        }
    })?;
    if let Some(rule) = rules.0
        && holds(rule, &document, stop)?
    {
        let sentence = format!("the CEL expression {:?} is true, which it must not be", rule.as_str());
        return Err(Failure::new(Reason::BodyMismatch, sentence));
    }
    if let Some(rule) = rules.1
        && !holds(rule, &document, stop)?
    {
        let sentence = format!("the CEL expression {:?} is not true", rule.as_str());
        return Err(Failure::new(Reason::BodyMismatch, sentence));
    }
    Ok(())
}

fn holds(rule: &CelRule, document: &CelDocument<'_>, stop: &Stop) -> Result<bool, Failure> {
    rule.holds(document, stop).map_err(|fault| {
        let sentence = format!("the CEL expression {:?} {fault}", rule.as_str());
        match fault {
            CelFault::Body(_) => Failure::new(Reason::BodyMismatch, sentence),
            CelFault::Ours(_) => Failure::new(Reason::Internal, sentence),
        }
    })
}

struct Documents;

impl<'b> Build<'b> for Documents {
    type Value = CelDocument<'b>;

    fn null(&self) -> CelDocument<'b> {
        CelDocument::null()
    }

    fn bool(&self, value: bool) -> CelDocument<'b> {
        CelDocument::bool(value)
    }

    fn number(&self, value: f64) -> CelDocument<'b> {
        CelDocument::number(value)
    }

    fn text(&self, text: Cow<'b, str>) -> CelDocument<'b> {
        CelDocument::text(text)
    }

    fn list(&self, items: Vec<CelDocument<'b>>, _: usize) -> CelDocument<'b> {
        CelDocument::list(items)
    }

    fn map(&self, entries: Vec<(Cow<'b, str>, CelDocument<'b>)>, _: usize) -> CelDocument<'b> {
        CelDocument::map(entries)
    }
}
