//! Refusals for browsers: what is not here or not allowed, and what there is instead.

use maud::html;

use super::layout::Page;
use super::show::{Shown, name};
use crate::server::routing::{ROUTES, Route, Takes};

/// From deeper paths no links lead back: they would be longer than the page.
const DEEPEST: usize = 16;

/// `path` is that of the request, below the prefix.
pub(in crate::server) fn elsewhere(path: &str, status: http::StatusCode, sentence: &str) -> String {
    let depth = path.matches('/').count().saturating_sub(1);
    let root = "../".repeat(depth.min(DEEPEST));
    let title = status.to_string();
    // One that is asked for by a name is not to be linked to without.
    let leads = |route: &Route| depth <= DEEPEST && route.takes == Takes::Get;
    let to = |route: &Route| match route.path.trim_start_matches('/') {
        "" | "targets/" if root.is_empty() => "./".to_owned(),
        "targets/" => root.clone(),
        "api/v1/targets/" => format!("{root}api/v1/targets"),
        path => format!("{root}{path}"),
    };
    let main = html! {
        h1 { (title) }
        p { (Shown(sentence)) }
        p { "Asked for: " (name(path)) }
        h2 { "What there is" }
        ul {
            @for route in ROUTES {
                li {
                    @if leads(route) { a href=(to(route)) { code { (route.shown()) } } } @else { code { (route.shown()) } }
                    ": " (route.what) @if route.takes == Takes::Post { " (POST)" }
                }
            }
        }
    };
    Page { title: &title, root: &root, here: "-", foot: html! {} }.render(&main)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn it_leads_back_from_any_depth() {
        for (path, link) in [
            ("/x", "href=\"./\"><code>/</code>"),
            ("/x", "href=\"runbooks/\"><code>/runbooks/NAME</code>"),
            ("/a/b/c", "href=\"../../runbooks/\">"),
            ("/a/b/c", "href=\"../../\"><code>/targets/NAME</code>"),
            ("/api/v3/", "href=\"../../api/v1/targets\">"),
        ] {
            let page = elsewhere(path, StatusCode::NOT_FOUND, "nothing is here");
            assert!(page.contains(link), "{path} {link}\n{page}");
            assert!(page.contains("<h1>404 Not Found</h1>"), "{page}");
        }
        let deep = elsewhere(&"/x".repeat(20_000), StatusCode::NOT_FOUND, "nothing is here");
        assert!(!deep.contains("</code></a>"), "no links of kilobytes");
    }

    #[test]
    fn what_was_asked_for_is_no_markup() {
        let page = elsewhere("/<script>alert(1)</script>\"'&\u{202e}", StatusCode::NOT_FOUND, "no \"<b>\"");
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains('\u{202e}'), "{page}");
    }
}
