//! Requests out of a HAR file (HTTP Archive 1.2), as browsers save them.

use super::request::{OF_A_CONNECTION, Request, Unclear};
use serde_json::Value;

/// The requests of all entries, each with its position; what of an entry cannot be read, with why.
pub type Entries = Vec<(usize, Result<Request, Unclear>)>;

/// Reads the text of a HAR file. `base` says what is the same for all requests: who connects, and to which listener.
///
/// # Errors
/// It is no HAR.
pub fn read(text: &str, base: &Request) -> Result<Entries, Unclear> {
    // The specification lets a file begin with the mark of UTF-8.
    let json: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| Unclear::new(format!("it is no JSON: {error}"), None))?;
    let Some(entries) = json["log"]["entries"].as_array() else {
        return Err(Unclear::new("it is no HAR: it has no `log.entries`", None));
    };
    Ok(entries.iter().map(|entry| request(&entry["request"], base)).enumerate().collect())
}

fn request(json: &Value, base: &Request) -> Result<Request, Unclear> {
    let text = |key: &str| {
        json[key].as_str().ok_or_else(|| Unclear::new(format!("its request has no `{key}`"), None)).map(str::to_owned)
    };
    let (method, url) = (text("method")?, text("url")?);
    let version = json["httpVersion"].as_str().unwrap_or_default();
    let http2 = ["h2", "http/2", "http/2.0", "h3", "http/3"].iter().any(|known| version.eq_ignore_ascii_case(known));
    let mut headers = Vec::new();
    for header in json["headers"].as_array().into_iter().flatten() {
        let (Some(name), Some(value)) = (header["name"].as_str(), header["value"].as_str()) else {
            return Err(Unclear::new("its request has a header without `name` or `value`", None));
        };
        // Browsers list what their HTTP/2 has in place of a request line and a Host, and what it does not have.
        let listed = http2 && OF_A_CONNECTION.contains(&&*name.to_ascii_lowercase());
        match name {
            _ if name.eq_ignore_ascii_case("host") && headers.iter().any(|(name, _)| name == "host") => {}
            ":authority" => headers.push(("host".to_owned(), value.to_owned())),
            _ if name.starts_with(':') || listed => {}
            _ => headers.push((name.to_owned(), value.to_owned())),
        }
    }
    Ok(Request { method, url, headers, http2, ..base.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_save_is_what_they_sent() {
        let text = r#"{"log": {"version": "1.2", "entries": [
            {"request": {"method": "POST", "url": "https://a.test/x", "httpVersion": "h2", "headers": [
                {"name": ":authority", "value": "a.test"}, {"name": ":path", "value": "/x"},
                {"name": "Connection", "value": "keep-alive"}, {"name": "cookie", "value": "a=b"}]}},
            {"request": {"method": "GET", "url": "http://a.test/", "httpVersion": "HTTP/1.1", "headers": [
                {"name": "Connection", "value": "keep-alive"}]}},
            {"request": {"method": "GET"}}
        ]}}"#;
        let entries = read(&format!("\u{feff}{text}"), &Request::get("")).unwrap();
        let [(0, Ok(first)), (1, Ok(second)), (2, Err(third))] = &entries[..] else { panic!("{entries:?}") };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(first.headers, [pair("host", "a.test"), pair("cookie", "a=b")]);
        assert_eq!((first.http2, &*first.method, &*first.url), (true, "POST", "https://a.test/x"));
        assert_eq!((second.http2, &second.headers[..]), (false, &[pair("Connection", "keep-alive")][..]));
        assert_eq!(third.what, "its request has no `url`");
    }

    #[test]
    fn what_is_no_har_is_told() {
        let fault = |text: &str| read(text, &Request::get("")).unwrap_err().what;
        assert!(fault("<har>").starts_with("it is no JSON: "), "{}", fault("<har>"));
        assert_eq!(fault("{\"log\": {}}"), "it is no HAR: it has no `log.entries`");
    }
}
