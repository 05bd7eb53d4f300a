//! The page of an API for those who write programs for it: its operations with what they take and give, its schemas, and a way to try them.
//!
//! What always holds: a page needs nothing but its own script and style; what a description says stands in it as text alone.

use super::{Api, METHODS};
use serde_json::Value;
use std::fmt::Write;

/// The script of all pages.
pub const SCRIPT: &str = include_str!("portal/portal.js");
/// The style of all pages.
pub const STYLE: &str = include_str!("portal/portal.css");
/// What a page may load, and from where.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                          form-action 'none'; frame-ancestors 'none'";

/// The page of an API, whose script, style and description are found below `folder`, which ends in a slash.
pub fn page(api: &Api, folder: &str) -> String {
    let (root, mut out) = (api.document(), String::new());
    let info = |key: &str| root.pointer(&format!("/info/{key}")).and_then(Value::as_str).unwrap_or_default();
    let (title, folder) = (escaped(info("title")), escaped(folder));
    // Writing to a text cannot fail.
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"{folder}portal.css\">\n<script src=\"{folder}portal.js\" defer></script>\n\
         </head>\n<body>\n<header>\n<h1>{title} <small>{}</small></h1>\n<p class=\"text\">{}</p>\n\
         <p><a href=\"{folder}openapi.json\">The description as OpenAPI</a></p>\n\
         <p class=\"key\"><label>Header to try with <input id=\"header-name\" value=\"Authorization\" autocomplete=\"off\"></label>\
         <label>Value <input id=\"header-value\" type=\"password\" autocomplete=\"off\"></label></p>\n</header>\n",
        escaped(info("version")),
        escaped(info("description")),
    );
    let operations: Vec<Shown<'_>> = shown(api);
    out.push_str("<nav>\n<ul>\n");
    for Shown { method, path, operation, number, .. } in &operations {
        let text = |key: &str| operation.get(key).and_then(Value::as_str).unwrap_or_default();
        let (path, summary) = (escaped(path), escaped(text("summary")));
        let _ =
            writeln!(out, "<li><a href=\"#operation-{number}\"><b>{method}</b> <code>{path}</code> {summary}</a></li>");
    }
    out.push_str("</ul>\n</nav>\n<main>\n");
    operations.iter().for_each(|operation| section(root, operation, &mut out));
    let schemas = root.pointer("/components/schemas").and_then(Value::as_object).into_iter().flatten();
    let mut schemas = schemas.peekable();
    if schemas.peek().is_some() {
        out.push_str("<h2>Schemas</h2>\n");
    }
    for (name, schema) in schemas {
        let name = escaped(name);
        let _ = write!(out, "<details id=\"schema-{name}\"><summary>{name}</summary>\n{}</details>\n", json(schema));
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// An operation on a page.
struct Shown<'a> {
    method: &'static str,
    path: String,
    /// What its path has for all methods.
    item: &'a Value,
    operation: &'a Value,
    number: usize,
}

fn shown(api: &Api) -> Vec<Shown<'_>> {
    let root = api.document();
    let items = root.get("paths").and_then(Value::as_object).into_iter().flatten();
    let mut all = Vec::new();
    for (template, item) in items.filter(|(name, _)| !name.starts_with("x-")) {
        let item = followed(root, item);
        for (key, method) in METHODS {
            if let Some(operation) = item.get(key) {
                let path = format!("{}{template}", api.base());
                all.push(Shown { method, path, item, operation, number: all.len() });
            }
        }
    }
    all
}

fn section(root: &Value, shown: &Shown<'_>, out: &mut String) {
    let Shown { method, path, item, operation, number } = shown;
    let text = |of: &Value, key: &str| escaped(of.get(key).and_then(Value::as_str).unwrap_or_default());
    let path = escaped(path);
    let _ = write!(
        out,
        "<section id=\"operation-{number}\">\n<h2><b>{method}</b> <code>{path}</code></h2>\n<p class=\"text\">{}</p>\n\
         <p class=\"text\">{}</p>\n<form class=\"try\" data-method=\"{method}\" data-path=\"{path}\">\n",
        text(operation, "summary"),
        text(operation, "description"),
    );
    let lists = [operation.get("parameters"), item.get("parameters")];
    let parameters: Vec<&Value> =
        lists.into_iter().flatten().filter_map(Value::as_array).flatten().map(|one| followed(root, one)).collect();
    if !parameters.is_empty() {
        out.push_str("<table>\n<tr><th>Parameter</th><th>In</th><th>What it is</th><th>Value</th></tr>\n");
    }
    for parameter in &parameters {
        let (name, place) = (text(parameter, "name"), text(parameter, "in"));
        let mark = if parameter.get("required") == Some(&Value::Bool(true)) { " *" } else { "" };
        let _ = writeln!(
            out,
            "<tr><td><code>{name}</code>{mark}</td><td>{place}</td><td><span class=\"text\">{}</span>{}</td>\
             <td><input name=\"{name}\" data-in=\"{place}\" aria-label=\"{name}\"></td></tr>",
            text(parameter, "description"),
            parameter.get("schema").map(json).unwrap_or_default(),
        );
    }
    if !parameters.is_empty() {
        out.push_str("</table>\n");
    }
    if let Some(body) = operation.get("requestBody").map(|body| followed(root, body)) {
        out.push_str("<h3>Body</h3>\n");
        let contents = body.get("content").and_then(Value::as_object);
        for (media, content) in contents.into_iter().flatten() {
            let schema = content.get("schema").map(json).unwrap_or_default();
            let _ = write!(out, "<p><code>{}</code></p>\n{schema}", escaped(media));
        }
        let first = contents.and_then(|contents| contents.keys().next()).map_or("", String::as_str);
        let _ = writeln!(
            out,
            "<label>Type <input name=\"\" data-in=\"type\" value=\"{}\"></label>\n\
             <textarea data-in=\"body\" rows=\"6\" aria-label=\"body\"></textarea>",
            escaped(first)
        );
    }
    out.push_str("<p><button type=\"submit\">Try it</button></p>\n<pre class=\"answer\" hidden></pre>\n</form>\n");
    let responses = operation.get("responses").and_then(Value::as_object);
    for (status, response) in responses.into_iter().flatten() {
        let response = followed(root, response);
        let (status, described) = (escaped(status), text(response, "description"));
        let _ = writeln!(out, "<p><b>{status}</b> <span class=\"text\">{described}</span></p>");
        for (media, content) in response.get("content").and_then(Value::as_object).into_iter().flatten() {
            let schema = content.get("schema").map(json).unwrap_or_default();
            let _ = write!(out, "<p><code>{}</code></p>\n{schema}", escaped(media));
        }
    }
    out.push_str("</section>\n");
}

/// What stands at a place, or where its reference leads.
fn followed<'v>(root: &'v Value, value: &'v Value) -> &'v Value {
    let pointer = value.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
    pointer.and_then(|pointer| root.pointer(pointer)).unwrap_or(value)
}

/// A schema as it was written, or where it stands if it has a name.
fn json(schema: &Value) -> String {
    let reference = schema.get("$ref").and_then(Value::as_str);
    if let Some(name) = reference.and_then(|text| text.strip_prefix("#/components/schemas/")) {
        let name = escaped(name);
        return format!("<p><a href=\"#schema-{name}\">{name}</a></p>\n");
    }
    let text = serde_json::to_string_pretty(schema).unwrap_or_default();
    format!("<pre>{}</pre>\n", escaped(&text))
}

/// A text that stands for itself in HTML, be it within quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_description_says_is_text_in_its_page() {
        let evil = "\"><script>alert(1)</script>";
        let mut description = json!({
            "openapi": "3.1.0", "info": { "title": evil, "description": evil, "version": evil },
            "paths": { "/a": { "get": { "summary": evil, "parameters": [
                { "name": evil, "in": "query", "description": evil, "schema": { "enum": [evil] } },
            ], "responses": { "200": { "description": evil } } } } },
        });
        description["components"]["schemas"][evil] = json!({ "description": evil });
        let page = page(&Api::new(description, None).unwrap(), "/docs/");
        assert_eq!(page.matches("<script").count(), 1, "{page}");
        assert!(
            page.contains("<script src=\"/docs/portal.js\" defer></script>") && !page.contains("alert(1)</script>")
        );
        assert!(!page.contains("style=") && !page.contains(" on"), "nothing inline");
    }
}
