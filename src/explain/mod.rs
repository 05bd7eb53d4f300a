//! What would become of a request, and why: `ringway explain`, and the tests that a configuration holds of itself.
//!
//! The data plane's own functions decide ([`dry`]); here a request is made of what a user writes, the listener is found
//! that it would come to, and what was found is put into words. An [`Explanation`] is all that there is to tell: its
//! fields are the keys of `--json`, its [`text`] is for people.
//!
//! Always true: no socket is opened, no name is looked up, and no target is asked.
//!
//! May depend on `http`, `plan`, `upstream`, `config`, `net` (addresses) and `observe` (reasons).

mod cached;
mod explanation;
mod files;
mod guard;
pub mod har;
mod lifecycle;
mod listener;
mod live;
mod notes;
mod onward;
mod parts;
mod passage;
mod request;
mod sticky;
pub mod text;
mod trial;

pub use cached::Cached;
pub use explanation::{Explanation, Header, Path, RouteSeen, RuleSeen};
pub use files::Files;
pub use onward::{Onward, Retries, Target, Timeouts};
pub use passage::Passed;
pub use request::{Request, Unclear};
pub use trial::{Trial, run as try_all};

use crate::config::url::Url;
use crate::http::dry::{self, Question};
use crate::plan::Plan;
use std::net::IpAddr;

/// Says what would become of a request.
///
/// # Errors
/// What is wrong with the request itself, or why no listener takes it.
pub fn explain(plan: &Plan, request: &Request) -> Result<Explanation, Unclear> {
    let url = request.parts()?;
    let name = request.sni.clone().or_else(|| name_to_ask_for(&url));
    if let Some(passed) = passage::explain(plan, &url, request, name.as_deref()) {
        return Ok(guard::look(plan, request, passed));
    }
    let chosen = listener::choose(plan, &url, request.listener.as_deref())?;
    let text = request.head(&url)?;
    let question = Question {
        plan,
        listener: chosen.listener,
        http: chosen.http,
        text: &text,
        peer: request.client.into(),
        port: chosen.port,
        name: name.as_deref(),
        multiplexed: request.http2,
    };
    let course = dry::run(&question);
    let explanation = explanation::tell(request, &url, &question, &chosen.why, &course);
    Ok(guard::look(plan, request, explanation))
}

/// What a client asks for in its handshake: a name, never an address (RFC 6066 §3).
fn name_to_ask_for(url: &Url) -> Option<String> {
    let host = url.host.trim_matches(['[', ']']);
    host.parse::<IpAddr>().is_err().then(|| host.trim_end_matches('.').to_ascii_lowercase())
}
