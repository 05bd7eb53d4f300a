//! A page in headless Chromium, driven by its DevTools protocol: what it shows, what is pressed in it, what it complains of.

use super::proxy::Directory;
use super::{PATIENCE, within};
use base64::Engine as _;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tungstenite::{Message, WebSocket};

/// A browser with one page; dropping it ends it.
pub struct Page {
    process: Child,
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    asked: u64,
    /// Errors and warnings that the console shows.
    pub complaints: Vec<String>,
    _folder: Directory,
}

impl Page {
    /// A browser with an empty page.
    pub fn start() -> Page {
        let folder = Directory::new();
        let mut process = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
            ])
            .args(["--force-color-profile=srgb", "--font-render-hinting=none", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .arg("about:blank")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("chromium is missing: run ./scripts/test once");
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let at = lines.find_map(|line| line.strip_prefix("DevTools listening on ").map(str::to_owned));
        let at = at.expect("chromium says where it listens");
        // What it says later must find a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let host = at.trim_start_matches("ws://").split('/').next().unwrap();
        let stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = tungstenite::client(at.as_str(), stream).unwrap();
        let (session, complaints) = (None, Vec::new());
        let mut page = Page { process, socket, session, asked: 0, complaints, _folder: folder };
        let target = page.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = page.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        page.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        page
    }

    /// Makes the window so large, in CSS pixels.
    pub fn size(&mut self, width: u32, height: u32) {
        let phone = width < 600;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Has the system want light or dark pages.
    pub fn prefers(&mut self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Goes to a URL.
    pub fn go(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// What an expression comes to in the page; promises are waited for.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let told = self.call("Runtime.evaluate", asked);
        assert!(told["exceptionDetails"].is_null(), "{expression}: {}", told["exceptionDetails"]);
        told["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait(&mut self, expression: &str) {
        let came = within(PATIENCE, || {
            std::thread::sleep(Duration::from_millis(40));
            let asked = json!({ "expression": format!("!!({expression})"), "returnByValue": true });
            self.call("Runtime.evaluate", asked)["result"]["value"] == true
        });
        if !came {
            let shown = self.eval("document.body.innerText");
            let complaints = &self.complaints[..self.complaints.len().min(3)];
            panic!("did not come: {expression}\n{complaints:?}\n{}", shown.as_str().unwrap_or_default());
        }
    }

    /// Presses with the mouse what a selector finds, which must be there.
    #[track_caller]
    pub fn press(&mut self, selector: &str) {
        let found = json!(selector);
        self.wait(&format!("document.querySelector({found}) && !document.querySelector({found}).disabled"));
        let place = self.eval(&format!(
            "(() => {{ const it = document.querySelector({found}); it.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Presses a key: "Tab", "Enter", "Escape", " ".
    pub fn key(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            _ => 32,
        };
        let text = match key {
            "Enter" => json!("\r"),
            " " => json!(" "),
            _ => Value::Null,
        };
        let mut event = json!({ "type": "keyDown", "key": key, "windowsVirtualKeyCode": code });
        if !text.is_null() {
            event["text"] = text;
        }
        self.call("Input.dispatchKeyEvent", event.clone());
        (event["type"], event["text"]) = (json!("keyUp"), json!(""));
        self.call("Input.dispatchKeyEvent", event);
    }

    /// Types a text into what has the focus.
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Runs a script of ours in the page, whatever the page's own policy says.
    pub fn bring(&mut self, script: &Path) {
        let text = std::fs::read_to_string(script).unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        self.eval(&format!("{text}; true"));
    }

    /// A picture of what is seen, as PNG; of all of the page if it is said.
    pub fn picture(&mut self, whole: bool) -> Vec<u8> {
        let told = self.call("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": whole }));
        base64::engine::general_purpose::STANDARD.decode(told["data"].as_str().unwrap()).unwrap()
    }

    /// Asks the browser for something.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(message.to_string())).unwrap();
        loop {
            let told = self.socket.read().unwrap_or_else(|error| panic!("{method}: {error}"));
            let Ok(text) = told.to_text() else { continue };
            let Ok(told) = serde_json::from_str::<Value>(text) else { continue };
            if told["id"] == self.asked {
                assert!(told["error"].is_null(), "{method}: {}", told["error"]);
                return told["result"].clone();
            }
            self.hear(&told);
        }
    }

    fn hear(&mut self, event: &Value) {
        let params = &event["params"];
        let complaint = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => params["exceptionDetails"].to_string(),
            Some("Runtime.consoleAPICalled")
                if ["error", "warning", "assert"].contains(&params["type"].as_str().unwrap()) =>
            {
                params["args"].to_string()
            }
            Some("Log.entryAdded") if params["entry"]["level"] == "error" || params["entry"]["level"] == "warning" => {
                params["entry"].to_string()
            }
            _ => return,
        };
        self.complaints.push(complaint);
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
