//! What stands behind each route; which there are is in `routing`.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, HOST, ORIGIN, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use super::body::{Body, Content, Counted, Pieces, accepts_gzip, cut};
use super::probe::ProbeEndpoint;
use super::routing::{self, Place};
use super::select::Filter;
use super::text::{Answer, answer, plain, refusal};
use super::watch::InFlight;
use super::{Context, External, Limits, ReloadRequest, Web, api, html, negotiate, runbooks};
use crate::config::{Config, Target, TraceUrl};
use crate::metrics::{Page, Selection, TargetCount};
use crate::state::{Snapshot, TargetSnapshot};
use crate::telemetry::Telemetry;

/// Takes a snapshot of the targets that the predicate keeps.
type Snapshots = Box<dyn Fn(&dyn Fn(&Target) -> bool) -> Snapshot + Send + Sync>;

/// What the routes need, once for all connections.
pub(super) struct Site {
    snapshots: Snapshots,
    telemetry: Arc<Telemetry>,
    config: watch::Receiver<Arc<Config>>,
    reload: mpsc::Sender<ReloadRequest>,
    ready: watch::Receiver<bool>,
    limits: Limits,
    pages: Arc<Semaphore>,
    probe: Arc<ProbeEndpoint>,
    web: Web,
    external: External,
    /// When the exporter began to serve.
    started: SystemTime,
}

const TARGETS: &str = "/api/v1/targets";

impl Site {
    pub(super) fn new(context: Context, limits: Limits) -> Self {
        let (state, dependencies) = (context.state.clone(), context.dependencies.clone());
        let snapshots = move |keep: &dyn Fn(&Target) -> bool| {
            let mut snapshot = state.snapshot(keep);
            dependencies.explain(&mut snapshot, Instant::now());
            snapshot
        };
        Self::with_snapshots(context, limits, Box::new(snapshots))
    }

    /// The seam for tests: snapshots from elsewhere than the context's state.
    pub(super) fn with_snapshots(context: Context, limits: Limits, snapshots: Snapshots) -> Self {
        let Context { state: _, dependencies: _, telemetry, config, reload, ready, probe, web, external } = context;
        let configs = config.clone();
        if let Ok(count) = TargetCount::new(move || configs.borrow().targets.len()) {
            // Registered already when the exporter serves on a second address.
            let _ = telemetry.registry.register(Box::new(count));
        }
        let pages = Arc::new(Semaphore::new(limits.pages));
        let started = SystemTime::now();
        Self { snapshots, telemetry, config, reload, ready, limits, pages, probe, web, external, started }
    }

    pub(super) fn count(&self, status: StatusCode) {
        self.telemetry.http_requests.with_label_values(&[status.as_str()]).inc();
    }

    pub(super) fn web(&self) -> &Web {
        &self.web
    }

    pub(super) fn panicked(&self) {
        self.telemetry.panics.inc();
    }

    fn in_flight(&self) -> &IntGauge {
        &self.telemetry.http_requests_in_flight
    }

    /// Answers one request. Its body is dropped unread.
    pub(super) async fn answer<B>(&self, request: Request<B>, in_flight: InFlight) -> Response<Body> {
        let counted = Counted::new(self.in_flight());
        let (head, _) = request.into_parts();
        let mut answer = match self.web.admit(&head, self.external.strip(head.uri.path())).await {
            Ok(()) => self.route(&head).await,
            Err(refused) => *refused,
        };
        finish(&head, &mut answer);
        self.web.add_headers(answer.headers_mut());
        self.count(answer.status());
        answer.map(|content| Body::new(content, in_flight, counted))
    }

    async fn route(&self, head: &Parts) -> Answer {
        let whole = head.uri.path();
        if let Some(root) = self.external.root(whole) {
            return redirect(&root);
        }
        let Some(path) = self.external.strip(whole) else {
            return refusal(whole, StatusCode::NOT_FOUND, "nothing is here; everything is below --web.route-prefix");
        };
        if let Some(to) = routing::meant(path) {
            return redirect(to);
        }
        let Some((route, rest)) = routing::find(path) else {
            return missing(head, path, &format!("nothing is here; there are {}", routing::all()));
        };
        if !route.takes.has(&head.method) {
            let allowed = route.takes.allow();
            let sentence = format!("this path takes {allowed}");
            let mut answer = refuse(head, path, StatusCode::METHOD_NOT_ALLOWED, &sentence);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            return answer;
        }
        match route.place {
            Place::Index => self.index(head),
            Place::TargetPage => self.target_page(head, path, rest),
            Place::Runbook => self.runbook(head, path, rest),
            Place::Metrics => self.metrics(head),
            Place::Targets => self.targets(head),
            Place::Target => self.target(head, path, rest),
            Place::Probe => self.probe.probe(head).await,
            Place::Logs => self.probe.logs(head),
            Place::Config => self.config(),
            Place::Healthy => plain(StatusCode::OK, "Healthy"),
            Place::Ready => self.ready(),
            Place::Reload => self.reload(&head.headers).await,
        }
    }

    fn metrics(&self, head: &Parts) -> Answer {
        let selection = match Selection::from_query(query(head)) {
            Ok(selection) => selection,
            Err(error) => return plain(StatusCode::BAD_REQUEST, error.to_string()),
        };
        let Some(permit) = self.page_permit() else { return too_many_pages("/metrics") };
        let start = Instant::now();
        let snapshot = (self.snapshots)(&|target| selection.contains(target));
        if !selection.names.is_empty() && snapshot.targets.is_empty() && selection.shard.is_none() {
            let names: Vec<&str> = selection.names.iter().map(String::as_str).collect();
            return plain(StatusCode::NOT_FOUND, format!("no target is named {}", names.join(" or ")));
        }
        let own = if selection.has_own() { self.telemetry.registry.gather() } else { Vec::new() };
        let format = negotiate::format(&head.headers);
        let page = Page::new(format, snapshot, &own).linking(&self.external.targets()).tracing(self.traces());
        self.telemetry.render_seconds.inc_by(start.elapsed().as_secs_f64());
        let mut answer = answer(StatusCode::OK, format.content_type(), self.pieces(page, Some(permit)));
        answer.headers_mut().insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        answer
    }

    fn index(&self, head: &Parts) -> Answer {
        let config = Arc::clone(&self.config.borrow());
        let region = config.region_name.as_deref().or_else(|| config.labels.value("region"));
        let mut view =
            html::View { taken: SystemTime::now(), ready: *self.ready.borrow(), region, started: self.started };
        let query = match html::Query::parse(query(head)) {
            Ok(query) => query,
            Err(problems) => {
                let mut answer = self.html(html::refused(&problems, &view), None);
                *answer.status_mut() = StatusCode::BAD_REQUEST;
                return answer;
            }
        };
        let Some(permit) = self.page_permit() else { return too_many_pages("/") };
        let snapshot = (self.snapshots)(&|_| true);
        view.taken = snapshot.taken;
        let page = html::page(&snapshot, &query, &view);
        self.html(page, Some(permit))
    }

    fn html(&self, page: String, permit: Option<OwnedSemaphorePermit>) -> Answer {
        let mut answer = answer(StatusCode::OK, super::text::HTML, self.pieces(cut(page.into()), permit));
        guard(answer.headers_mut());
        answer
    }

    fn targets(&self, head: &Parts) -> Answer {
        let mut filter = Filter::default();
        for (name, value) in query(head) {
            if let Err(sentence) = filter.take(&name, &value) {
                return refusal(TARGETS, StatusCode::BAD_REQUEST, &sentence);
            }
        }
        let Some(permit) = self.page_permit() else { return too_many_pages(TARGETS) };
        let mut snapshot = (self.snapshots)(&|target| filter.has(target));
        snapshot.targets.retain(|target| filter.has_verdict(target));
        answer(StatusCode::OK, super::text::JSON, self.pieces(api::list(snapshot), Some(permit)))
    }

    fn target(&self, head: &Parts, path: &str, encoded: &str) -> Answer {
        match self.one(head, path, encoded) {
            Ok((target, _)) => {
                super::text::json(StatusCode::OK, &api::Evidence::new(&target).tracing(self.traces().as_deref()))
            }
            Err(answer) => *answer,
        }
    }

    fn target_page(&self, head: &Parts, path: &str, encoded: &str) -> Answer {
        match self.one(head, path, encoded) {
            Ok((target, taken)) => {
                let page = html::target_page(&target, taken, self.traces().as_deref(), &self.external);
                self.html(page, None)
            }
            Err(answer) => *answer,
        }
    }

    /// HTML for browsers, and for everyone else the Markdown as it is: at night people use curl.
    fn runbook(&self, head: &Parts, path: &str, called: &str) -> Answer {
        let (called, wanted) = match called.strip_suffix(".md") {
            Some(called) => (called, negotiate::Text::Markdown),
            None => (called, negotiate::text(&head.headers)),
        };
        let called = if called.is_empty() { "README" } else { called };
        let Some(markdown) = runbooks::find(called) else {
            return missing(head, path, &format!("there is no runbook {called:?}; /runbooks/ lists them"));
        };
        let mut answer = match wanted {
            negotiate::Text::Html => {
                let target = query(head).find(|(name, _)| name == "target").map(|(_, target)| target);
                let known = |name: &str| self.config.borrow().targets.iter().any(|target| target.name.as_str() == name);
                let target = target.filter(|name| known(name));
                self.html(html::runbook(called, markdown, target.as_deref()), None)
            }
            negotiate::Text::Markdown => answer(StatusCode::OK, super::text::MARKDOWN, Content::Whole(markdown.into())),
            negotiate::Text::Plain => answer(StatusCode::OK, super::text::TEXT, Content::Whole(markdown.into())),
        };
        answer.headers_mut().insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        answer
    }

    /// Where traces are to be seen.
    fn traces(&self) -> Option<Arc<TraceUrl>> {
        self.config.borrow().trace_url.clone()
    }

    /// The target of a path, by its percent-encoded name, or why there is none.
    fn one(&self, head: &Parts, path: &str, encoded: &str) -> Result<(TargetSnapshot, SystemTime), Box<Answer>> {
        let Ok(name) = percent_encoding::percent_decode_str(encoded).decode_utf8() else {
            return Err(Box::new(refuse(head, path, StatusCode::BAD_REQUEST, "the name of the target is not UTF-8")));
        };
        let mut snapshot = (self.snapshots)(&|target| target.name.as_str() == name);
        let Some(target) = snapshot.targets.pop() else {
            let sentence = format!("no target is named {name:?}; {TARGETS} lists them");
            return Err(Box::new(missing(head, path, &sentence)));
        };
        Ok((target, snapshot.taken))
    }

    fn config(&self) -> Answer {
        let yaml = self.config.borrow().masked_yaml.clone();
        answer(StatusCode::OK, "text/yaml; charset=utf-8", self.pieces(cut(yaml.into()), None))
    }

    fn ready(&self) -> Answer {
        if *self.ready.borrow() {
            plain(StatusCode::OK, "Ready")
        } else {
            plain(StatusCode::SERVICE_UNAVAILABLE, "Not ready: not every target has been observed once yet.")
        }
    }

    async fn reload(&self, headers: &HeaderMap) -> Answer {
        if is_from_another_site(headers) {
            return plain(StatusCode::FORBIDDEN, "A page of another site may not reload the config.");
        }
        let (reply, result) = oneshot::channel();
        let exchange = async {
            self.reload.send(reply).await.ok()?;
            result.await.ok()
        };
        match timeout(self.limits.reload, exchange).await {
            Ok(Some(Ok(()))) => plain(StatusCode::OK, "The config was loaded."),
            Ok(Some(Err(problems))) => plain(StatusCode::INTERNAL_SERVER_ERROR, problems),
            Ok(None) => {
                plain(StatusCode::INTERNAL_SERVER_ERROR, "The exporter is stopping; the config was not loaded.")
            }
            Err(_) => {
                plain(StatusCode::INTERNAL_SERVER_ERROR, "The reload is still going on; the log will say how it ended.")
            }
        }
    }

    /// Pages hold a snapshot each, so they are bounded in number; `None` when there are enough of them.
    fn page_permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pages).try_acquire_owned().ok()
    }

    fn pieces(
        &self,
        source: impl Iterator<Item = bytes::Bytes> + Send + 'static,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Content {
        Content::Pieces(Pieces::new(source, &self.telemetry, permit, Instant::now() + self.limits.answer))
    }
}

fn redirect(to: &str) -> Answer {
    let mut answer = plain(StatusCode::FOUND, format!("See {to}"));
    if let Ok(to) = HeaderValue::from_str(to) {
        answer.headers_mut().insert(http::header::LOCATION, to);
    }
    answer
}

fn query(head: &Parts) -> url::form_urlencoded::Parse<'_> {
    url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
}

fn too_many_pages(path: &str) -> Answer {
    let sentence = "too many pages are being read at the same time; try again in a bit";
    let mut answer = refusal(path, StatusCode::SERVICE_UNAVAILABLE, sentence);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

fn missing(head: &Parts, path: &str, sentence: &str) -> Answer {
    refuse(head, path, StatusCode::NOT_FOUND, sentence)
}

/// The sentence in the form that whoever asks can read: a page with the routes for browsers, JSON below /api, else text.
fn refuse(head: &Parts, path: &str, status: StatusCode, sentence: &str) -> Answer {
    let mut answer = if !path.starts_with("/api/") && negotiate::text(&head.headers) == negotiate::Text::Html {
        let page = html::elsewhere(path, status, sentence);
        let mut answer = answer(status, super::text::HTML, Content::Whole(page.into()));
        guard(answer.headers_mut());
        answer
    } else {
        refusal(path, status, sentence)
    };
    answer.headers_mut().insert(VARY, HeaderValue::from_name(http::header::ACCEPT));
    answer
}

/// What a page may do: show itself, and nothing from elsewhere.
fn guard(headers: &mut HeaderMap) {
    headers.insert(http::header::CONTENT_SECURITY_POLICY, html::content_security_policy());
    headers.insert(http::header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// Whether a browser sent this for a page of another site. Browsers say so in `Sec-Fetch-Site`, though only to
/// https and localhost, and in `Origin` to everyone; curl and the like send neither.
fn is_from_another_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site")
        && site != "same-origin"
        && site != "none"
    {
        return true;
    }
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let same = origin.to_str().ok().and_then(|origin| origin.split_once("://")).is_some_and(|(_, authority)| {
        headers.get(HOST).and_then(|host| host.to_str().ok()).is_some_and(|host| host.eq_ignore_ascii_case(authority))
    });
    !same
}

/// What is the same for every route: compression, HEAD, headers.
fn finish(head: &Parts, answer: &mut Answer) {
    if matches!(answer.body(), Content::Pieces(_)) {
        answer.headers_mut().entry(VARY).or_insert(HeaderValue::from_name(ACCEPT_ENCODING));
    }
    if accepts_gzip(&head.headers) && answer.body_mut().compress() {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if head.method == Method::HEAD {
        if let Content::Whole(bytes) = answer.body() {
            let length = bytes.len().into();
            answer.headers_mut().insert(CONTENT_LENGTH, length);
        }
        *answer.body_mut() = Content::empty();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_a_page_of_ours_or_no_page_at_all_may_reload() {
        for (pairs, refused) in [
            (&[][..], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("host", "exporter:9815"), ("origin", "http://exporter:9815")], false),
            (&[("host", "exporter:9815"), ("origin", "http://evil.example")], true),
            (&[("host", "exporter:9815"), ("origin", "null")], true),
            (&[("origin", "http://exporter:9815")], true),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            assert_eq!(is_from_another_site(&headers), refused, "{pairs:?}");
        }
    }
}
