//! The results for machines: what the runs saw, in the form that `/api/v1/targets/NAME` has for a run.

use serde_json::{Map, Value};

use super::{Result, State};
use crate::{figures, server};

/// A JSON array, indented, one object a target, in the order of names.
pub(super) fn text(results: &[Result]) -> String {
    let array = Value::Array(results.iter().map(result).collect());
    figures::json_for_terminals(format!("{array:#}\n"))
}

fn result(result: &Result) -> Value {
    let target = &result.target;
    let labels: Map<_, _> = target.labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let state = match result.state() {
        State::NotRun => "not_run",
        state @ (State::Up | State::Down | State::Unknown) => state.as_str(),
    };
    serde_json::json!({
        "name": target.name.as_str(),
        "address": target.address,
        "module": target.module,
        "prober": target.probe.prober(),
        "labels": labels,
        "state": state,
        "explained_by": result.explained_by.as_ref().map(|by| serde_json::json!({"target": by.name.as_str()})),
        "run": result.observation.as_ref().map(server::run_json),
    })
}
