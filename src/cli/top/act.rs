//! What keys change.

use crate::cli::ask::{Line, Trouble, encoded};
use crate::control::admin::view::{Changed, PatchTarget};
use crate::control::overrides::{State, Until};
use hyper::Method;

/// A change of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its pool.
    pub pool: String,
    /// Its address.
    pub target: String,
    /// What is wanted.
    pub want: Want,
}

/// What is wanted of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// To be in this state.
    State(State),
    /// To have this weight.
    Weight(u32),
    /// To be what the configuration says.
    Reset,
}

impl Change {
    /// The question that goes before it.
    pub fn question(&self) -> String {
        let Self { pool, target, want } = self;
        match want {
            Want::State(State::Ready) => format!("Use {target} of pool {pool} again?"),
            Want::State(State::Drain) => format!("Drain {target} of pool {pool}: nothing new goes to it?"),
            Want::State(State::Maintenance) => format!("Take {target} of pool {pool} out of use?"),
            Want::Weight(weight) => format!("Give {target} of pool {pool} the weight {weight}?"),
            Want::Reset => format!("Make {target} of pool {pool} what the configuration says?"),
        }
    }
}

/// Has Ringway carry it out, and says what came of it.
///
/// # Errors
/// Why nothing did.
pub fn carry_out(line: &Line, change: &Change) -> Result<String, Trouble> {
    let Change { pool, target, want } = change;
    let (pool, target) = (encoded(pool), encoded(target));
    let patch = |state: Option<State>, weight: Option<u32>| PatchTarget {
        state,
        weight: weight.map(Some),
        agent: None,
        until: Until::Forever,
    };
    let of_target = format!("/v1/pools/{pool}/targets/{target}");
    let answer = match *want {
        Want::State(state) => line.ask(Method::PATCH, &of_target, Some(&patch(Some(state), None)))?,
        Want::Weight(weight) => line.ask(Method::PATCH, &of_target, Some(&patch(None, Some(weight))))?,
        Want::Reset => line.ask(Method::DELETE, &format!("/v1/overrides/{pool}/{target}"), None::<&()>)?,
    };
    let Changed { changes, .. } = answer.good()?;
    let told: Vec<String> = changes.iter().map(ToString::to_string).collect();
    Ok(if told.is_empty() { "nothing to change".to_owned() } else { told.join("; ") })
}
