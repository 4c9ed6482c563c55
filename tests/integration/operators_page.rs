//! The page at `/`, as it tells of real runs.

use crate::support::exporter::Setup;
use crate::support::peer::http;
use crate::support::poll;

#[test]
fn the_page_tells_of_real_runs_below_any_prefix_and_keeps_maintenance_apart() {
    let (shop, search) = (http().status(503).start(), http().start());
    let text = format!(
        "global: {{interval: 1s, timeout: 1s, confirm: {{failures: 2, retry_interval: 100ms}}, labels: {{region: eu}}}}
modules: {{http: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}}}
notice_files: [notices.yaml]
maintenance: [{{name: move, targets: [reports], once: {{start: \"2000-01-01T00:00Z\", end: \"2100-01-01T00:00Z\"}}}}]
targets:
  - {{name: shop, display_name: The <shop>, target: {shop}, module: http, labels: {{team: web}}}}
  - {{name: reports, target: {shop}, module: http}}
  - {{name: search, target: {search}, module: http, slow_threshold: 1ms}}
",
        shop = shop.url(),
        search = search.url(),
    );
    let exporter = Setup::new(&text)
        .file("notices.yaml", "- {targets: [shop], cause: A disk is full., next_update: 2100-01-01T12:00:00Z}\n")
        .arg("--web.external-url=https://example.com/uptime/")
        .start();
    let page = poll("the outage and a strip of runs", || {
        let page = exporter.get("/uptime/").text();
        let told = page.contains("<title>1 outage; 1 up") && page.contains(" failed\"");
        if told { Ok(page) } else { Err(page) }
    });
    for part in [
        "1 in maintenance</h1>",
        "<a href=\"targets/shop\"><bdi>The &lt;shop&gt;</bdi></a>",
        "<code>http_status</code>",
        "<a href=\"runbooks/http_status\">Runbook</a>",
        "As seen from <bdi>eu</bdi>",
        "Notice: </strong>A disk is full. <span>Next update: <time datetime=\"2100-01-01T12:00:00.000Z\">",
        "until <time datetime=\"2100-01-01T00:00:00.000Z\">",
        "it is down",
        ">503</td>",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert_eq!(page.matches("<article").count(), 1, "{page}");
    assert!(!page.contains("href=\"/") && !page.contains("action=\"/"), "links are relative: {page}");
    for (query, names) in [
        ("?state=maintenance", &["reports"][..]),
        ("?q=SEARCH", &["search"]),
        ("?label=team:web", &["shop"]),
        ("?sort=-name", &["shop", "search", "reports"]),
    ] {
        let page = exporter.get(&format!("/uptime/{query}")).text();
        let rows: Vec<&str> =
            page.split("data-target=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default()).collect();
        assert_eq!(rows, names, "{query}");
    }
    let refused = exporter.get("/uptime/?state=off");
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("state=&quot;off&quot; is none of down, failing,"), "{}", refused.text());
}
