//! Which node to ask: health, back-off and load of the nodes of a cluster, without any I/O.
//!
//! ```text
//!            failed                    the wait is over
//!   +----+ ---------> +------+ --------------------------> +---------+
//!   | up |            | down |                             | on trial| one request at a time
//!   +----+ <--------- +------+ <-------------------------- +---------+
//!            worked                      failed
//! ```
//!
//! Any node of a Riak cluster answers any request, so the least busy one that is up is asked; how many it is given at once is
//! for a connection pool to limit. A node that failed is left alone for
//! a while that grows with each failure, then one request tries it. When every node is down, the one whose wait ends first is
//! asked all the same: a client with nothing better to do tells the news, not what it remembers.

use alloc::vec::Vec;

use glowplug_core::{Backoff, BackoffConfig, Instant, Seed};

/// The nodes of a cluster, as their client sees them.
///
/// ```
/// use glowplug_core::{BackoffConfig, Instant, Seed};
/// use glowplug_riak::nodes::{Nodes, Outcome};
///
/// let mut nodes = Nodes::new(2, BackoffConfig::default(), &Seed::from_u64(1));
/// let ticket = nodes.pick(Instant::ZERO, &[]).unwrap();
/// nodes.release(Instant::ZERO, ticket, Outcome::Failed);
/// let next = nodes.pick(Instant::ZERO, &[]).unwrap();
/// assert_ne!(next.node(), ticket.node());
/// ```
#[derive(Debug)]
pub struct Nodes {
    all: Vec<Node>,
    /// Where the search among equals starts.
    next: usize,
}

#[derive(Debug)]
struct Node {
    in_use: usize,
    backoff: Backoff,
    /// Until when it is left alone; `None` while it is up.
    down_until: Option<Instant>,
    /// A request is trying it.
    on_trial: bool,
    /// Failures so far. Requests that were on their way when it failed must not count it again.
    failures: u32,
}

impl Node {
    fn may_be_asked(&self, now: Instant) -> bool {
        self.down_until.is_none_or(|until| until <= now && !self.on_trial)
    }
}

/// The right to ask one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a node that is not released stays in use"]
pub struct Ticket {
    node: usize,
    /// The node's failures when the ticket was given.
    failures: u32,
}

impl Ticket {
    /// Which node, by its place in the list.
    pub fn node(self) -> usize {
        self.node
    }
}

/// What using a node showed of its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered, if only with an error.
    Worked,
    /// It could not be connected to, or it dropped a connection that had just been made.
    Failed,
    /// Neither: nobody waited for the end.
    Unknown,
}

impl Nodes {
    /// So many nodes, all of them up as far as anybody knows.
    pub fn new(count: usize, backoff: BackoffConfig, seed: &Seed) -> Self {
        // Giving up is not for nodes: they come back.
        let backoff = BackoffConfig { attempts: None, ..backoff };
        let mut rng = seed.rng();
        let node = |_| Node {
            in_use: 0,
            backoff: Backoff::new(backoff, &rng.seed()),
            down_until: None,
            on_trial: false,
            failures: 0,
        };
        let all: Vec<Node> = (0..count).map(node).collect();
        // Many clients with one list of nodes must not all begin with the first.
        let next = rng.below(count.max(1) as u64) as usize;
        Self { all, next }
    }

    /// Picks a node for one request, to be [released](Self::release), but none of `avoid`. `None` when that leaves nobody.
    pub fn pick(&mut self, now: Instant, avoid: &[usize]) -> Option<Ticket> {
        let count = self.all.len();
        let candidates = || (0..count).map(|n| (self.next + n) % count).filter(|node| !avoid.contains(node));
        let healthy = candidates().filter(|&node| self.all[node].may_be_asked(now));
        let least_busy = healthy.min_by_key(|&node| self.all[node].in_use);
        let chosen = match least_busy {
            Some(node) => node,
            None => candidates().min_by_key(|&node| self.all[node].down_until)?,
        };
        self.next = (chosen + 1) % count;
        let node = &mut self.all[chosen];
        node.in_use += 1;
        node.on_trial = node.down_until.is_some();
        Some(Ticket { node: chosen, failures: node.failures })
    }

    /// The request is done with its node.
    pub fn release(&mut self, now: Instant, ticket: Ticket, outcome: Outcome) {
        let Some(node) = self.all.get_mut(ticket.node) else { return };
        node.in_use = node.in_use.saturating_sub(1);
        match outcome {
            Outcome::Worked => {
                node.backoff.succeeded();
                node.down_until = None;
                node.on_trial = false;
            }
            Outcome::Failed if ticket.failures == node.failures => {
                node.failures = node.failures.wrapping_add(1);
                node.down_until = node.backoff.failed(now);
                node.on_trial = false;
            }
            Outcome::Unknown if ticket.failures == node.failures => node.on_trial = false,
            // What was on its way when the node failed says nothing new.
            Outcome::Failed | Outcome::Unknown => {}
        }
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// True when there is no node at all.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// True unless the node has failed and has not worked since.
    pub fn is_up(&self, node: usize) -> bool {
        self.all.get(node).is_some_and(|node| node.down_until.is_none())
    }

    /// How many requests use the node now.
    pub fn in_use(&self, node: usize) -> usize {
        self.all.get(node).map_or(0, |node| node.in_use)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn nodes(count: usize) -> Nodes {
        Nodes::new(count, BackoffConfig::default(), &Seed::from_u64(7))
    }

    fn picked(nodes: &mut Nodes, now: Instant, avoid: &[usize]) -> Ticket {
        nodes.pick(now, avoid).expect("somebody is left")
    }

    #[test]
    fn the_least_busy_is_asked() {
        let (mut nodes, now) = (nodes(3), Instant::ZERO);
        let tickets: Vec<Ticket> = (0..6).map(|_| picked(&mut nodes, now, &[])).collect();
        let use_of: Vec<usize> = (0..3).map(|node| nodes.in_use(node)).collect();
        assert_eq!(use_of, [2, 2, 2]);
        nodes.release(now, tickets[4], Outcome::Worked);
        assert_eq!(picked(&mut nodes, now, &[]).node(), tickets[4].node());
        assert_eq!(nodes.pick(now, &[0, 1, 2]), None);
    }

    #[test]
    fn a_node_that_failed_rests_and_is_tried_by_one() {
        let (mut nodes, now) = (nodes(2), Instant::ZERO);
        let failed = picked(&mut nodes, now, &[1]);
        nodes.release(now, failed, Outcome::Failed);
        assert!(!nodes.is_up(0) && nodes.is_up(1));
        for _ in 0..4 {
            assert_eq!(picked(&mut nodes, now, &[]).node(), 1);
        }
        let later = now + Duration::from_millis(50);
        let trial = picked(&mut nodes, later, &[]);
        assert_eq!(trial.node(), 0);
        assert_eq!(picked(&mut nodes, later, &[]).node(), 1, "one trial at a time");
        nodes.release(later, trial, Outcome::Worked);
        assert!(nodes.is_up(0));
        assert_eq!(picked(&mut nodes, later, &[]).node(), 0);
    }

    #[test]
    fn one_end_that_many_see_is_one_failure() {
        let (mut nodes, now) = (nodes(2), Instant::ZERO);
        let tickets: Vec<Ticket> = (0..20).map(|_| picked(&mut nodes, now, &[1])).collect();
        for ticket in tickets {
            nodes.release(now, ticket, Outcome::Failed);
        }
        let _busy = picked(&mut nodes, now, &[0]);
        // After one failure the wait is 50 ms at most; after twenty it would be 30 s.
        assert_eq!(picked(&mut nodes, now + Duration::from_millis(50), &[]).node(), 0);
    }

    #[test]
    fn with_everybody_down_somebody_is_asked() {
        let (mut nodes, now) = (nodes(2), Instant::ZERO);
        for node in 0..2 {
            let ticket = picked(&mut nodes, now, &[1 - node]);
            nodes.release(now, ticket, Outcome::Failed);
        }
        let first = picked(&mut nodes, now, &[]);
        nodes.release(now, first, Outcome::Failed);
        let second = picked(&mut nodes, now, &[]);
        assert_ne!(first.node(), second.node(), "its wait is the shorter one now");
    }

    #[test]
    fn a_trial_that_nobody_waited_for_can_be_made_again() {
        let (mut nodes, now) = (nodes(1), Instant::ZERO);
        let failed = picked(&mut nodes, now, &[]);
        nodes.release(now, failed, Outcome::Failed);
        let later = now + Duration::from_secs(1);
        let trial = picked(&mut nodes, later, &[]);
        nodes.release(later, trial, Outcome::Unknown);
        assert_eq!((nodes.is_up(0), nodes.in_use(0)), (false, 0));
        assert_eq!(picked(&mut nodes, later, &[]).node(), 0);
    }
}
