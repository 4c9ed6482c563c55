//! Tests of whole configs.
#![allow(clippy::unwrap_used)]

use super::*;

fn config(text: &str) -> Result<Config, ConfigErrors> {
    Source::new("config.yaml", text).config_with(&|_| None)
}

#[test]
fn the_least_config_works() {
    let config = config("targets: [{name: a, target: 'https://example.com/'}]").unwrap();
    assert_eq!(config.targets.len(), 1);
}
