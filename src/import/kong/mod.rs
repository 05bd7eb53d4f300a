//! kong.yml, a file of decK or of a Kong without a database: services and routes, upstreams, consumers, plugins.
//!
//! May depend on the rest of `import`.

mod consumers;
mod plugins;
mod routes;
mod services;
mod tree;

use super::draft::{Draft, Table, Value};
use super::report::{Ledger, Report};
use super::{Around, Wrong};
use std::collections::BTreeMap;
use tree::{Node, carried, others};

/// All that a translation is made with and of.
struct Work<'a> {
    ledger: Ledger,
    draft: Draft,
    around: &'a dyn Around,
    /// Upstreams by their names.
    upstreams: BTreeMap<String, Node>,
    /// Whether certificates are there, and TLS ends here.
    secure: bool,
}

/// Translates a file.
pub(super) fn import(name: &str, text: &str, around: &dyn Around) -> Result<(Draft, Report), Wrong> {
    let mut ledger = Ledger::default();
    let root = tree::read(name, text, &mut ledger)?;
    let mut work = Work { ledger, draft: Draft::default(), around, upstreams: BTreeMap::new(), secure: false };
    if root.get("services").is_none() && root.get("routes").is_none() {
        return Err(Wrong { line: 0, what: "it has no services and no routes: nothing would be served".to_owned() });
    }
    for key in ["_format_version", "_transform", "_info", "_comment", "_plugin_configs", "_workspace"] {
        if let Some(node) = root.get(key) {
            work.ledger.carried(root.line_of(key));
            carried(&mut work.ledger, node);
        }
    }
    for upstream in root.list_of("upstreams") {
        if let Some(name) = upstream.text_of("name") {
            work.upstreams.insert(name.to_owned(), upstream.clone());
        }
    }
    listeners(&mut work, &root);
    consumers::consumers(&mut work, &root);
    let global: Vec<&Node> = root
        .list_of("plugins")
        .iter()
        .filter(|plugin| {
            ["service", "route"].iter().all(|key| plugin.get(key).is_none()) && !plugins::is_of_some(plugin)
        })
        .collect();
    let global = plugins::Plugins::new(&global);
    let mut all = routes::Routes::default();
    for service in root.list_of("services") {
        services::service(&mut work, &root, service, &global, &mut all);
    }
    for route in root.list_of("routes") {
        services::alone(&mut work, &root, route, &global, &mut all);
    }
    all.write(&mut work);
    unrouted(&mut work);
    for plugin in root.list_of("plugins").iter().filter(|plugin| plugins::is_of_some(plugin)) {
        plugins::left_out(&mut work.ledger, plugin, "limits of consumers are those of their groups: `[plans]`");
    }
    services::upstreams(&mut work, &root);
    others(
        &mut work.ledger,
        &root,
        &[
            "_format_version",
            "_transform",
            "_info",
            "_comment",
            "services",
            "routes",
            "upstreams",
            "consumers",
            "plugins",
            "certificates",
            "snis",
            "ca_certificates",
            "consumer_groups",
            "_plugin_configs",
            "_workspace",
        ],
    );
    let ledger = &mut work.ledger;
    root.each(&mut |line| {
        if !ledger.has_verdict(line) {
            ledger.unsupported(line, "nothing asks for it where it stands: does it belong under another key?");
        }
    });
    Ok((work.draft, work.ledger.close()))
}

/// Where no route is on a listener all requests get 404, as Kong has it.
fn unrouted(work: &mut Work<'_>) {
    let of = |kind: &'static str| {
        work.draft.entries.iter().filter(move |entry| entry.path.first().is_some_and(|first| first == kind))
    };
    let routed = |name: &str| {
        of("routes")
            .any(|route| matches!(route.table.get("listeners"), Some(Value::List(list)) if list.contains(&name.into())))
    };
    let idle: Vec<String> =
        of("listeners").filter_map(|entry| entry.path.get(1)).filter(|name| !routed(name)).cloned().collect();
    if !idle.is_empty() {
        let respond = Table::new().with("status", 404).with("body", "no Route matched with those values");
        let name = work.draft.name("routes", "unmatched");
        work.draft.add(
            "routes",
            &name,
            Table::new().with("listeners", idle).with("respond", respond),
            vec!["No route of the file is here.".to_owned()],
        );
    }
}

/// The listeners that Kong has by default.
fn listeners(work: &mut Work<'_>, root: &Node) {
    let mut clear = Table::new().with("listen", vec![":8000"]);
    clear.set("forwarded", "xff");
    work.draft.name("listeners", "http");
    work.draft.add(
        "listeners",
        "http",
        clear,
        vec!["Where Kong listens is said by its own configuration, by `proxy_listen`.".to_owned()],
    );
    let mut certificates = Vec::new();
    for (place, certificate) in root.list_of("certificates").iter().enumerate() {
        let names = certificate.list_of("snis").iter().filter_map(|sni| sni.text_of("name").or(sni.text()));
        let name = names
            .into_iter()
            .next()
            .map_or_else(|| format!("certificate-{}", place + 1), |name| name.replace('*', "star"));
        certificates.push(Value::Table(
            Table::new().with("cert", format!("certs/{name}.pem")).with("key", format!("certs/{name}.key")),
        ));
        certificate.each(&mut |line| work.ledger.carried(line));
        for (key, end) in [("cert", "pem"), ("key", "key")] {
            work.ledger.differs(certificate.line_of(key), format!("write it into the file `certs/{name}.{end}`"));
        }
    }
    for key in ["snis", "ca_certificates"] {
        for node in root.list_of(key) {
            node.each(&mut |line| {
                work.ledger.differs(
                    line,
                    "certificates are for the names that they hold; `client_auth.ca` and `tls.ca` name authorities",
                )
            });
        }
    }
    if !certificates.is_empty() {
        work.secure = true;
        let tls = Table::new().with("certificates", Value::List(certificates));
        work.draft.name("listeners", "https");
        work.draft.add("listeners", "https", Table::new().with("listen", vec![":8443"]).with("tls", tls), Vec::new());
    }
}
