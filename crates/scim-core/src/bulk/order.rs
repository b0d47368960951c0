//! In what order operations can be run that wait for one another.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Splits operations into units in the order in which to run them. `waits_for` has the operations
/// that each waits for.
///
/// A unit runs after all that it waits for, and otherwise in the order of the request: an operation
/// that refers to a later one is put off, nothing is brought forward. Operations that wait for one
/// another in a circle make one unit, in the order of the request.
pub fn units(waits_for: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let cycles = cycles(waits_for);
    let unit_of: HashMap<usize, usize> = cycles
        .iter()
        .enumerate()
        .flat_map(|(unit, operations)| operations.iter().map(move |operation| (*operation, unit)))
        .collect();
    // For each unit, how many units it still waits for, and which wait for it.
    let mut open: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut waiting: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (operation, others) in waits_for.iter().enumerate() {
        let Some(unit) = unit_of.get(&operation) else {
            continue;
        };
        let open = open.entry(*unit).or_default();
        for other in others.iter().filter_map(|other| unit_of.get(other)) {
            if other != unit {
                open.insert(*other);
                waiting.entry(*other).or_default().insert(*unit);
            }
        }
    }
    let first = |unit: usize| cycles.get(unit).and_then(|all| all.first().copied());
    let mut ready: BTreeSet<(Option<usize>, usize)> = open
        .iter()
        .filter(|(_, others)| others.is_empty())
        .map(|(unit, _)| (first(*unit), *unit))
        .collect();
    let mut order = Vec::with_capacity(cycles.len());
    while let Some((_, unit)) = ready.pop_first() {
        order.extend(cycles.get(unit).cloned());
        for later in waiting.remove(&unit).unwrap_or_default() {
            if let Some(others) = open.get_mut(&later) {
                others.remove(&unit);
                if others.is_empty() {
                    ready.insert((first(later), later));
                }
            }
        }
    }
    order
}

/// The state of an operation in Tarjan's search.
struct Node {
    number: usize,
    /// The least number that is known to be reachable from here, among those still open.
    low: usize,
    open: bool,
}

/// Returns the strongly connected components, each sorted, without recursion: the client chooses
/// the depth.
fn cycles(waits_for: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let mut nodes: HashMap<usize, Node> = HashMap::new();
    let mut stack = Vec::new();
    let mut cycles = Vec::new();
    let none = BTreeSet::new();
    let next_of = |operation: usize| waits_for.get(operation).unwrap_or(&none).iter();
    for root in 0..waits_for.len() {
        if nodes.contains_key(&root) {
            continue;
        }
        let mut path = vec![(root, next_of(root))];
        enter(root, &mut nodes, &mut stack);
        while let Some((operation, rest)) = path.last_mut() {
            let operation = *operation;
            match rest.next() {
                Some(&next) if next >= waits_for.len() => {}
                Some(&next) => match nodes.get(&next).map(|other| (other.open, other.number)) {
                    None => {
                        enter(next, &mut nodes, &mut stack);
                        path.push((next, next_of(next)));
                    }
                    Some((true, number)) => lower(&mut nodes, operation, number),
                    Some((false, _)) => {}
                },
                None => {
                    path.pop();
                    let Some((number, low)) = nodes.get(&operation).map(|n| (n.number, n.low))
                    else {
                        continue;
                    };
                    if let Some((parent, _)) = path.last() {
                        lower(&mut nodes, *parent, low);
                    }
                    if number == low {
                        cycles.push(close(operation, &mut nodes, &mut stack));
                    }
                }
            }
        }
    }
    cycles
}

fn enter(operation: usize, nodes: &mut HashMap<usize, Node>, stack: &mut Vec<usize>) {
    let number = nodes.len();
    nodes.insert(
        operation,
        Node {
            number,
            low: number,
            open: true,
        },
    );
    stack.push(operation);
}

fn lower(nodes: &mut HashMap<usize, Node>, operation: usize, to: usize) {
    if let Some(node) = nodes.get_mut(&operation) {
        node.low = node.low.min(to);
    }
}

/// Takes a whole component from the stack, down to the operation that was entered first.
fn close(first: usize, nodes: &mut HashMap<usize, Node>, stack: &mut Vec<usize>) -> Vec<usize> {
    let mut circle = Vec::new();
    while let Some(operation) = stack.pop() {
        if let Some(node) = nodes.get_mut(&operation) {
            node.open = false;
        }
        circle.push(operation);
        if operation == first {
            break;
        }
    }
    circle.sort_unstable();
    circle
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(waits_for: &[&[usize]], expected: &[&[usize]]) {
        let waits_for: Vec<BTreeSet<usize>> = waits_for
            .iter()
            .map(|others| others.iter().copied().collect())
            .collect();
        assert_eq!(units(&waits_for), expected, "{waits_for:?}");
    }

    #[test]
    fn orders() {
        check(&[], &[]);
        check(&[&[], &[], &[]], &[&[0], &[1], &[2]]);
        // An operation that waits is put off; the others keep their order.
        check(&[&[2], &[], &[]], &[&[1], &[2], &[0]]);
        check(&[&[1], &[2], &[]], &[&[2], &[1], &[0]]);
        check(&[&[3], &[0], &[], &[]], &[&[2], &[3], &[0], &[1]]);
        // Circles.
        check(&[&[0]], &[&[0]]);
        check(&[&[1], &[0]], &[&[0, 1]]);
        check(&[&[2], &[], &[0]], &[&[0, 2], &[1]]);
        check(&[&[1], &[2], &[0, 3], &[]], &[&[3], &[0, 1, 2]]);
        check(&[&[1, 2], &[0], &[3], &[2]], &[&[2, 3], &[0, 1]]);
        check(&[&[7]], &[&[0]]);
    }

    #[test]
    fn a_long_chain_and_many_cycles_are_fast() {
        let count = 30_000;
        let chain: Vec<BTreeSet<usize>> = (0..count)
            .map(|n| (n + 1 < count).then_some(n + 1).into_iter().collect())
            .collect();
        assert_eq!(units(&chain).first(), Some(&vec![count - 1]));
        // Pairs, each waiting for the next.
        let pairs: Vec<BTreeSet<usize>> = (0..count)
            .map(|n| [n ^ 1, n + 2].into_iter().filter(|n| *n < count).collect())
            .collect();
        assert_eq!(units(&pairs).len(), count / 2);
    }

    proptest! {
        #[test]
        fn everything_runs_once_and_after_what_it_waits_for(
            waits_for in prop::collection::vec(prop::collection::btree_set(0_usize..12, 0..4), 0..12)
        ) {
            let units = units(&waits_for);
            let mut all: Vec<usize> = units.iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..waits_for.len()).collect::<Vec<_>>());
            let mut done = BTreeSet::new();
            for unit in &units {
                done.extend(unit.iter().copied());
                for operation in unit {
                    for other in waits_for[*operation].iter().filter(|n| **n < waits_for.len()) {
                        prop_assert!(done.contains(other), "{:?}", units);
                    }
                }
            }
        }
    }
}
