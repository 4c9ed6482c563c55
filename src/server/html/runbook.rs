//! Runbooks for browsers. They are Markdown; everyone else gets that.

use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd};

use super::layout::Page;
use super::show::{self, name};

/// `target` is the one from whose page somebody came.
pub(in crate::server) fn runbook(called: &str, markdown: &str, target: Option<&str>) -> String {
    let main = html! {
        nav.crumbs aria-label="Back" {
            @if let Some(target) = target {
                a href=(show::target("../targets/", target)) { "Back to " (name(target)) }
            }
            @if called != "README" { a href="./" { "All runbooks" } }
        }
        article.runbook { (rendered(markdown)) }
    };
    let title = match called {
        "README" => "Runbooks".to_owned(),
        called => format!("{called} - runbook"),
    };
    let foot = html! { p { a href=(format!("{called}.md")) { "The same as Markdown" } } };
    Page { title: &title, root: "../", here: "runbooks/", foot }.render(&main)
}

/// Raw HTML is shown as the text that it is, pictures as their words; links lead to runbooks and to the web, or are none.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is named here is kept back or changed, all else is written as it is"
)]
fn rendered(markdown: &str) -> Markup {
    let mut events = Vec::new();
    // Of the links that are open, whether they are kept.
    let mut links = Vec::new();
    let mut tables = 0;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Html(text) | Event::InlineHtml(text) => events.push(Event::Text(text)),
            Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => {}
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let to = destination(&dest_url);
                links.push(to.is_some());
                if let Some(to) = to {
                    events.push(Event::Start(Tag::Link { link_type, dest_url: to.into(), title, id }));
                }
            }
            Event::End(TagEnd::Link) => {
                if links.pop() == Some(true) {
                    events.push(Event::End(TagEnd::Link));
                }
            }
            // A phone scrolls the table and not the page.
            Event::Start(Tag::Table(alignments)) => {
                tables += 1;
                let region =
                    format!("<div class=\"scroll\" role=\"region\" aria-label=\"Table {tables}\" tabindex=\"0\">");
                events.push(Event::Html(region.into()));
                events.push(Event::Start(Tag::Table(alignments)));
            }
            Event::End(TagEnd::Table) => {
                events.push(Event::End(TagEnd::Table));
                events.push(Event::Html(CowStr::Borrowed("</div>")));
            }
            other => events.push(other),
        }
    }
    let mut out = String::with_capacity(markdown.len() * 2);
    pulldown_cmark::html::push_html(&mut out, events.into_iter());
    PreEscaped(out)
}

/// Where a link of a runbook leads on the exporter. `None`: nowhere that we serve, or somewhere that a link should not lead.
fn destination(url: &str) -> Option<String> {
    if url.starts_with("https://") || url.starts_with("http://") {
        return Some(url.to_owned());
    }
    let (path, fragment) = url.split_once('#').map_or((url, None), |(path, fragment)| (path, Some(fragment)));
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let page = match path.strip_suffix(".md") {
        Some("README") => "./",
        Some(page) if !page.is_empty() && plain(page) => page,
        None if path.is_empty() && fragment.is_some() => "",
        _ => return None,
    };
    match fragment {
        None => Some(page.to_owned()),
        Some(fragment) => plain(fragment).then(|| format!("{page}#{fragment}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::server::runbooks::{RUNBOOKS, find};

    #[test]
    fn links_between_runbooks_lead_where_they_should() {
        let mut seen = 0;
        for (called, text) in RUNBOOKS {
            let page = runbook(called, text, None);
            let article = page.split_once("<article").unwrap().1.split_once("</article>").unwrap().0;
            for link in article.split("href=\"").skip(1) {
                let to = link.split('"').next().unwrap();
                assert!(to == "./" || to.starts_with("http") || find(to).is_some(), "{called}: {to}");
                seen += 1;
            }
            assert_eq!(text.matches("](").count(), article.matches("<a ").count(), "{called} loses no link");
            for tag in ["table", "div", "ul", "pre", "p", "article"] {
                let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
                assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag} of {called}");
            }
        }
        assert!(seen > 50, "{seen}");
    }

    #[test]
    fn nothing_in_it_is_markup_of_its_own() {
        let text = "# a <script>alert(1)</script>\n\n<div onclick=x>\nb\n</div>\n\n<!-- c -->\n\n![d](https://evil.example/x.png) \
                    [e](javascript:alert(1)) [f](data:text/html,x) [g](//evil.example) [h](../secret.md) [i](JAVASCRIPT:x) \
                    [j](<java\nscript:x>) [k](https://example.com/\"onclick=\"x) <https://auto.example> <javascript:x>\n\n\
                    ```html\n<img src=x onerror=y>\n```\n\n| l<b> |\n|---|\n| <i>m</i> |\n";
        let page = rendered(text).into_string();
        for bad in [
            "<script",
            "<div onclick",
            "<!--",
            "<img",
            "javascript:alert",
            "href=\"data",
            "href=\"//",
            "secret",
            "<b>",
            "<i>",
            "href=\"JAVA",
            "\"onclick",
        ] {
            assert!(!page.contains(bad), "{bad}\n{page}");
        }
        for part in [
            "&lt;script&gt;",
            "&lt;img src=x onerror=y&gt;",
            "d e f g h i",
            "href=\"https://auto.example\"",
            "&lt;i&gt;m&lt;/i&gt;",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
    }

    #[test]
    fn links_lead_to_runbooks_and_the_web_alone() {
        for (url, to) in [
            ("tls_expired.md", Some("tls_expired")),
            ("README.md", Some("./")),
            ("tls_expired.md#look-first", Some("tls_expired#look-first")),
            ("#alerts", Some("#alerts")),
            ("https://example.com/x", Some("https://example.com/x")),
            ("../outage-workflow.md", None),
            ("a/b.md", None),
            ("javascript:alert(1)//.md", None),
            ("x:y.md", None),
            ("", None),
            ("#\"", None),
            (".md", None),
        ] {
            assert_eq!(destination(url).as_deref(), to, "{url}");
        }
    }

    #[test]
    fn it_leads_back_to_the_target_that_one_came_from() {
        let page = runbook("tls_expired", "# x", Some("a \"<b>/"));
        assert!(
            page.contains("<a href=\"../targets/a%20%22%3Cb%3E%2F\">Back to <bdi>a &quot;&lt;b&gt;/</bdi></a>"),
            "{page}"
        );
        assert!(page.contains("<a href=\"./\">All runbooks</a>"), "{page}");
        assert!(!runbook("README", "# x", None).contains("All runbooks"));
    }
}
