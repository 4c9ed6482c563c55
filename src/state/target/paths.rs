//! The ways to a target, as far as they were traced.

use std::sync::Arc;

use crate::observation::{GoodPath, Path, Trace};

/// So many good ways are kept of a target.
const MOST_GOOD: usize = 4;

/// One pointer, since few targets have any.
#[derive(Clone, Default)]
pub(super) struct Paths(Option<Box<Known>>);

#[derive(Clone, Default)]
struct Known {
    latest: Option<Arc<Path>>,
    is_current: bool,
    good: Vec<Arc<GoodPath>>,
}

impl Paths {
    pub(super) fn new(latest: Option<Arc<Path>>, is_current: bool, good: Vec<Arc<GoodPath>>) -> Self {
        let some = latest.is_some() || !good.is_empty();
        Self(some.then(|| Box::new(Known { latest, is_current, good })))
    }

    /// The way of the failing series that goes on, or of one before.
    pub(super) fn latest(&self) -> Option<&Arc<Path>> {
        self.0.as_ref()?.latest.as_ref()
    }

    /// Whether the latest is that of the failing series that goes on.
    pub(super) fn is_current(&self) -> bool {
        self.0.as_ref().is_some_and(|known| known.is_current)
    }

    /// The way of the failing series that goes on, when it was traced.
    pub(super) fn current(&self) -> Option<&Trace> {
        match self.latest()?.as_ref() {
            Path::Traced(trace) if self.is_current() => Some(trace),
            Path::Traced(_) | Path::Untraced(_) => None,
        }
    }

    /// Whether the way of the failing series that goes on is still to be traced.
    pub(super) fn lacks_current(&self) -> bool {
        match self.latest().map(AsRef::as_ref) {
            Some(Path::Traced(_)) => !self.is_current(),
            Some(Path::Untraced(untraced)) => !self.is_current() || untraced.again,
            None => true,
        }
    }

    pub(super) fn good(&self) -> &[Arc<GoodPath>] {
        self.0.as_ref().map_or(&[], |known| &known.good)
    }

    pub(super) fn set_current(&mut self, path: Path) {
        let known = self.0.get_or_insert_default();
        known.latest = Some(Arc::new(path));
        known.is_current = true;
    }

    /// The failing series is over.
    pub(super) fn end_series(&mut self) {
        if let Some(known) = &mut self.0 {
            known.is_current = false;
        }
    }

    /// Without what an unconfirmed series has found out.
    pub(super) fn handed_on(&self, confirmed: bool) -> Self {
        let mut next = self.clone();
        if !confirmed {
            next.end_series();
        }
        next
    }

    /// One more way on which the target answered; it becomes the first.
    pub(super) fn add_good(&mut self, path: GoodPath) {
        let good = &mut self.0.get_or_insert_default().good;
        let before = good.iter().position(|known| known.leads_where(path.to, path.port, path.protocol));
        let path = match before {
            Some(index) => good.remove(index).renewed(path),
            None => path,
        };
        good.insert(0, Arc::new(path));
        good.truncate(MOST_GOOD);
    }
}
