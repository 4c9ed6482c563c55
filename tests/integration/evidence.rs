//! The page that an alert links to, and the operator's words on it.

use crate::support::exporter::Setup;
use crate::support::peer::http;
use crate::support::peer::http::HttpPeer;

#[test]
fn the_page_of_a_target_tells_the_outage_and_the_notice_that_is_put_beside_it() {
    let peer = HttpPeer::start(None, |request| {
        if request.number > 1 { http().status(503).body("<b>database</b> is gone") } else { http() }
    });
    let exporter = Setup::new(&format!(
        "global: {{interval: 1s, timeout: 1s, confirm: {{failures: 2, retry_interval: 100ms}}, target_files_refresh_interval: 100ms}}
modules:
  http: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}
targets:
  - {{name: shop, target: {}, module: http, display_name: The shop, labels: {{team: web}}}}
notice_files: [notices.yaml]
",
        peer.url()
    ))
    .file("notices.yaml", "")
    .start();
    exporter.wait_until("the shop is down", |page| page.metric("probe_up").target("shop").is(0.0));
    let page = exporter.get("/targets/shop");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap_or_default().to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = page.text();
    for part in [
        "<h1><bdi>The shop</bdi> <span class=\"badge down\">",
        "is-down",
        "<td data-label=\"Latest failure\"><mark>503</mark></td>",
        "http_status",
        "Look first:",
        "<h2>Timeline</h2>",
        "First failure of the outage",
        "&lt;b&gt;database&lt;/b&gt; is gone",
        "Last good run",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(!page.contains("Notice"), "{page}");
    assert_eq!(exporter.get("/targets/nobody").status, 404);

    exporter.write(
        "notices.yaml",
        "- targets: [shop]\n  cause: A disk of the database is full.\n  action: We are making room.\n  next_update: 2026-11-24T12:00Z\n",
    );
    let page = exporter.wait_until("the notice is there", |page| page.metric("probe_notice_info").all().len() == 1);
    page.metric("probe_notice_info")
        .target("shop")
        .label("cause", "A disk of the database is full.")
        .label("action", "We are making room.")
        .label("next_update", "2026-11-24T12:00:00Z")
        .value(1.0);
    assert!(exporter.get("/targets/shop").text().contains("A disk of the database is full."));
    assert_eq!(exporter.target("shop")["notice"]["action"], "We are making room.");
    page.metric("probe_outages_total").target("shop").value(1.0);

    exporter.write("notices.yaml", "");
    exporter.wait_until("the notice is gone", |page| page.metric("probe_notice_info").all().is_empty());
}
