//! Consumers, their keys and groups.
//!
//! May depend on the tree.

use super::Work;
use super::tree::{Node, carried, others, unsupported};
use crate::import::draft::Table;
use std::collections::BTreeSet;

/// Reads all consumers.
pub(super) fn consumers(work: &mut Work<'_>, root: &Node) {
    for group in root.list_of("consumer_groups") {
        carried(&mut work.ledger, group);
        for plugin in group.list_of("plugins") {
            super::plugins::left_out(
                &mut work.ledger,
                plugin,
                "limits of groups are `[plans]`: a rule for each, and the group that has it",
            );
        }
    }
    let mut asked = BTreeSet::new();
    lists(root, &mut asked);
    for consumer in root.list_of("consumers") {
        one(work, consumer, &asked);
    }
}

/// The groups that plugins of type acl name.
fn lists(node: &Node, asked: &mut BTreeSet<String>) {
    if node.text_of("name") == Some("acl")
        && let Some(config) = node.get("config").filter(|config| !config.flag_of("include_consumer_groups", false))
    {
        for key in ["allow", "deny", "whitelist", "blacklist"] {
            asked.extend(config.texts_of(key).iter().map(|group| plain(group)));
        }
    }
    node.items().iter().for_each(|item| {
        if item.text().is_none() {
            lists(item, asked);
        }
    });
    node.pairs().iter().for_each(|(_, _, value)| lists(value, asked));
}

fn one(work: &mut Work<'_>, consumer: &Node, asked: &BTreeSet<String>) {
    let known = [
        "username",
        "custom_id",
        "keyauth_credentials",
        "acls",
        "groups",
        "basicauth_credentials",
        "jwt_secrets",
        "hmacauth_credentials",
        "oauth2_credentials",
        "mtls_auth_credentials",
        "plugins",
    ];
    others(&mut work.ledger, consumer, &known);
    let Some(name) = consumer.text_of("username").or(consumer.text_of("custom_id")) else {
        return unsupported(&mut work.ledger, consumer, "a consumer has a name");
    };
    let mut table = Table::new();
    if consumer.get("username").is_some() && consumer.get("custom_id").is_some() {
        work.ledger
            .differs(consumer.line_of("custom_id"), "targets are told of the name alone, by X-Consumer-Username");
    }
    for credential in consumer.list_of("keyauth_credentials") {
        carried(&mut work.ledger, credential);
        match credential.text_of("key") {
            Some(key) if key.len() >= 8 && key.bytes().all(|b| b.is_ascii_graphic()) && !key.contains("${") => {
                table.push("keys", format!("sha256:{}", hash(key)));
                work.ledger
                    .differs(credential.line_of("key"), "its SHA-256 stands in the configuration, and not the key");
            }
            Some(key) if key.contains("${") => work.ledger.unsupported(
                credential.line_of("key"),
                "decK fills it in: write it into the file that `keys_file` of the consumer names",
            ),
            Some(_) => work.ledger.unsupported(
                credential.line_of("key"),
                "a key has 8 bytes or more, and no blanks: give the consumer a new one",
            ),
            None => {
                work.ledger.unsupported(credential.line, "a key that Kong makes up is not known here: write it down")
            }
        }
        if credential.get("ttl").is_some() {
            work.ledger.differs(credential.line_of("ttl"), "a key counts until it is taken away");
        }
    }
    for group in consumer.list_of("acls") {
        carried(&mut work.ledger, group);
        if let Some(group) = group.text_of("group").filter(|group| !group.is_empty()) {
            table.push("groups", plain(group));
        }
    }
    for group in consumer.list_of("groups") {
        let line = group.line;
        carried(&mut work.ledger, group);
        if let Some(group) = group.text_of("name").or(group.text()).filter(|group| !group.is_empty()) {
            let name = plain(group);
            // The groups of a plugin acl are others, even if they are called the same.
            match asked.contains(&name) {
                true => {
                    work.ledger.differs(
                        line,
                        format!("it is called `consumer-group-{name}` here, as the plugin acl has groups of its own"),
                    );
                    table.push("groups", plain(&format!("consumer-group-{name}")));
                }
                false => table.push("groups", name),
            }
        }
    }
    for (key, why) in [
        (
            "basicauth_credentials",
            "passwords stand in a file, as `htpasswd -nB NAME` writes them, that a rule of type basic names",
        ),
        ("jwt_secrets", "keys of tokens are those of a rule of type jwt: a file, or the issuer's own"),
        ("hmacauth_credentials", "requests are signed as RFC 9421 has it: a rule of type signature"),
        (
            "oauth2_credentials",
            "Ringway issues no tokens: use an OpenID provider, and a rule of type jwt, oidc or introspection",
        ),
    ] {
        for node in consumer.list_of(key) {
            unsupported(&mut work.ledger, node, why);
        }
    }
    for plugin in consumer.list_of("plugins") {
        super::plugins::left_out(&mut work.ledger, plugin, "limits of consumers are those of their groups: `[plans]`");
    }
    for credential in consumer.list_of("mtls_auth_credentials") {
        carried(&mut work.ledger, credential);
        match credential.text_of("subject_name") {
            Some(subject) if subject.contains('@') => table.push("certificates", format!("email:{subject}")),
            Some(subject) => table.push("certificates", format!("dns:{subject}")),
            None => work.ledger.unsupported(
                credential.line,
                "`certificates` of a consumer says what tells its certificate from others'",
            ),
        }
    }
    let name = work.draft.name("consumers", name);
    work.draft.add("consumers", &name, table, Vec::new());
}

/// The name of a group as the configuration has names.
pub(super) fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).take(64).collect()
}

fn hash(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
