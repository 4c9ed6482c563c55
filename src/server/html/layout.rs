//! What all pages share: the document around their content, one style sheet, and the policy that allows nothing else.
//!
//! A page is [`Page`] and the markup of its `main`; a style of its own is a file in `style/`, added to [`STYLE`].

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::show::Shown;

/// One for all pages, so that one hash allows it. Classes of states and phases are in `base.css`.
pub(super) const STYLE: &str = concat!(
    include_str!("style/base.css"),
    include_str!("style/index.css"),
    include_str!("style/runbook.css"),
    include_str!("style/target.css")
);

/// One for all pages that are drawn by [`Page::render_live`]: it keeps them fresh, and its buttons copy texts.
pub(super) const SCRIPT: &str = include_str!("script.js");

/// How often the script asks for a page again.
const REFRESH_SECONDS: u32 = 5;

/// Where the script says how fresh a page is, and that the exporter no longer answers.
pub(super) fn live() -> Markup {
    html! {
        p #stale .box.is-down role="alert" data-keep hidden {}
        p #live .muted data-keep hidden {}
    }
}

/// What stands around the content of a page.
pub(super) struct Page<'a> {
    /// For the tab of the browser; may be from outside.
    pub title: &'a str,
    /// How links get to `/`: `""` there, `"../"` one level below. Relative, so that any prefix of the path will do.
    pub root: &'a str,
    /// The entry of the navigation that the page is, by its path.
    pub here: &'a str,
    /// Of what moment the page tells, and what else belongs below it.
    pub foot: Markup,
}

/// Path and words.
const PLACES: [(&str, &str); 6] = [
    ("", "Targets"),
    ("runbooks/", "Runbooks"),
    ("logs", "Runs by request"),
    ("config", "Config"),
    ("metrics", "Metrics"),
    ("api/v1/targets", "JSON"),
];

impl Page<'_> {
    /// The whole document. `main` is trusted to be markup, as whatever maud made is.
    pub(super) fn render(&self, main: &Markup) -> String {
        self.document(main, None)
    }

    /// The same, asked for again every few seconds while somebody looks at it. In `main` there is to be [`live`]. What has
    /// `data-keep` stays as it is. Elements that change their place have an
    /// `id`, `data-target` or `data-key` that is theirs alone among their siblings. A hidden `button` with `data-copy=ID` is shown, and
    /// copies the text of that element.
    pub(super) fn render_live(&self, main: &Markup) -> String {
        self.document(main, Some(REFRESH_SECONDS))
    }

    fn document(&self, main: &Markup, refresh: Option<u32>) -> String {
        let document = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    link rel="icon" href="data:,";
                    title { (Shown(self.title)) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    a.skip href="#content" { "Skip to the content" }
                    header {
                        strong { "uptime_exporter" }
                        nav aria-label="Pages" {
                            ul {
                                @for (path, words) in PLACES {
                                    li {
                                        a href=(self.link(path)) aria-current=[(path == self.here).then_some("page")] {
                                            (words)
                                        }
                                    }
                                }
                            }
                        }
                    }
                    main id="content" tabindex="-1" data-refresh=[refresh] { (main) }
                    footer { (self.foot) }
                    @if refresh.is_some() { script { (PreEscaped(SCRIPT)) } }
                }
            }
        };
        document.into_string()
    }

    fn link(&self, path: &str) -> String {
        match (self.root, path) {
            ("", "") => "./".to_owned(),
            (root, path) => format!("{root}{path}"),
        }
    }
}

/// Nothing but our own style and script: no frames, nothing from elsewhere; forms and requests lead to us.
pub(in crate::server) fn content_security_policy() -> HeaderValue {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
            hash(STYLE),
            hash(SCRIPT)
        );
        HeaderValue::try_from(policy).expect("base64 and ASCII are valid in a header")
    });
    POLICY.clone()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_page_has_its_landmarks_and_says_where_it_is() {
        let page = |root, here| Page { title: "a <b>\u{202e}", root, here, foot: html! { "as of now" } };
        let main = html! { h1 { "x" } };
        let index = page("", "").render(&main);
        assert!(index.starts_with("<!DOCTYPE html><html lang=\"en\"><head>"), "{index}");
        assert!(index.contains("<title>a &lt;b&gt;\u{27e8}U+202E\u{27e9}</title>"), "{index}");
        for part in [
            "<a class=\"skip\" href=\"#content\">",
            "<main id=\"content\" tabindex=\"-1\"><h1>x</h1></main><footer>as of now</footer></body>",
            "<a href=\"./\" aria-current=\"page\">Targets</a>",
            "<a href=\"runbooks/\">Runbooks</a>",
        ] {
            assert!(index.contains(part), "{part}\n{index}");
        }
        let live = page("", "").render_live(&main);
        assert!(
            live.contains("tabindex=\"-1\" data-refresh=\"5\"><h1>x</h1></main><footer>as of now</footer><script>"),
            "{live}"
        );
        assert!(live.ends_with(&format!("{SCRIPT}</script></body></html>")));
        let below = page("../", "runbooks/").render(&main);
        assert!(below.contains("<a href=\"../\">Targets</a>"), "{below}");
        assert!(below.contains("<a href=\"../runbooks/\" aria-current=\"page\">Runbooks</a>"), "{below}");
    }

    #[test]
    fn the_policy_allows_our_style_and_nothing_from_elsewhere() {
        let policy = content_security_policy();
        let policy = policy.to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert!(policy.contains("; script-src 'sha256-") && policy.contains("; connect-src 'self'; "), "{policy}");
        assert!(SCRIPT.len() < 10_000 && !SCRIPT.contains("</"), "{}", SCRIPT.len());
        assert!(
            !STYLE.contains('<') && !STYLE.contains("url(") && !STYLE.contains("@import"),
            "the style needs nothing from elsewhere"
        );
    }

    /// Relative luminance by WCAG 2.2.
    fn luminance(hex: &str) -> f64 {
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    /// The colours of `:root`, light and dark.
    fn colours(dark: bool) -> impl Fn(&str) -> f64 {
        let (light_part, dark_part) = STYLE.split_once("prefers-color-scheme:dark").unwrap();
        move |name: &str| {
            let find = |part: &str| {
                let at = part.find(&format!("--{name}:#"))? + name.len() + 3;
                Some(luminance(&part[at..at + 7]))
            };
            find(if dark { dark_part } else { light_part }).or_else(|| find(light_part)).unwrap()
        }
    }

    #[test]
    fn contrast_is_that_of_level_aa_in_light_and_dark() {
        for dark in [false, true] {
            let colour = colours(dark);
            let contrast = |a: &str, b: &str| {
                let (a, b) = (colour(a), colour(b));
                (a.max(b) + 0.05) / (a.min(b) + 0.05)
            };
            let states = ["down", "failing", "slow", "maintenance", "unknown", "up"];
            for text in ["text", "muted", "link"].into_iter().chain(states) {
                for ground in ["ground", "soft"] {
                    assert!(contrast(text, ground) >= 4.5, "{text} on {ground}, dark: {dark}");
                }
            }
            for state in states {
                assert!(contrast(state, &format!("{state}-soft")) >= 4.5, "{state}, dark: {dark}");
            }
            // Phases have colours that are told apart rather than contrast; each has an edge, and its name beside it.
            assert!(contrast("edge", "ground") >= 3.0, "dark: {dark}: {}", contrast("edge", "ground"));
        }
    }
}
