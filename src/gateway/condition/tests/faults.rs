//! What is told of a condition that is wrong.

use super::*;

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_to_write() {
    for (text, what, column, help) in [
        ("", "the end stands where a value is expected", 1, ""),
        ("reqest.path == '/'", "nothing is named `reqest.path`", 1, "did you mean `request.path`?"),
        ("tls.enabled && request.paht == '/'", "nothing is named `request.paht`", 16, "did you mean `request.path`?"),
        ("path == '/'", "nothing is named `path`", 1, "did you mean `request.path`?"),
        ("request.header['x'] == '1'", "nothing is named `request.header`", 1, "did you mean `request.headers`?"),
        ("consumer.group == 'x'", "nothing is named `consumer.group`", 1, "did you mean `consumer.groups`?"),
        ("tls == 'x'", "`tls` is no value by itself", 1, "there are tls.enabled, tls.sni, tls.version"),
        ("request.headers == 'x'", "`request.headers` is a map, not one value", 1, "write request.headers[\"name\"]"),
        ("request.path.foo == 'x'", "a text has no `foo`", 1, ""),
        ("request.path", "it comes to a text: a condition is true or false", 1, "compare it: == \"…\""),
        ("request.size", "it comes to an int: a condition is true or false", 1, "compare it: == 0, > 0"),
        ("request.path && tls.enabled", "a text stands where a bool is expected", 1, "compare it: == \"…\""),
        ("request.size == '1'", "`==` stands between an int and a text", 1, ""),
        ("request.headers.n > 5", "`>` stands between a text and an int", 1, "write int(…) around the text"),
        ("tls.enabled == 'true'", "`==` stands between a bool and a text", 1, "true and false have no quotes"),
        ("request.path = '/'", "`=` means nothing here", 14, "write == to compare"),
        ("tls.enabled & true", "`&` means nothing here", 13, "write &&"),
        ("tls.enabled and true", "`and` stands where an operator is expected", 13, "write &&"),
        ("tls.enabled or true", "`or` stands where an operator is expected", 13, "write ||"),
        ("not tls.enabled", "`not` is no operator", 1, "write !"),
        ("(tls.enabled", "the end stands where `)` is expected", 13, ""),
        ("request.path == '/", "a text has no end", 17, "end it with '"),
        ("request.path == '\\q'", "no character is written that way", 18, "write \\\\ for a backslash"),
        ("request.path.startswith('/')", "no function is named `startswith`", 14, "did you mean `startsWith`?"),
        ("startsWith(request.path, '/')", "no function is named `startsWith`", 1, "write ….startsWith(…)"),
        ("request.path.startsWith('/', 'x')", "`startsWith` takes 1 in its brackets, not 2", 14, ""),
        ("request.path.startsWith(1)", "an int stands where a text is expected", 25, ""),
        ("request.path.matches('[')", "the pattern does not compile: unclosed character class", 22, ""),
        ("request.path.matches(request.host)", "a pattern has to be written down", 22, ""),
        ("request.path.matches('\\\\w{1,999}{1,99}')", "the pattern is too large", 22, ""),
        ("client.ip.in_cidr('10.0.0.0/33')", "`10.0.0.0/33` is no address range", 19, "write \"10.0.0.0/8\""),
        (
            "client.ip == '10.0.0.0/8'",
            "`10.0.0.0/8` is a range, not an address",
            14,
            "write client.ip.in_cidr(\"10.0.0.0/8\")",
        ),
        ("client.ip == '2001:DB8::1'", "no client is called `2001:DB8::1`", 14, "write \"2001:db8::1\""),
        ("client.ip in ['10.0.0.1', 'me']", "`me` is no IP address", 27, ""),
        ("'a' in request.path", "`in` looks into a list or a map, not into a text", 8, "write text.contains"),
        ("1 in consumer.groups", "an int cannot be in a list of which each is a text", 1, ""),
        ("has(request.path.size())", "`has` asks for a name in a map", 18, "write has(request.headers.accept)"),
        ("has(tls.enabled)", "that is always there", 5, ""),
        ("consumer.groups.exists('a', true)", "a macro needs a name for the items", 24, ""),
        ("consumer.groups.exists(g, g)", "a text stands where a bool is expected", 27, ""),
        ("99999999999999999999 > 1", "the number is too large", 1, ""),
        ("9223372036854775808 > 1", "the number is too large", 1, "numbers go from"),
        ("1u == 1", "`u` stands right behind a number", 2, "numbers have signs here"),
        ("b'a' == 'a'", "bytes cannot be written", 1, ""),
        ("{'a': 1}.a == 1", "`{` stands where a value is expected", 1, "maps and messages cannot be written"),
        ("request.if == 1", "nothing is named `request.if`", 1, ""),
        ("if == 1", "CEL keeps the word `if` for itself", 1, ""),
        ("'é' == 'e' x", "`x` stands where an operator is expected", 12, ""),
        ("!request.path", "a text stands where a bool is expected", 2, ""),
        ("-tls.enabled == 1", "a bool has no negative", 1, ""),
        ("1.5 % 2.0 == 1.0", "`%` stands between a double and a double", 1, ""),
        ("request.headers.exists", "it comes to a text", 1, ""),
        ("tls.enabled.", "the end stands where a name is expected", 13, ""),
        ("['a', 1] == ['a']", "", 0, ""),
    ] {
        let Err(fault) = Condition::compile(text, Stage::Known) else {
            assert_eq!(what, "", "{text} compiles");
            continue;
        };
        assert!(fault.what.starts_with(what), "{text}: {fault}");
        assert_eq!((fault.line, fault.column), (1, column), "{text}: {fault}");
        let told = fault.help.unwrap_or_default();
        assert!(told.starts_with(help), "{text}: {told}");
    }
    let fault = Condition::compile("tls.enabled\n  && reqest.path == '/'", Stage::Known).unwrap_err();
    assert_eq!((fault.line, fault.column), (2, 6), "{fault}");
}

#[test]
fn what_is_not_known_where_a_condition_stands_is_a_fault() {
    for (text, stage, help) in [
        ("consumer.name == 'a'", Stage::Routing, "routes are chosen before it is known who asks"),
        ("route.name == 'a'", Stage::Routing, "a route has its own name alone"),
        ("tls.enabled || 'a' in consumer.groups", Stage::Early, "this rule is asked before it is known who asks"),
        ("has(consumer.claims.sub)", Stage::Early, "this rule is asked before it is known who asks"),
        ("has(consumer.name)", Stage::Early, "this rule is asked before it is known who asks"),
    ] {
        let fault = Condition::compile(text, stage).unwrap_err();
        assert!(fault.what.ends_with("is not known here"), "{text}: {fault}");
        assert!(fault.help.clone().unwrap().starts_with(help), "{text}: {fault:?}");
    }
    assert!(Condition::compile("route.name == 'a'", Stage::Early).is_ok());
}
