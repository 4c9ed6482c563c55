//! A scenario, and the making of many.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// What a run has to say, by what the scenario is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Up,
    Down,
    /// Depends on the machine, or is the question itself: only compared.
    Open,
}

impl From<bool> for Verdict {
    fn from(up: bool) -> Self {
        if up { Self::Up } else { Self::Down }
    }
}

#[derive(Debug)]
pub(super) struct Scenario {
    /// `prober: peer: option`.
    pub(super) name: String,
    pub(super) module: String,
    pub(super) target: String,
    pub(super) verdict: Verdict,
}

/// How long a peer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// It answers, or ends it.
    Long,
    /// It never says a word.
    Short,
}

impl Patience {
    fn timeout(self) -> &'static str {
        match self {
            Self::Long => "30s",
            Self::Short => "1s",
        }
    }
}

/// Scenarios with the modules and the peers that they need.
#[derive(Default)]
pub(super) struct Scenarios {
    pub(super) all: Vec<Scenario>,
    /// Text of the module -> its name.
    modules: BTreeMap<String, String>,
    names: BTreeSet<String>,
    peers: Vec<Box<dyn Any + Send>>,
}

impl Scenarios {
    pub(super) fn add(&mut self, name: String, prober: &str, block: &Value, target: impl ToString, verdict: Verdict) {
        self.add_with(name, prober, block, target, verdict, Patience::Long);
    }

    /// For peers that are silent.
    pub(super) fn add_with(
        &mut self,
        name: String,
        prober: &str,
        block: &Value,
        target: impl ToString,
        verdict: Verdict,
        patience: Patience,
    ) {
        assert!(self.names.insert(name.clone()), "{name} twice");
        let module = self.module(prober, block, patience);
        self.all.push(Scenario { name, module, target: target.to_string(), verdict });
    }

    /// The name of such a module. Both exporters load one file, so each is in it once.
    fn module(&mut self, prober: &str, block: &Value, patience: Patience) -> String {
        let mut block = block.clone();
        if prober != "unix" && block.get("preferred_ip_protocol").is_none() {
            block["preferred_ip_protocol"] = json!("ip4");
        }
        let module = json!({"prober": prober, "timeout": patience.timeout(), prober: block});
        let next = format!("m{}", self.modules.len());
        self.modules.entry(module.to_string()).or_insert(next).clone()
    }

    /// The file of modules.
    pub(super) fn modules(&self) -> String {
        let modules: Vec<String> = self.modules.iter().map(|(text, name)| format!("\"{name}\": {text}")).collect();
        format!("{{\"modules\": {{{}}}}}", modules.join(",\n"))
    }

    /// Keeps a peer for as long as the scenarios.
    pub(super) fn keep(&mut self, peer: impl Any + Send) {
        self.peers.push(Box::new(peer));
    }
}

/// `{...}` with the keys of both.
pub(super) fn merged(one: &Value, other: &Value) -> Value {
    let mut all = one.clone();
    for (key, value) in other.as_object().unwrap() {
        all[key] = value.clone();
    }
    all
}
