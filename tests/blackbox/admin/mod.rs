//! What operators ask a running Ringway and tell it, by the socket, by TCP and by the command line.

mod connections;
mod fuzz;
mod guards;
mod operate;
mod read;
mod targets;

use crate::support::client::{Client, Response};
use crate::support::proxy::{Proxy, Setup, ringway};
use serde_json::Value;

/// Who asks, and where.
pub struct Operator {
    pub at: String,
    /// Whole lines that each request carries.
    pub fields: Vec<String>,
}

impl Operator {
    pub fn at(address: impl Into<String>) -> Operator {
        Operator { at: address.into(), fields: Vec::new() }
    }

    pub fn with(mut self, field: impl Into<String>) -> Operator {
        self.fields.push(field.into());
        self
    }

    /// A request with a body in JSON, or with none if that is empty.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Response {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for field in &self.fields {
            text += &format!("{field}\r\n");
        }
        if !body.is_empty() {
            if !self.fields.iter().any(|field| field.to_ascii_lowercase().starts_with("content-type:")) {
                text += "Content-Type: application/json\r\n";
            }
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut client = Client::to(&self.at);
        client.send(format!("{text}\r\n{body}"));
        client.response_to(method).unwrap_or_else(|e| panic!("no response to {method} {path}: {e:?}"))
    }

    /// What is said in JSON, with this status.
    #[track_caller]
    pub fn told(&self, method: &str, path: &str, body: &str, status: u16) -> Value {
        let response = self.ask(method, path, body);
        assert_eq!(response.status, status, "{method} {path} {body}: {}", response.text());
        let kind = response.field("content-type").unwrap_or_default();
        let expected = if status < 400 || path == "/v1/reload" && status == 422 {
            "application/json"
        } else {
            "application/problem+json"
        };
        if status != 204 {
            assert_eq!(kind, expected, "{method} {path}");
        }
        match response.body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&response.body).unwrap_or_else(|e| panic!("{}: {e}", response.text())),
        }
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.told("GET", path, "", 200)
    }

    /// What is wrong, in words.
    #[track_caller]
    pub fn wrong(&self, method: &str, path: &str, body: &str, status: u16) -> String {
        let told = self.told(method, path, body, status);
        assert_eq!(told["status"], status);
        assert!(!told["title"].as_str().unwrap().is_empty());
        told["detail"].as_str().unwrap().to_owned()
    }
}

/// A proxy with an admin socket, a listener on loopback, and a folder for its state.
pub struct Desk {
    pub proxy: Proxy,
    pub operator: Operator,
}

/// `lines` stand in `[admin]`.
pub fn setup(config: &str, lines: &str) -> Setup {
    let setup = Setup::new("");
    let folder = setup.directory().display().to_string();
    let admin = format!("[admin]\nlisten = \"127.0.0.1:0\"\nsocket = \"{folder}/admin.sock\"\n{lines}\n");
    setup.with(admin + config).runtime(&format!("state_dir = \"{folder}/state\""))
}

#[track_caller]
pub fn start(config: &str) -> Desk {
    desk(setup(config, "").start())
}

pub fn desk(proxy: Proxy) -> Desk {
    let socket = proxy.config_file().with_file_name("admin.sock");
    Desk { operator: Operator::at(format!("unix:{}", socket.display())), proxy }
}

impl Desk {
    /// Who asks by TCP.
    pub fn remote(&self) -> Operator {
        Operator::at(self.proxy.admin())
    }

    /// Runs a subcommand for this proxy: exit code, stdout, stderr.
    pub fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let config = self.proxy.config_file().display().to_string();
        ringway(&[arguments, &["-c", &config]].concat())
    }

    /// The same, expected to go well: stdout.
    #[track_caller]
    pub fn runs(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {out}{err}");
        out
    }

    /// Changes the configuration's file.
    pub fn rewrite(&self, change: impl Fn(&str) -> String) {
        let path = self.proxy.config_file();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, change(&text)).unwrap();
    }
}
