//! What callgrind wrote: instructions by place in the machine code, and the calls between functions.

use std::collections::HashMap;
use std::path::Path;

/// A function in an object file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Function {
    /// The object file.
    pub object: String,
    /// The symbol, as callgrind names it.
    pub name: String,
}

/// One instruction of a function.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site {
    /// The function.
    pub function: Function,
    /// Its address in the object file.
    pub address: u64,
}

/// A call: from where, of what.
pub type Arc = (Site, Function);

/// How often, and what it cost with all that was called from there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calls {
    /// How often.
    pub count: f64,
    /// Instructions.
    pub cost: f64,
}

/// One run, or what one request of it costs.
#[derive(Debug, Default)]
pub struct Profile {
    /// Instructions by site, without those of what was called there.
    pub own: HashMap<Site, f64>,
    /// The calls.
    pub arcs: HashMap<Arc, Calls>,
}

impl Profile {
    /// Reads a file written with `--dump-instr=yes --compress-strings=no --compress-pos=no`.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut profile = Self::default();
        let (mut object, mut name) = (String::new(), String::new());
        let (mut called_object, mut called_name) = (None, String::new());
        let mut call: Option<(f64, Function)> = None;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("calls=") {
                let count = rest.split(' ').next().and_then(|count| count.parse().ok()).expect("a count of calls");
                let object = called_object.take().unwrap_or_else(|| object.clone());
                call = Some((count, Function { object, name: std::mem::take(&mut called_name) }));
            } else if let Some(rest) = line.strip_prefix("0x") {
                let mut words = rest.split(' ');
                let address = words.next().and_then(|word| u64::from_str_radix(word, 16).ok()).expect("an address");
                let cost: f64 = words.nth(1).and_then(|word| word.parse().ok()).unwrap_or(0.0);
                let site = Site { function: Function { object: object.clone(), name: name.clone() }, address };
                match call.take() {
                    Some((count, function)) => {
                        let calls = profile.arcs.entry((site, function)).or_default();
                        calls.count += count;
                        calls.cost += cost;
                    }
                    None => *profile.own.entry(site).or_default() += cost,
                }
            } else if let Some((key, value)) = line.split_once('=') {
                match key {
                    "ob" => object = value.to_owned(),
                    "fn" => name = value.to_owned(),
                    "cob" => called_object = Some(value.to_owned()),
                    "cfn" => called_name = value.to_owned(),
                    _ => {}
                }
            }
        }
        profile
    }

    /// What one request costs, if `longer` served `requests` more than this.
    pub fn per_request(&self, longer: &Self, requests: usize) -> Self {
        let requests = requests as f64;
        let mut own = longer.own.clone();
        for (site, cost) in &self.own {
            *own.entry(site.clone()).or_default() -= cost;
        }
        own.values_mut().for_each(|cost| *cost /= requests);
        let mut arcs = longer.arcs.clone();
        for (arc, calls) in &self.arcs {
            let difference = arcs.entry(arc.clone()).or_default();
            difference.count -= calls.count;
            difference.cost -= calls.cost;
        }
        arcs.values_mut().for_each(|calls| {
            calls.count /= requests;
            calls.cost /= requests;
        });
        own.retain(|_, cost| *cost != 0.0);
        arcs.retain(|_, calls| calls.count != 0.0 || calls.cost != 0.0);
        Self { own, arcs }
    }

    /// All instructions.
    pub fn total(&self) -> f64 {
        self.own.values().sum()
    }
}
