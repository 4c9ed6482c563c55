//! Names for targets: each its `instance` where that is its own, for dashboards and rules go by it, and else one that is
//! made from it, the same on every run.

use std::collections::{BTreeSet, HashMap};

use sha2::{Digest as _, Sha256};

use super::notes::one_line;
use super::probes::Probe;
use crate::config::{TargetName, mask_address};

/// A name for each probe, in their order, all different.
pub(super) fn names(probes: &[Probe]) -> Vec<String> {
    let base = |probe: &Probe| within_limits(&shown(probe.instance.as_ref().unwrap_or(&probe.target)));
    // Each is tried for those that the one before it does not tell apart.
    let forms: [&dyn Fn(&Probe) -> String; 5] = [
        &base,
        &|probe| within_limits(&format!("{} ({})", base(probe), probe.module)),
        &|probe| within_limits(&format!("{} ({})", base(probe), probe.job)),
        &|probe| within_limits(&format!("{} ({}, {})", base(probe), probe.job, probe.module)),
        &|probe| within_limits(&format!("{} ({}, {}, {})", base(probe), probe.job, probe.module, shown(&probe.target))),
    ];
    let mut names: Vec<Option<String>> = vec![None; probes.len()];
    let mut taken = BTreeSet::new();
    for form in forms {
        let candidates: Vec<Option<String>> =
            probes.iter().zip(&names).map(|(probe, name)| name.is_none().then(|| form(probe))).collect();
        let mut count: HashMap<&str, usize> = HashMap::new();
        for candidate in candidates.iter().flatten() {
            *count.entry(candidate).or_default() += 1;
        }
        for (name, candidate) in names.iter_mut().zip(&candidates) {
            if let Some(candidate) = candidate
                && count.get(candidate.as_str()) == Some(&1)
                && taken.insert(candidate.clone())
            {
                *name = Some(candidate.clone());
            }
        }
    }
    names
        .into_iter()
        .zip(probes)
        .map(|(name, probe)| name.unwrap_or_else(|| numbered(&base(probe), &mut taken)))
        .collect()
}

fn numbered(base: &str, taken: &mut BTreeSet<String>) -> String {
    let mut number = 1_u64;
    loop {
        let name = within_limits(&format!("{base} #{number}"));
        if taken.insert(name.clone()) {
            return name;
        }
        number += 1;
    }
}

/// Credentials of a URL are no part of a name.
pub(super) fn shown(text: &str) -> String {
    one_line(&mask_address(text))
}

/// A name that is too long keeps its beginning, and ends with a hash of the whole.
fn within_limits(name: &str) -> String {
    const KEPT: usize = TargetName::MAX_BYTES - 20;
    let name = name.trim();
    if name.is_empty() {
        return "target".to_owned();
    }
    if name.len() <= TargetName::MAX_BYTES {
        return name.to_owned();
    }
    let end = (0..=KEPT).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    let hash: String = Sha256::digest(name.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{}... {hash}", &name[..end])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn probe(job: &str, instance: Option<&str>, target: &str, module: &str) -> Probe {
        Probe {
            job: job.to_owned(),
            place: String::new(),
            target: target.to_owned(),
            module: module.to_owned(),
            hostname: None,
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            instance: instance.map(str::to_owned),
            labels: BTreeMap::new(),
            exporter: "localhost:9115".to_owned(),
        }
    }

    #[test]
    fn the_instance_is_the_name_where_it_is_alone() {
        let names = names(&[
            probe("web", Some("shop"), "https://shop.example.com/", "http_2xx"),
            probe("web", None, "https://a.example.com/", "http_2xx"),
            probe("web", Some("b"), "b", "http_2xx"),
            probe("ping", Some("b"), "b", "icmp"),
            probe("web", Some("c"), "c", "http_2xx"),
            probe("web-2", Some("c"), "c", "http_2xx"),
            probe("web", Some("d"), "https://d/1", "http_2xx"),
            probe("web", Some("d"), "https://d/2", "http_2xx"),
            probe("web", None, "https://me:hunter2@e.example.com/", "http_2xx"),
        ]);
        assert_eq!(
            names,
            [
                "shop",
                "https://a.example.com/",
                "b (http_2xx)",
                "b (icmp)",
                "c (web)",
                "c (web-2)",
                "d (web, http_2xx, https://d/1)",
                "d (web, http_2xx, https://d/2)",
                "https://me:<secret>@e.example.com/",
            ]
        );
    }

    #[test]
    fn the_same_probe_twice_is_numbered_and_long_names_are_cut() {
        let long = "x".repeat(300);
        let twice = probe("web", Some(&long), &long, "http_2xx");
        let names = names(&[twice.clone(), twice]);
        assert_ne!(names[0], names[1]);
        assert!(names.iter().all(|name| TargetName::new(name.as_str()).is_ok()), "{names:?}");
    }

    proptest! {
        #[test]
        fn names_are_names_and_no_two_are_the_same(
            parts in proptest::collection::vec(("[ab]{1,2}", "[a é\u{7}]{0,3}|\\PC{190,210}", "[a-c]{0,2}", "[m-n]?"), 0..12),
        ) {
            let probes: Vec<Probe> = parts
                .iter()
                .map(|(job, instance, target, module)| probe(job, Some(instance.as_str()).filter(|i| !i.is_empty()), target, module))
                .collect();
            let names = names(&probes);
            prop_assert_eq!(names.len(), probes.len());
            prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
            for name in &names {
                prop_assert!(TargetName::new(name.as_str()).is_ok(), "{:?}", name);
            }
        }
    }
}
