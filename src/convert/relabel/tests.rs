//! What each action does: the situations are those of upstream's `model/relabel/relabel_test.go`.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::config::foreign::Foreign;

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Rules {
    rules: Option<Vec<RawRule>>,
}

fn raw(yaml: &str) -> Vec<RawRule> {
    let text = format!("rules:\n- {}\n", yaml.replace('\n', "\n- "));
    Foreign::new(Path::new("rules.yml"), &text).unwrap().shape::<Rules>().unwrap().rules.unwrap()
}

fn labels(text: &str) -> Labels {
    text.split_whitespace().map(|pair| pair.split_once('=').unwrap()).collect()
}

/// The labels afterwards as `a=1 b=2`, or `dropped`.
fn after(input: Labels, rules: &str) -> String {
    let rules: Vec<Rule> = raw(rules).iter().map(|rule| Rule::new(rule).unwrap()).collect();
    let mut labels = input;
    match relabel(&rules, &mut labels) {
        Verdict::Dropped => "dropped".to_owned(),
        Verdict::Kept => {
            let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            pairs.join(" ")
        }
    }
}

#[test]
fn each_action_does_what_prometheus_does() {
    for (input, rules, output) in [
        // replace: groups, several source labels, a rule that sees what the one before it did.
        ("a=foo b=bar", "{source_labels: [a], regex: f(.*), target_label: d, replacement: 'ch${1}-ch${1}'}", "a=foo b=bar d=choo-choo"),
        (
            "a=foo b=bar c=baz",
            "{source_labels: [a, b], regex: f(.*);(.*)r, target_label: a, replacement: 'b${1}${2}m'}
{source_labels: [c, a], regex: (b).*b(.*)ba(.*), target_label: d, replacement: $1$2$2$3}",
            "a=boobam b=bar c=baz d=boooom",
        ),
        ("a=abc", "{source_labels: [a], regex: .*(b).*, target_label: d}", "a=abc d=b"),
        ("a=boo", "{source_labels: [a], regex: f, target_label: b, replacement: bar}", "a=boo"),
        ("a=boo", "{target_label: b, replacement: bar}", "a=boo b=bar"),
        ("a=boo", "{target_label: a, replacement: ''}", ""),
        ("a=boo", "{target_label: a, replacement: }", ""),
        ("a=boo b=x", "{source_labels: [c], target_label: b}", "a=boo"),
        ("a=1 b=2", "{source_labels: [a, b], separator: '', target_label: c}", "a=1 b=2 c=12"),
        ("a=1 b=2", "{source_labels: [a, b], separator: , target_label: c}", "a=1 b=2 c=12"),
        ("a=80", "{source_labels: [a], regex: 80, target_label: b, replacement: yes}", "a=80 b=yes"),
        ("a=x", "{action: Replace, source_labels: [a], target_label: b}", "a=x b=x"),
        // The name of the label may be made of groups; where that is no name, nothing happens.
        ("a=some-name-value", "{source_labels: [a], regex: 'some-([^-]+)-([^,]+)', replacement: '${2}', target_label: '${1}'}", "a=some-name-value name=value"),
        ("a=some-name-value", "{source_labels: [a], regex: 'some-([^-]+)-([^,]+)', replacement: '${3}', target_label: '${1}'}", "a=some-name-value"),
        ("a=some-name-0", "{source_labels: [a], regex: 'some-([^-]+)-([^,]+)', replacement: '${1}', target_label: '${3}'}", "a=some-name-0"),
        ("a=some-name-0", "{source_labels: [a], regex: 'some-([^-]+)(-[^,]+)', replacement: '${1}', target_label: '${2}'}", "a=some-name-0"),
        // Templates: the longest name, unknown groups, dollar signs.
        ("a=foo", "{source_labels: [a], regex: (f)(o+), target_label: b, replacement: '$1x-$2'}", "a=foo b=-oo"),
        ("a=foo", "{source_labels: [a], regex: (?P<first>f)o+, target_label: b, replacement: '${first}$first-$$-$-${-$9$01'}", "a=foo b=ff-$-$-${-"),
        // keep and drop match from end to end.
        ("a=foo", "{source_labels: [a], regex: .*o.*, action: drop}\n{source_labels: [a], target_label: d}", "dropped"),
        ("a=foo", "{source_labels: [a], regex: no-match, action: drop}", "a=foo"),
        ("a=foo", "{source_labels: [a], regex: f|o, action: drop}", "a=foo"),
        ("a=foo", "{source_labels: [a], regex: no-match, action: keep}", "dropped"),
        ("a=foo", "{source_labels: [a], regex: f.*, action: keep}", "a=foo"),
        ("a=foo", "{source_labels: [b], regex: , action: keep}", "a=foo"),
        ("a=foo", "{source_labels: [a], regex: , action: keep}", "dropped"),
        ("p=1 q=1 r=2", "{source_labels: [p], target_label: q, action: keepequal}", "p=1 q=1 r=2"),
        ("p=1 q=1 r=2", "{source_labels: [p], target_label: r, action: keepequal}", "dropped"),
        ("p=1 q=1 r=2", "{source_labels: [p], target_label: q, action: dropequal}", "dropped"),
        ("p=1 q=1 r=2", "{source_labels: [p], target_label: r, action: dropequal}", "p=1 q=1 r=2"),
        // hashmod: the last eight bytes of MD5.
        ("c=baz", "{source_labels: [c], target_label: d, action: hashmod, modulus: 1000}", "c=baz d=976"),
        ("c=https://a.example/ r=eu", "{source_labels: [c, r], target_label: d, action: hashmod, modulus: 1000}", "c=https://a.example/ d=840 r=eu"),
        // Actions on names.
        ("a=foo b1=bar b2=baz", "{regex: (b.*), replacement: 'bar_${1}', action: labelmap}", "a=foo b1=bar b2=baz bar_b1=bar bar_b2=baz"),
        ("__meta_my_bar=aaa __meta_other=c", "{regex: __meta_(my.*), action: labelmap}", "__meta_my_bar=aaa __meta_other=c my_bar=aaa"),
        ("a=foo b1=bar b2=baz", "{regex: (b.*), action: labelkeep}", "b1=bar b2=baz"),
        ("a=foo b1=bar b2=baz", "{regex: (b.*), action: labeldrop}", "a=foo"),
        ("foo=bAr123Foo", "{source_labels: [foo], action: uppercase, target_label: u}\n{source_labels: [foo], action: lowercase, target_label: l}", "foo=bAr123Foo l=bar123foo u=BAR123FOO"),
        ("a=straße", "{source_labels: [a], action: uppercase, target_label: a}", "a=STRAßE"),
        // prometheus#12283: a label that was dropped and set again is there.
        (
            "__meta_port_name=foo __meta_port=9091",
            "{regex: ^__meta_port_name$, action: labeldrop}
{source_labels: [__meta_port], regex: (.+), replacement: metrics, target_label: __meta_port_name}
{source_labels: [__meta_port_name], regex: ^metrics$, action: keep}",
            "__meta_port=9091 __meta_port_name=metrics",
        ),
        (
            "__meta_sd_tags=path:/secret,job:some-job,label:foo=bar",
            "{source_labels: [__meta_sd_tags], regex: '(?:.+,|^)path:(/[^,]+).*', target_label: __metrics_path__}
{source_labels: [__meta_sd_tags], regex: '(?:.+,|^)job:([^,]+).*', target_label: job}
{source_labels: [__meta_sd_tags], regex: '(?:.+,|^)label:([^=]+)=([^,]+).*', replacement: '${2}', target_label: '${1}'}",
            "__meta_sd_tags=path:/secret,job:some-job,label:foo=bar __metrics_path__=/secret foo=bar job=some-job",
        ),
    ] {
        assert_eq!(after(labels(input), rules), output, "{input} by {rules}");
    }
    let broken: Labels = [("a", "foo\nbar")].into_iter().collect();
    assert_eq!(after(broken.clone(), "{source_labels: [a], target_label: a, action: hashmod, modulus: 1000}"), "a=734");
    assert_eq!(
        after(broken, "{source_labels: [a], regex: f.*r, target_label: a, replacement: x}"),
        "a=x",
        "a dot is any"
    );
}

#[test]
fn rules_that_prometheus_refuses_are_refused() {
    for (rule, reason) in [
        ("{action: ''}", "its action \"\" is not known"),
        ("{action: explode}", "its action \"explode\" is not known"),
        ("{action: replace}", "it has no target_label"),
        ("{action: lowercase}", "it has no target_label"),
        ("{action: hashmod, target_label: a}", "its modulus is not a positive number"),
        ("{action: hashmod, target_label: a, modulus: -1}", "its modulus is not a positive number"),
        ("{action: keep, regex: '('}", "its regex cannot be compiled: unclosed group"),
    ] {
        assert_eq!(Rule::new(&raw(rule)[0]).unwrap_err(), reason, "{rule}");
    }
}

proptest! {
    #[test]
    fn no_rule_and_no_label_makes_it_panic(
        action in "replace|keep|drop|keepequal|dropequal|hashmod|labelmap|labeldrop|labelkeep|lowercase|uppercase|\\PC{0,6}",
        regex in r"[a-z().*+?|\[\]{}$^\\é0-9]{0,12}|(\([a-zé.]{1,3}[*+]?\)){1,3}",
        separator in r"\PC{0,2}",
        template in r"(\$|\{|\}|[0-3a-cé_]|\$\$|\$\{1\}|\$\{x){0,8}",
        target in r"(\$1|\$\{2\}|[a-z_é]|){0,3}",
        modulus in any::<Option<i64>>(),
        values in proptest::collection::btree_map("[a-c_é]{0,3}", r"\PC{0,8}", 0..4),
    ) {
        let rule = RawRule {
            source_labels: Some(vec!["a".to_owned(), "b".to_owned(), "é".to_owned()]),
            separator, regex, modulus, target_label: target, replacement: template, action,
        };
        if let Ok(rule) = Rule::new(&rule) {
            let mut labels: Labels = values.into_iter().collect();
            relabel(&[rule], &mut labels);
            prop_assert!(labels.iter().all(|(_, value)| !value.is_empty()));
        }
    }
}
