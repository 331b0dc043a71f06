use std::collections::VecDeque;
use std::hash::Hash;

use crate::table::Map;

/// A map that forgets what was set longest ago rather than hold more than it may.
pub struct Recent<K, V> {
    limit: usize,
    entries: Map<K, (u64, V)>,
    /// In the order in which they were set; those that were set again since, or removed, count no more.
    order: VecDeque<(u64, K)>,
    next: u64,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            entries: Map::default(),
            order: VecDeque::new(),
            next: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub fn set(&mut self, key: K, value: V) {
        self.next += 1;
        self.entries.insert(key, (self.next, value));
        self.order.push_back((self.next, key));
        while self.entries.len() > self.limit {
            let Some((number, key)) = self.order.pop_front() else {
                break;
            };
            if self.is_current(number, &key) {
                self.entries.remove(&key);
            }
        }
        if self.order.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            self.order
                .retain(|(number, key)| entries.get(key).is_some_and(|(current, _)| current == number));
        }
    }

    pub fn remove(&mut self, key: &K) {
        self.entries.remove(key);
    }

    fn is_current(&self, number: u64, key: &K) -> bool {
        self.entries.get(key).is_some_and(|(current, _)| *current == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_what_was_set_longest_ago() {
        let mut recent = Recent::new(2);
        recent.set('a', 1);
        recent.set('b', 2);
        recent.set('a', 3);
        recent.set('c', 4);
        assert_eq!(
            (recent.get(&'a'), recent.get(&'b'), recent.get(&'c')),
            (Some(&3), None, Some(&4))
        );
        recent.remove(&'a');
        recent.set('d', 5);
        assert_eq!((recent.len(), recent.get(&'c')), (2, Some(&4)));
    }

    #[test]
    fn keeps_no_more_than_it_holds() {
        let mut recent = Recent::new(10);
        for round in 0..10_000 {
            recent.set(round % 7, round);
            recent.remove(&((round + 3) % 7));
        }
        assert!(recent.order.len() <= 2 * recent.len() + 64);
    }
}
