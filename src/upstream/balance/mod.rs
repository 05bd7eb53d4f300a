//! Balancing policies: which target takes the next request.
//!
//! Each policy is a pure type in its own file, owned by one worker: no I/O, no clock (time is passed in, nanoseconds
//! from any fixed start), no lock. In-flight counts come from outside through [`Targets`], summed over all workers.
//! All policies know weights and pass over targets that are not usable; backups take requests only while no other
//! target can. A policy is added by its file and its line in the table below.
//!
//! May use nothing else of the house.

/// The targets of a pool as a policy sees them, by their place in the pool. Places do not change during a balancer's
/// life; all else may change between two picks.
pub trait Targets {
    /// How many there are.
    fn len(&self) -> usize;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The target's share of the traffic, relative to the others'. 0: it takes nothing.
    fn weight(&self, index: usize) -> u32;
    /// Whether it takes requests only while no other target can.
    fn backup(&self, index: usize) -> bool;
    /// Whether it is up and was not tried in this exchange yet.
    fn usable(&self, index: usize) -> bool;
    /// Requests (or connections) that it has in hand, from all workers.
    fn in_flight(&self, index: usize) -> u32;
    /// A hash of its address: the same over reloads, in every worker and on every host.
    fn id(&self, index: usize) -> u64;
}

/// What makes the balancers of several workers differ.
#[derive(Clone, Copy, Debug)]
pub struct Seed {
    /// This worker, from 0.
    pub worker: usize,
    /// All of them, at least 1.
    pub workers: usize,
    /// Any number; with the same one a policy that draws lots repeats itself.
    pub random: u64,
}

/// The targets that may be picked at one time: either all usable ones that are no backups, or all usable backups.
struct Candidates<'a, T> {
    targets: &'a T,
    backups: bool,
}

impl<T: Targets> Candidates<'_, T> {
    /// Over all targets, candidates or not.
    fn len(&self) -> usize {
        self.targets.len()
    }

    /// 0 for what is no candidate.
    #[inline]
    fn weight(&self, index: usize) -> u32 {
        let candidate = self.targets.backup(index) == self.backups && self.targets.usable(index);
        if candidate { self.targets.weight(index) } else { 0 }
    }

    /// All candidates with their weights.
    #[inline]
    fn iter(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        (0..self.len()).map(|index| (index, self.weight(index))).filter(|&(_, weight)| weight > 0)
    }

    #[inline]
    fn in_flight(&self, index: usize) -> u32 {
        self.targets.in_flight(index)
    }

    #[inline]
    fn id(&self, index: usize) -> u64 {
        self.targets.id(index)
    }
}

/// What every policy can do.
trait Policy: Sized {
    fn new(targets: &impl Targets, seed: Seed) -> Self;

    /// A candidate, or `None` if there is none. `key` is what the request is balanced by, if its policy has a key.
    fn pick<T: Targets>(&mut self, candidates: &Candidates<'_, T>, key: u64, now_ns: u64) -> Option<usize>;

    /// Learns how long a target took.
    fn observe(&mut self, _index: usize, _latency_ns: u64, _now_ns: u64) {}
}

/// Declares the policies' modules, [`Kind`], and [`Balancer`] that dispatches to them.
macro_rules! policies {
    ($($(#[$doc:meta])* $name:ident = $module:ident,)+) => {
        $(mod $module;)+

        /// The policies by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$doc])* $name,)+
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Kind] = &[$(Kind::$name,)+];
        }

        /// A worker's balancer of one pool.
        #[derive(Debug)]
        pub enum Balancer {
            $($(#[$doc])* $name($module::$name),)+
        }

        impl Balancer {
            /// A balancer for these targets, for one worker.
            pub fn new(kind: Kind, targets: &impl Targets, seed: Seed) -> Balancer {
                match kind {
                    $(Kind::$name => Balancer::$name(Policy::new(targets, seed)),)+
                }
            }

            /// The target for a request, or `None` if no target can take one. `key` is the hash of what the pool
            /// balances by; only [`Kind::Hash`] looks at it. A request that lacks it should get a random key, else all
            /// such requests share a target.
            pub fn pick(&mut self, targets: &impl Targets, key: u64, now_ns: u64) -> Option<usize> {
                match self {
                    $(Balancer::$name(policy) => pick(policy, targets, key, now_ns),)+
                }
            }

            /// Tells how long target `index` took from sending a request to the head of its response. A failed try
            /// counts too, with what it would have cost the client: at least the time that was left to it.
            pub fn observe(&mut self, index: usize, latency_ns: u64, now_ns: u64) {
                match self {
                    $(Balancer::$name(policy) => policy.observe(index, latency_ns, now_ns),)+
                }
            }
        }
    };
}

policies! {
    /// In turn, smoothly by weight.
    RoundRobin = round_robin,
    /// The one with the fewest requests in flight for its weight.
    LeastConn = least_conn,
    /// The one that is expected to answer first.
    Latency = latency,
    /// The less loaded of two that are drawn by lot.
    Random = random,
    /// Always the same for the same key, unless it is overloaded.
    Hash = hash,
}

fn pick(policy: &mut impl Policy, targets: &impl Targets, key: u64, now_ns: u64) -> Option<usize> {
    if targets.len() == 1 {
        return (targets.usable(0) && targets.weight(0) > 0).then_some(0);
    }
    let mut among = |backups| policy.pick(&Candidates { targets, backups }, key, now_ns);
    among(false).or_else(|| among(true))
}

#[cfg(test)]
mod simulation;
