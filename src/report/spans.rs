//! Sets of moments, as the stretches of time that they fill.

/// Half-open stretches in order, none touching another. Unix seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Spans(Vec<(f64, f64)>);

impl Spans {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.0.iter().copied()
    }

    pub(crate) fn first(&self) -> Option<f64> {
        self.0.first().map(|(from, _)| *from)
    }

    /// Adds a stretch. What begins before others end is joined with them.
    pub(crate) fn add(&mut self, from: f64, to: f64) {
        if to <= from {
            return;
        }
        let first = self.0.partition_point(|(_, end)| *end < from);
        let last = self.0.partition_point(|(start, _)| *start <= to);
        let (mut from, mut to) = (from, to);
        for (start, end) in self.0.drain(first..last) {
            from = from.min(start);
            to = to.max(end);
        }
        self.0.insert(first, (from, to));
    }

    pub(crate) fn overlaps(&self, from: f64, to: f64) -> bool {
        self.0.iter().any(|(start, end)| *start < to && *end > from)
    }
}

/// How many seconds two stretches share.
pub(crate) fn overlap(one: (f64, f64), other: (f64, f64)) -> f64 {
    (one.1.min(other.1) - one.0.max(other.0)).max(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stretches_that_touch_are_one() {
        let mut spans = Spans::default();
        for (from, to) in [(10.0, 20.0), (40.0, 50.0), (20.0, 25.0), (60.0, 60.0), (45.0, 47.0), (5.0, 9.0)] {
            spans.add(from, to);
        }
        assert_eq!(spans.iter().collect::<Vec<_>>(), [(5.0, 9.0), (10.0, 25.0), (40.0, 50.0)]);
        spans.add(8.0, 45.0);
        assert_eq!(spans.iter().collect::<Vec<_>>(), [(5.0, 50.0)]);
        assert!(spans.overlaps(49.0, 60.0) && !spans.overlaps(50.0, 60.0));
        assert_eq!((overlap((0.0, 5.0), (3.0, 9.0)), overlap((0.0, 5.0), (6.0, 9.0))), (2.0, 0.0));
    }

    proptest! {
        #[test]
        fn a_moment_is_in_the_set_exactly_when_a_stretch_had_it(
            stretches in prop::collection::vec((0_u8..60, 0_u8..12), 0..12),
        ) {
            let mut spans = Spans::default();
            for (from, length) in &stretches {
                spans.add(f64::from(*from), f64::from(*from) + f64::from(*length));
            }
            for second in 0_u8..80 {
                let there = stretches.iter().any(|(from, length)| (*from..*from + *length).contains(&second));
                let moment = f64::from(second);
                prop_assert_eq!(spans.overlaps(moment, moment + 1.0), there);
            }
            let all: Vec<_> = spans.iter().collect();
            prop_assert!(all.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
