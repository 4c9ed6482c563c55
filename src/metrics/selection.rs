//! Which targets a page is about: `?target=NAME` and `?shard=K&of=N`.

use std::collections::BTreeSet;

use crate::config::Target;

/// A choice of targets. Both parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these names; empty means any.
    pub names: BTreeSet<String>,
    pub shard: Option<Shard>,
}

/// One of `of` parts of the targets, counted from 0. Every target is in exactly one of them, by its name alone,
/// so adding a target moves no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    of: u32,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    #[error("{name}={value:?} is not a whole number")]
    Number { name: &'static str, value: String },
    #[error("of=0 makes no sense; the targets are split into 1 part or more")]
    NoParts,
    #[error("shard={index} is not one of {of} parts; they are counted from 0 to {last}", last = .of - 1)]
    OutOfRange { index: u32, of: u32 },
    #[error("{present} is given without {absent}; a part of the targets is shard=K&of=N")]
    Half { present: &'static str, absent: &'static str },
    #[error("{0} is given twice")]
    Twice(&'static str),
}

impl Shard {
    /// # Errors
    /// When `index` is not below `of`, or `of` is zero.
    pub fn new(index: u32, of: u32) -> Result<Self, SelectionError> {
        if of == 0 {
            return Err(SelectionError::NoParts);
        }
        if index >= of {
            return Err(SelectionError::OutOfRange { index, of });
        }
        Ok(Self { index, of })
    }

    pub fn contains(self, name: &str) -> bool {
        fnv1a_64(name.as_bytes()) % u64::from(self.of) == u64::from(self.index)
    }
}

/// FNV-1a, its halves folded: stable over versions and machines, which std's hasher does not promise.
fn fnv1a_64(bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    (hash >> 32) ^ (hash & 0xffff_ffff)
}

impl Selection {
    /// Reads the parts of a query. Names other than `target`, `shard` and `of` are left to others.
    ///
    /// # Errors
    /// A sentence for the caller.
    pub fn from_query<'a>(
        pairs: impl IntoIterator<Item = (impl AsRef<str> + 'a, impl AsRef<str> + 'a)>,
    ) -> Result<Self, SelectionError> {
        let mut names = BTreeSet::new();
        let mut index = None;
        let mut of = None;
        for (name, value) in pairs {
            match name.as_ref() {
                "target" => {
                    names.insert(value.as_ref().to_owned());
                }
                "shard" => set(&mut index, "shard", value.as_ref())?,
                "of" => set(&mut of, "of", value.as_ref())?,
                _ => {}
            }
        }
        let shard = match (index, of) {
            (None, None) => None,
            (Some(index), Some(of)) => Some(Shard::new(index, of)?),
            (Some(_), None) => return Err(SelectionError::Half { present: "shard", absent: "of" }),
            (None, Some(_)) => return Err(SelectionError::Half { present: "of", absent: "shard" }),
        };
        Ok(Self { names, shard })
    }

    pub fn contains(&self, target: &Target) -> bool {
        let name = target.name.as_str();
        (self.names.is_empty() || self.names.contains(name)) && self.shard.is_none_or(|shard| shard.contains(name))
    }

    /// Whether the exporter's own families belong on the page: on the whole one, and on the first part of many,
    /// so that all parts together have each series once.
    pub fn has_own(&self) -> bool {
        self.names.is_empty() && self.shard.is_none_or(|shard| shard.index == 0)
    }
}

fn set(slot: &mut Option<u32>, name: &'static str, value: &str) -> Result<(), SelectionError> {
    if slot.is_some() {
        return Err(SelectionError::Twice(name));
    }
    *slot = Some(value.parse().map_err(|_| SelectionError::Number { name, value: value.to_owned() })?);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn parse(query: &str) -> Result<Selection, SelectionError> {
        Selection::from_query(url::form_urlencoded::parse(query.as_bytes()))
    }

    #[test]
    fn a_query_narrows_the_page() {
        assert_eq!(parse("").unwrap(), Selection::default());
        assert_eq!(parse("unrelated=1").unwrap(), Selection::default());
        let selection = parse("target=a&target=b%20c&shard=0&of=1").unwrap();
        assert_eq!(selection.names.into_iter().collect::<Vec<_>>(), ["a", "b c"]);
        assert_eq!(selection.shard, Some(Shard { index: 0, of: 1 }));
    }

    #[test]
    fn a_bad_query_is_answered_with_a_sentence() {
        for (query, sentence) in [
            ("shard=1", "shard is given without of; a part of the targets is shard=K&of=N"),
            ("of=2", "of is given without shard; a part of the targets is shard=K&of=N"),
            ("shard=2&of=2", "shard=2 is not one of 2 parts; they are counted from 0 to 1"),
            ("shard=0&of=0", "of=0 makes no sense; the targets are split into 1 part or more"),
            ("shard=-1&of=2", "shard=\"-1\" is not a whole number"),
            ("shard=&of=2", "shard=\"\" is not a whole number"),
            ("shard=0&of=99999999999", "of=\"99999999999\" is not a whole number"),
            ("shard=0&shard=1&of=2", "shard is given twice"),
        ] {
            assert_eq!(parse(query).unwrap_err().to_string(), sentence, "{query}");
        }
    }

    #[test]
    fn a_name_stays_in_its_shard_for_ever() {
        // Changing this moves every target of every sharded installation to another Prometheus.
        let part = |name: &str| (0..16).find(|index| Shard::new(*index, 16).unwrap().contains(name)).unwrap();
        assert_eq!([part("shop"), part("api"), part("a"), part("b")], [1, 14, 0, 9]);
    }

    #[test]
    fn shards_are_of_like_size() {
        for of in [2, 3, 4, 8] {
            for index in 0..of {
                let shard = Shard::new(index, of).unwrap();
                let count = (0..8000).filter(|n| shard.contains(&format!("target-{n}"))).count() as u32;
                assert!(count * of > 7000 && count * of < 9000, "{index} of {of}: {count}");
            }
        }
    }

    #[test]
    fn own_families_are_on_the_whole_page_and_the_first_shard() {
        assert!(parse("").unwrap().has_own());
        assert!(parse("shard=0&of=3").unwrap().has_own());
        assert!(!parse("shard=1&of=3").unwrap().has_own());
        assert!(!parse("target=a").unwrap().has_own());
    }

    proptest! {
        #[test]
        fn every_name_is_in_exactly_one_shard(name in ".*", of in 1u32..50) {
            let parts = (0..of).filter(|index| Shard::new(*index, of).unwrap().contains(&name)).count();
            prop_assert_eq!(parts, 1);
        }
    }
}
