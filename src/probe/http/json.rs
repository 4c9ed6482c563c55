//! CEL rules over a JSON body.
//!
//! Numbers are doubles, as in the incumbent (Go decodes JSON so), and compare with integers of the expression.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::objects::{Key, Map};

use crate::config::HttpSettings;
use crate::config::http::CelRule;

/// Whether both CEL rules are content with `body`; the error is a sentence for people.
pub(super) fn judge(settings: &HttpSettings, body: &[u8]) -> Result<(), String> {
    let rules = (&settings.fail_if_json_matches, &settings.fail_if_json_not_matches);
    if let (None, None) = rules {
        return Ok(());
    }
    let json: serde_json::Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let value = to_cel(json);
    if let Some(rule) = rules.0
        && evaluate(rule, &value)?
    {
        return Err(format!("the CEL expression {:?} is true, which it must not be", rule.source));
    }
    if let Some(rule) = rules.1
        && !evaluate(rule, &value)?
    {
        return Err(format!("the CEL expression {:?} is not true", rule.source));
    }
    Ok(())
}

fn evaluate(rule: &CelRule, body: &cel::Value) -> Result<bool, String> {
    // The interpreter is young; a panic in it must not end the prober.
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut context = cel::Context::default();
        context.add_variable_from_value("body", body.clone());
        rule.program.execute(&context)
    }));
    match result {
        Ok(Ok(cel::Value::Bool(result))) => Ok(result),
        Ok(Ok(other)) => {
            Err(format!("the CEL expression {:?} gives {}, not true or false", rule.source, other.type_of()))
        }
        // Some errors print the values of the body; people get its beginning.
        Ok(Err(error)) => Err(format!("the CEL expression {:?} fails: {}", rule.source, shorten(&error.to_string()))),
        Err(_) => Err(format!("the CEL expression {:?} cannot be evaluated", rule.source)),
    }
}

fn shorten(text: &str) -> String {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The parser has bounded the depth to 128.
fn to_cel(json: serde_json::Value) -> cel::Value {
    match json {
        serde_json::Value::Null => cel::Value::Null,
        serde_json::Value::Bool(value) => cel::Value::Bool(value),
        serde_json::Value::Number(number) => cel::Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => cel::Value::String(Arc::new(text)),
        serde_json::Value::Array(items) => cel::Value::List(Arc::new(items.into_iter().map(to_cel).collect())),
        serde_json::Value::Object(entries) => {
            let map: HashMap<Key, cel::Value> =
                entries.into_iter().map(|(key, value)| (Key::String(Arc::new(key)), to_cel(value))).collect();
            cel::Value::Map(Map { map: Arc::new(map) })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::testing::settings;
    use super::*;

    fn verdict(matches: Option<&str>, not_matches: Option<&str>, body: &str) -> Result<(), String> {
        let settings = HttpSettings {
            fail_if_json_matches: matches.map(|source| CelRule::compile(source).unwrap()),
            fail_if_json_not_matches: not_matches.map(|source| CelRule::compile(source).unwrap()),
            ..settings()
        };
        judge(&settings, body.as_bytes())
    }

    #[test]
    fn rules_judge_json() {
        let body = r#"{"status": "ok", "n": 5, "big": 1.5, "items": [{"id": 7}, {"id": 8}], "nil": null}"#;
        for expression in [
            "body.status == 'ok'",
            "body.n == 5",
            "body.n > 4 && body.n < 6.5",
            "body.n + 1.0 == 6.0",
            "body.items.exists(i, i.id == 7)",
            "size(body.items) == 2",
            "body.items[1].id == 8",
            "has(body.status) && !has(body.error)",
            "body.nil == null",
            "body['status'].startsWith('o')",
        ] {
            assert_eq!(verdict(None, Some(expression), body), Ok(()), "{expression}");
            assert!(verdict(Some(expression), None, body).is_err(), "{expression}");
        }
    }

    #[test]
    fn what_cannot_be_judged_fails() {
        assert!(verdict(Some("body.x == 1"), None, "<html>").unwrap_err().contains("not JSON"));
        assert!(verdict(Some("body.x == 1"), None, "{}").unwrap_err().contains("fails"));
        assert!(verdict(Some("body.x"), None, r#"{"x": 1}"#).unwrap_err().contains("not true or false"));
        assert!(verdict(None, Some("body.x == 1"), "").is_err());
        let deep = "[".repeat(10_000);
        assert!(verdict(None, Some("true"), &deep).unwrap_err().contains("not JSON"));
        assert_eq!(verdict(None, None, "no rules, no JSON"), Ok(()));
    }
}
