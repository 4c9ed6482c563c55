//! What explains that targets fail: the fact that those which fail share and others do not.
//!
//! Reads what `state` knows, writes explanations there; probers and schedule know nothing of it.

pub mod find;
