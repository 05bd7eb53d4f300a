//! A question for the server: a script, with the keys that it touches and what it is to know.

use redis::{Pipeline, ToRedisArgs, Value, cmd};
use sha1::{Digest, Sha1};
use std::fmt::{self, Write};
use std::sync::OnceLock;

/// A script that the server runs. It is sent whole only to a server that does not know it yet.
#[derive(Debug)]
pub struct Script {
    text: &'static str,
    /// The SHA-1 of the text, which the server knows it by.
    digest: OnceLock<String>,
}

/// A question: what to run, on which keys, with what.
#[derive(Debug)]
pub struct Call {
    script: &'static Script,
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

/// There is no answer: the server is away, or refuses. Whoever asked goes on with what it had; the log and the metrics have been told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away(pub String);

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Script {
    /// That of a text in Lua.
    pub const fn new(text: &'static str) -> Self {
        Self { text, digest: OnceLock::new() }
    }

    fn digest(&self) -> &str {
        self.digest.get_or_init(|| {
            let mut hex = String::with_capacity(40);
            for byte in Sha1::digest(self.text.as_bytes()) {
                let _ = write!(hex, "{byte:02x}");
            }
            hex
        })
    }
}

impl Call {
    /// Runs a script.
    pub fn new(script: &'static Script) -> Self {
        Self { script, keys: Vec::new(), arguments: Vec::new() }
    }

    /// Adds a key that it touches: `KEYS[n]`.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Adds what it is to know: `ARGV[n]`, several for a list.
    pub fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.arguments.extend(argument.to_redis_args());
        self
    }

    /// Adds the question to others that are asked with it: by the name of its script, or with all of it.
    pub(super) fn add_to(&self, pipeline: &mut Pipeline, whole: bool) {
        let mut command = match whole {
            true => cmd("EVAL"),
            false => cmd("EVALSHA"),
        };
        command.arg(if whole { self.script.text } else { self.script.digest() });
        command.arg(self.keys.len()).arg(&self.keys);
        for argument in &self.arguments {
            command.arg(argument.as_slice());
        }
        pipeline.add_command(command);
    }
}

/// Whether the server does not know the script that it was asked for by name.
pub(super) fn is_unknown(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

#[cfg(test)]
mod tests {
    use super::*;

    static SUM: Script = Script::new("return ARGV[1] + ARGV[2]");

    #[test]
    fn a_script_is_asked_for_by_its_name_and_sent_whole_where_it_is_unknown() {
        let call = Call::new(&SUM).key("ringway:x").arg(1).arg(vec!["2", "3"]);
        let text = |whole| {
            let mut pipeline = Pipeline::new();
            call.add_to(&mut pipeline, whole);
            String::from_utf8(pipeline.get_packed_pipeline()).unwrap()
        };
        let rest = "$1\r\n1\r\n$9\r\nringway:x\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n";
        assert_eq!(text(true), format!("*7\r\n$4\r\nEVAL\r\n$24\r\nreturn ARGV[1] + ARGV[2]\r\n{rest}"));
        let named = text(false);
        assert!(named.starts_with("*7\r\n$7\r\nEVALSHA\r\n$40\r\n") && named.ends_with(rest), "{named}");
    }
}
