//! The pages for people. `layout` is the document around all of them, `show` how single facts are shown; `index` is the list at `/`,
//! `target` the page of one target, `runbook` what to do, `elsewhere` what there is instead of what was asked for. Everything from outside is escaped by maud or by [`show::Shown`].

mod elsewhere;
mod index;
mod layout;
mod runbook;
mod show;
mod target;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

pub(super) use elsewhere::elsewhere;
pub(super) use index::{Query, View, page, refused};
pub(super) use layout::content_security_policy;
pub(super) use runbook::runbook;
pub(super) use target::page as target_page;

/// In a path segment, RFC 3986 section 3.3: all but unreserved characters are encoded.
pub(super) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
