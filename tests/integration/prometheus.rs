//! A real Prometheus scrapes a running exporter, with the scrape config that the README shows and the rules that we
//! ship; a target is broken and mended, and the series tell the story.

use crate::support::exporter::Exporter;
use crate::support::peer::http;
use crate::support::prometheus::{PACKAGE, Prometheus};
use crate::support::{has_tool, poll};

/// Every file of rules that we ship, at the pace of a test: all groups each second, and an outage is told after a second.
fn rules() -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("alerting/prometheus");
    let mut rules = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".rules.yml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = ["15s", "1m", "5m"].iter().fold(text, |text, interval| {
                text.replace(&format!("    interval: {interval}\n"), "    interval: 1s\n")
            });
            rules.push((name, text.replace("target:outage_seen:timestamp >= 30", "target:outage_seen:timestamp >= 1")));
        }
    }
    assert!(rules.iter().any(|(_, text)| text.contains("timestamp >= 1\n")), "the first threshold is another");
    rules
}

/// The YAML between `<!-- NAME:begin -->` and `<!-- NAME:end -->` of the README.
pub(crate) fn readme_yaml(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let between = |text: &str, begin: &str, end: &str| {
        let from = text.find(begin).unwrap_or_else(|| panic!("README.md lacks {begin}")) + begin.len();
        let to = text[from..].find(end).unwrap_or_else(|| panic!("README.md lacks {end} after {begin}"));
        text[from..from + to].to_owned()
    };
    let section = between(&readme, &format!("<!-- {name}:begin -->"), &format!("<!-- {name}:end -->"));
    between(&section, "```yaml\n", "```")
}

#[test]
fn a_prometheus_sees_a_target_break_and_mend() {
    if !has_tool("prometheus", PACKAGE, "a real Prometheus") {
        return;
    }
    let steady = http().start();
    let shop = http().start();
    let exporter = Exporter::start(&format!(
        "global: {{interval: 2s, timeout: 2s, labels: {{region: eu-west}}, confirm: {{failures: 2, retry_interval: 200ms}}}}
modules: {{http: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}}}
targets:
  - {{name: shop, target: {}, module: http, labels: {{team: web}}}}
  - {{name: steady, target: {}, module: http}}
",
        shop.url(),
        steady.url()
    ));
    exporter.wait_until("both are up", |page| page.metric("probe_up").all().len() == 2);

    // The README's own words, but for the address and the pace.
    let scrape = readme_yaml("prometheus");
    assert!(scrape.contains("localhost:9815") && scrape.contains("metric_relabel_configs"), "{scrape}");
    let scrape = scrape.replace("localhost:9815", &exporter.address.to_string());
    let config = format!(
        "global: {{scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s}}
rule_files: ['*.rules.yml']
{scrape}"
    );
    let rules = rules();
    let files: Vec<_> = rules.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let prometheus = Prometheus::start(&config, &files);

    let up = prometheus.wait_until("up", |series| series.len() == 1 && series[0].value == 1.0);
    assert_eq!(up[0].label("job"), "uptime");
    assert_eq!(up[0].label("instance"), exporter.address.to_string(), "the scrape itself keeps its own instance");
    let both = prometheus.wait_until("probe_up", |series| series.len() == 2);
    for series in &both {
        assert_eq!(series.value, 1.0);
        assert_eq!(series.label("instance"), series.label("target"), "the target is the instance: {series:?}");
        assert_eq!(series.label("region"), "eu-west");
        assert_eq!(series.label("exporter"), exporter.address.to_string(), "which vantage it is");
        assert_eq!(series.label("exported_instance"), "");
    }
    let one = prometheus.query("probe_http_status_code{instance=\"shop\", team=\"web\"}").unwrap();
    assert_eq!(one[0].value, 200.0);
    let own = prometheus.query("uptime_exporter_build_info").unwrap();
    assert_eq!(own[0].label("instance"), exporter.address.to_string(), "the exporter's own series are its own");
    assert!(prometheus.query("probe_failure_info").unwrap().is_empty());

    shop.becomes(http().status(500));
    prometheus.wait_until("probe_up == 0", |series| series.len() == 1 && series[0].label("instance") == "shop");
    let reason = prometheus.wait_until("probe_failure_info", |series| series.len() == 1);
    assert_eq!(reason[0].label("reason"), "http_status");
    let alert = prometheus.wait_until("ALERTS{alertname=\"TargetDown\"}", |series| series.len() == 1);
    assert_eq!((alert[0].label("target"), alert[0].label("team")), ("shop", "web"));
    assert_eq!((alert[0].label("region"), alert[0].label("reason")), ("", ""), "one alert over regions and reasons");
    let reason = prometheus.wait_until("target:outage_reason:info", |series| series.len() == 1);
    assert_eq!(reason[0].label("reason"), "http_status");
    let scope = prometheus.wait_until("target:probe_scope:info{target=\"shop\"}", |series| series.len() == 1);
    assert_eq!(scope[0].label("scope"), "global");
    let start = prometheus.wait_until("time() - probe_outage_start_timestamp_seconds", |series| series.len() == 1);
    assert!(start[0].value >= 0.0, "{start:?}");

    shop.becomes(http());
    prometheus.wait_until("probe_up == 1", |series| series.len() == 2);
    prometheus.wait_until("probe_failure_info", <[_]>::is_empty);
    prometheus.wait_until("probe_outage_start_timestamp_seconds", <[_]>::is_empty);
    prometheus.wait_until("ALERTS{alertname=\"TargetDown\"}", <[_]>::is_empty);

    // The story afterwards.
    let value = |query: &str| match &prometheus.query(query).unwrap()[..] {
        [series] => series.value,
        other => panic!("{query}: {other:?}"),
    };
    assert_eq!(value("min_over_time(probe_up{instance=\"shop\"}[10m])"), 0.0);
    assert_eq!(value("min_over_time(probe_up{instance=\"steady\"}[10m])"), 1.0);
    assert_eq!(value("max_over_time(probe_outages_total{instance=\"shop\"}[10m])"), 1.0);
    assert!(value("probe_down_seconds_total{instance=\"shop\"}") > 0.0);
    assert!(value("probe_failures_total{instance=\"shop\", reason=\"http_status\"}") >= 2.0);
    assert_eq!(value("changes(probe_up{instance=\"shop\"}[10m])"), 2.0);
    assert_eq!(value("min_over_time(up[10m])"), 1.0);

    let rules = poll("every rule was evaluated", || {
        let data = prometheus.api("/api/v1/rules")?;
        let rules: Vec<_> = data["groups"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap())
            .cloned()
            .collect();
        if rules.iter().any(|rule| rule["health"] == "unknown") { Err(data.to_string()) } else { Ok(rules) }
    });
    assert!(!rules.is_empty());
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule:#}");
    }
}
