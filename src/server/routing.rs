//! The table of routes: every path, the methods that it takes, and what is there. A request is matched against it, and whoever
//! asks for something else is answered from it.

use http::Method;

/// What stands behind a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Index,
    TargetPage,
    Runbook,
    Metrics,
    Targets,
    Target,
    Probe,
    Logs,
    Config,
    Healthy,
    Ready,
    Reload,
}

/// Which methods a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Get,
    Post,
}

#[derive(Debug)]
pub(super) struct Route {
    pub(super) place: Place,
    pub(super) takes: Takes,
    /// The whole path, or its beginning where `rest` follows.
    pub(super) path: &'static str,
    /// What follows, as it is called in documentation.
    pub(super) rest: Option<&'static str>,
    /// For people.
    pub(super) what: &'static str,
}

const fn whole(place: Place, path: &'static str, what: &'static str) -> Route {
    Route { place, takes: Takes::Get, path, rest: None, what }
}

const fn below(place: Place, path: &'static str, what: &'static str) -> Route {
    Route { place, takes: Takes::Get, path, rest: Some("NAME"), what }
}

/// In the order in which people are told of them.
pub(super) const ROUTES: &[Route] = &[
    whole(Place::Index, "/", "all targets, what is wrong first"),
    below(Place::TargetPage, "/targets/", "one target: its outages, its last runs, its evidence"),
    below(Place::Runbook, "/runbooks/", "what to do about a reason or an alert"),
    whole(Place::Metrics, "/metrics", "everything for Prometheus"),
    whole(Place::Targets, "/api/v1/targets", "all targets as JSON"),
    below(Place::Target, "/api/v1/targets/", "one target with its evidence as JSON"),
    whole(Place::Probe, "/probe", "one run by request"),
    whole(Place::Logs, "/logs", "the last runs by request"),
    whole(Place::Config, "/config", "the config in force, secrets masked"),
    whole(Place::Healthy, "/-/healthy", "200 while the process serves"),
    whole(Place::Ready, "/-/ready", "200 once every target was observed"),
    Route { place: Place::Reload, takes: Takes::Post, path: "/-/reload", rest: None, what: "loads the config again" },
];

impl Takes {
    /// The value of `Allow`.
    pub(super) fn allow(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
        }
    }

    pub(super) fn has(self, method: &Method) -> bool {
        match self {
            Self::Get => method == Method::GET || method == Method::HEAD,
            Self::Post => method == Method::POST,
        }
    }
}

impl Route {
    /// The path as documentation writes it.
    pub(super) fn shown(&self) -> String {
        format!("{}{}", self.path, self.rest.unwrap_or_default())
    }
}

/// The route of a path, and what follows the route's own.
pub(super) fn find(path: &str) -> Option<(&'static Route, &str)> {
    ROUTES.iter().find_map(|route| {
        let rest = path.strip_prefix(route.path)?;
        (route.rest.is_some() || rest.is_empty()).then_some((route, rest))
    })
}

/// Where somebody is sent, relative to the path, who left out a slash or a name.
pub(super) fn meant(path: &str) -> Option<&'static str> {
    match path {
        "/runbooks" => Some("runbooks/"),
        "/targets" => Some("./"),
        "/targets/" => Some("../"),
        _ => None,
    }
}

/// `/, /targets/NAME, ... and /-/reload`.
pub(super) fn all() -> String {
    let shown: Vec<String> = ROUTES.iter().map(Route::shown).collect();
    match shown.split_last() {
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_path_has_its_route_and_its_methods() {
        for route in ROUTES {
            let shown = route.shown();
            let (found, rest) = find(&shown).unwrap();
            assert_eq!((found.place, rest), (route.place, route.rest.unwrap_or_default()), "{shown}");
        }
        for (path, place, rest) in [
            ("/targets/a%2Fb", Place::TargetPage, "a%2Fb"),
            ("/targets/a/b", Place::TargetPage, "a/b"),
            ("/runbooks/", Place::Runbook, ""),
            ("/api/v1/targets", Place::Targets, ""),
            ("/api/v1/targets/x", Place::Target, "x"),
        ] {
            let (found, left) = find(path).unwrap();
            assert_eq!((found.place, left), (place, rest), "{path}");
        }
        for path in ["", "/metrics/", "/metricsx", "/-/", "/api/v1", "//", "/Metrics", "/targets", "/runbooks"] {
            assert!(find(path).is_none(), "{path}");
        }
        assert!(Takes::Get.has(&Method::HEAD) && !Takes::Get.has(&Method::POST) && !Takes::Post.has(&Method::GET));
    }

    #[test]
    fn all_of_them_are_told() {
        assert!(all().starts_with("/, /targets/NAME, /runbooks/NAME, /metrics, "), "{}", all());
        assert!(all().ends_with("/-/ready and /-/reload"), "{}", all());
    }

    #[test]
    fn the_readme_has_every_route() {
        let readme = include_str!("../../README.md");
        let table = readme.split_once("\n## Endpoints\n").unwrap().1;
        let table = table.split("\n\nThe evidence").next().unwrap();
        for route in ROUTES {
            assert!(table.contains(&format!("`{}`", route.shown())), "{}", route.shown());
        }
    }
}
