//! Which target stands behind which: what `depends_on` came to.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// The parents of every target, by their places in [`Config::targets`](super::Config::targets). Acyclic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parents(Vec<Arc<[usize]>>);

impl Parents {
    /// Most parents of one target: on its first failing run, each of them is run.
    pub const MOST: usize = 100;
    /// Most targets that stand behind one another.
    pub const MOST_IN_A_ROW: usize = 32;

    /// `parents` has an entry for each target; places ascend.
    pub(crate) fn new(parents: Vec<Arc<[usize]>>) -> Self {
        if parents.iter().all(|parents| parents.is_empty()) { Self::default() } else { Self(parents) }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that the target at `place` names, not those that they name in turn.
    pub fn of(&self, place: usize) -> &[usize] {
        self.0.get(place).map_or(&[], |parents| parents)
    }
}

/// `from`, and all that is reached from there.
pub(super) fn reachable(from: &[usize], parents: &[Arc<[usize]>]) -> HashSet<usize> {
    let mut seen: HashSet<usize> = from.iter().copied().collect();
    let mut waiting = from.to_vec();
    while let Some(place) = waiting.pop() {
        waiting.extend(parents[place].iter().copied().filter(|parent| seen.insert(*parent)));
    }
    seen
}

/// A cycle for each knot of targets that stand behind one another: the shortest through its first target, which stands at
/// both ends.
pub(super) fn cycles(parents: &[Arc<[usize]>]) -> Vec<Vec<usize>> {
    let (_, tied) = sorted(parents);
    let mut told = HashSet::new();
    let mut cycles = Vec::new();
    for start in tied {
        if !told.contains(&start)
            && let Some(cycle) = cycle_through(start, parents)
        {
            // Whatever else this one reaches is told once that is cut.
            told.extend(reachable(&[start], parents));
            cycles.push(cycle);
        }
    }
    cycles
}

/// The longest chain, child first, when there are too many in a row. `None` as well when there are cycles.
pub(super) fn too_long(parents: &[Arc<[usize]>]) -> Option<Vec<usize>> {
    let (order, tied) = sorted(parents);
    if !tied.is_empty() {
        return None;
    }
    // How many there are from each up to the end, itself included, and by way of whom.
    let mut lengths = vec![(1_usize, None); parents.len()];
    for place in order {
        for parent in parents[place].iter() {
            let length = lengths[*parent].0 + 1;
            if length > lengths[place].0 {
                lengths[place] = (length, Some(*parent));
            }
        }
    }
    // Of several, the first.
    let longest = (0..parents.len()).rev().max_by_key(|place| lengths[*place].0)?;
    let row: Vec<usize> = std::iter::successors(Some(longest), |place| lengths[*place].1).collect();
    (row.len() > Parents::MOST_IN_A_ROW).then_some(row)
}

/// All that lead to no cycle, each after its parents; and the rest, in order.
fn sorted(parents: &[Arc<[usize]>]) -> (Vec<usize>, Vec<usize>) {
    let mut children = vec![Vec::new(); parents.len()];
    let mut open: Vec<usize> = parents.iter().map(|parents| parents.len()).collect();
    for (child, parents) in parents.iter().enumerate() {
        for parent in parents.iter() {
            children[*parent].push(child);
        }
    }
    let mut order: Vec<usize> = (0..parents.len()).filter(|place| open[*place] == 0).collect();
    let mut next = 0;
    while let Some(place) = order.get(next).copied() {
        next += 1;
        for child in &children[place] {
            open[*child] -= 1;
            if open[*child] == 0 {
                order.push(*child);
            }
        }
    }
    let tied = (0..parents.len()).filter(|place| open[*place] > 0).collect();
    (order, tied)
}

/// The shortest way from `start` back to it; `None` when there is none.
fn cycle_through(start: usize, parents: &[Arc<[usize]>]) -> Option<Vec<usize>> {
    let mut came_from: HashMap<usize, usize> = HashMap::new();
    let mut row = VecDeque::from([start]);
    while let Some(place) = row.pop_front() {
        for parent in parents[place].iter().copied() {
            if parent == start {
                let back = std::iter::successors(Some(place), |place| came_from.get(place).copied());
                let mut cycle: Vec<usize> = [start].into_iter().chain(back).collect();
                cycle.reverse();
                return Some(cycle);
            }
            if let Entry::Vacant(vacant) = came_from.entry(parent) {
                vacant.insert(place);
                row.push_back(parent);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn graph(parents: &[&[usize]]) -> Vec<Arc<[usize]>> {
        parents.iter().map(|parents| Arc::from(*parents)).collect()
    }

    #[test]
    fn cycles_of_one_to_five_are_found_and_told_once() {
        for length in 1..=5_usize {
            let ring: Vec<Arc<[usize]>> = (0..length).map(|place| Arc::from([(place + 1) % length])).collect();
            let expected: Vec<usize> = (0..length).chain([0]).collect();
            assert_eq!(cycles(&ring), std::slice::from_ref(&expected), "{length}");
            // Somebody before it, and somebody behind it, are not a part of it.
            let mut more = ring;
            more[0] = more[0].iter().copied().chain([length + 1]).collect();
            more.push(Arc::from([0]));
            more.push(Arc::from([]));
            assert_eq!(cycles(&more), [expected], "{length}");
        }
    }

    #[test]
    fn of_several_cycles_through_a_target_the_shortest_is_told() {
        assert_eq!(cycles(&graph(&[&[1, 3], &[2], &[0], &[0]])), [[0, 3, 0]]);
        assert_eq!(cycles(&graph(&[&[1], &[0], &[3], &[2]])), [[0, 1, 0], [2, 3, 2]], "two knots");
        assert_eq!(cycles(&graph(&[&[1, 2], &[2], &[]])), [[0; 0]; 0], "two ways to one parent are no cycle");
    }

    #[test]
    fn a_row_may_be_so_long_and_no_longer() {
        let row = |length: usize| -> Vec<Arc<[usize]>> {
            (0..length).map(|place| if place + 1 < length { Arc::from([place + 1]) } else { Arc::from([]) }).collect()
        };
        assert_eq!(too_long(&row(Parents::MOST_IN_A_ROW)), None);
        assert_eq!(too_long(&row(Parents::MOST_IN_A_ROW + 1)), Some((0..=Parents::MOST_IN_A_ROW).collect()));
        // Neither the stack nor the clock minds.
        assert_eq!(too_long(&row(100_000)).map(|row| row.len()), Some(100_000));
        assert_eq!(too_long(&[]), None);
    }

    proptest! {
        #[test]
        fn a_graph_has_an_order_or_a_cycle_that_is_one(
            edges in prop::collection::vec(prop::collection::btree_set(0_usize..12, 0..4), 12)
        ) {
            let parents: Vec<Arc<[usize]>> = edges.iter().map(|edges| edges.iter().copied().collect()).collect();
            let (order, tied) = sorted(&parents);
            let found = cycles(&parents);
            prop_assert_eq!(tied.is_empty(), found.is_empty());
            prop_assert_eq!(order.len() + tied.len(), parents.len());
            for (index, place) in order.iter().enumerate() {
                prop_assert!(parents[*place].iter().all(|parent| order[..index].contains(parent)));
            }
            for cycle in found {
                prop_assert!(cycle.len() >= 2 && cycle.first() == cycle.last());
                prop_assert!(cycle.windows(2).all(|step| parents[step[0]].contains(&step[1])));
            }
        }
    }
}
