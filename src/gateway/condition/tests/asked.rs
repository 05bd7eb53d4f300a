//! Every name and every function, asked.

use super::*;

#[test]
fn every_name_says_what_it_stands_for() {
    for text in [
        "request.method == \"POST\"",
        "request.path == '/v1/orders'",
        "request.path.startsWith(\"/v1/\") && request.path.endsWith('orders') && request.path.contains('/or')",
        "request.query.page == \"2\" && request.query[\"q\"] == \"a b\"",
        "request.host == 'api.example.com'",
        "request.scheme == 'https'",
        "request.headers['x-beta'] == '1' && request.headers[\"X-BETA\"] == '1' && request.headers.accept == 'text/html'",
        "request.cookies.session == 'abc'",
        "request.size == 1000 && request.size <= 1000 && !(request.size > 1000)",
        "client.ip == '10.0.0.9'",
        "client.ip.in_cidr('10.0.0.0/8') && in_cidr(client.ip, ['192.0.2.0/24', '10.0.0.9'])",
        "client.ip in ['10.0.0.9', '10.0.0.10']",
        "tls.enabled && tls.sni == 'example.com' && tls.version == '1.3'",
        "tls.client_certificate.present && tls.client_certificate.common_name == 'alice'",
        "tls.client_certificate.subject.endsWith('O=acme') && tls.client_certificate.fingerprint == '00ff'",
        "tls.client_certificate.san.contains('DNS:alice.test')",
        "listener.name == 'web' && route.name == 'api'",
        "consumer.name == 'acme' && 'gold' in consumer.groups && consumer.groups.size() == 2",
        "consumer.claims.role == 'admin' && consumer.claims['level'] >= 7 && consumer.claims.score > 1",
        "'a' in consumer.claims.tags && consumer.claims.tags[1] == 'b' && consumer.claims.org.id == 'o1'",
        "consumer.claims.ok && consumer.claims.nothing == null && 'org' in consumer.claims",
    ] {
        assert_eq!(asked(text), Ok(true), "{text}");
    }
}

#[test]
fn what_is_not_there_is_empty_and_no_error() {
    for (text, holds) in [
        ("request.headers['x-none'] == '1'", false),
        ("request.headers['x-none'] != '1'", true),
        ("request.headers['x-none'] == ''", true),
        ("request.headers['x-none'].startsWith('a')", false),
        ("has(request.headers.none) || 'x-none' in request.headers || has(request.headers['x-none'])", false),
        ("has(request.headers.accept) && 'X-Beta' in request.headers && has(request.headers['x-beta'])", true),
        ("has(request.cookies.empty) && request.cookies.empty == ''", true),
        ("'none' in request.query || has(request.query.none)", false),
        ("consumer.claims.none == 'x' || consumer.claims.none.deeper == 1 || has(consumer.claims.none)", false),
        ("has(consumer.claims.role) && has(consumer.name) && has(consumer.claims) && has(tls.sni)", true),
        ("request.headers['x-none'] == '1' || !tls.enabled", false),
    ] {
        assert_eq!(asked(text), Ok(holds), "{text}");
    }
    let nobody = Said { claims: None, groups: Vec::new(), size: None, ..Said::new() };
    for (text, said) in [
        ("consumer.claims.role == 'admin'", Ok(false)),
        ("'gold' in consumer.groups || has(consumer.claims) || has(request.size)", Ok(false)),
        ("request.size > 1", Err(Error::NoSize)),
        ("request.size > 1 || true", Ok(true)),
        ("has(request.size) && request.size > 1", Ok(false)),
    ] {
        assert_eq!(compiled(text).holds(&nobody), said, "{text}");
    }
}

#[test]
fn functions_and_macros_do_what_they_are_called_after() {
    for text in [
        "request.path.matches('^/v[0-9]+/') && matches(request.path, r'orders$')",
        "request.headers['x-number'].size() == 2 && size('äö') == 2",
        "int(request.headers['x-number']) + 1 == 43 && double('1.5') == 1.5 && string(7) == '7' && bool('true')",
        "request.headers.accept.upperAscii() == 'TEXT/HTML' && 'ABc'.lowerAscii() == 'abc' && ' a '.trim() == 'a'",
        "request.headers['x-ip'].in_cidr('10.0.0.0/8') && !request.headers.accept.in_cidr('0.0.0.0/0')",
        "consumer.groups.exists(group, group.startsWith('go')) && !consumer.groups.all(group, group == 'gold')",
        "consumer.groups.exists_one(group, group == 'eu') && consumer.groups.filter(g, g != 'eu').size() == 1",
        "consumer.groups.map(g, g + '!') == ['gold!', 'eu!']",
        "request.headers.exists(name, name.startsWith('x-') && request.headers[name] == '42')",
        "['a', 'b'].exists(a, ['b', 'c'].exists(b, a == b))",
        "request.method in ['GET', 'POST'] ? request.path != '/' : false",
        "consumer.claims.tags.exists(tag, tag == 'b') && size(consumer.claims.tags) == 2",
        "request.method == 'PUT' || // not that\n request.method == \"\"\"POST\"\"\"",
        "-2 * 3 == -6 && 7 / 2 == 3 && -7 / 2 == -3 && 7 % 4 == 3 && 0x10 == 16 && 1e3 == 1000.0",
        "consumer.claims.level == 7 && consumer.claims.level == 7.0 && consumer.claims.level > 6.5",
        "'\\x41\\u00e4\\t\\101' == 'Aä\tA' && r'\\n' == '\\\\n'",
    ] {
        assert_eq!(asked(text), Ok(true), "{text}");
    }
}

#[test]
fn the_clients_address_is_told_as_ipv4_where_it_is() {
    let mapped = Said { client: "::ffff:192.0.2.1".parse().unwrap(), ..Said::new() };
    for text in ["client.ip == '192.0.2.1'", "client.ip.in_cidr('192.0.2.0/24')", "client.ip.startsWith('192.')"] {
        assert_eq!(compiled(text).holds(&mapped), Ok(true), "{text}");
    }
}

#[test]
fn nothing_is_asked_for_that_a_condition_does_not_need() {
    let said = Said::new();
    assert_eq!(compiled("tls.enabled || request.headers['x-beta'] == '1'").holds(&said), Ok(true));
    assert!(said.asked.borrow().is_empty());
    assert_eq!(compiled("request.headers['x-beta'] == '1' && request.method == 'GET'").holds(&said), Ok(false));
    assert_eq!(*said.asked.borrow(), ["(Header, \"x-beta\")", "Method"]);
    assert!(compiled("has(consumer.claims.role)").names_consumer() && !compiled("tls.enabled").names_consumer());
}

#[test]
fn what_cannot_be_said_is_an_error_unless_another_side_decides() {
    for (text, said) in [
        ("1 / int(consumer.claims.level - consumer.claims.level) == 1", Err(Error::DivisionByZero)),
        ("1 % int('0') == 1", Err(Error::DivisionByZero)),
        ("int(request.headers['x-none']) == 1", Err(Error::Conversion)),
        ("9223372036854775807 + request.size > 0", Err(Error::Overflow)),
        ("-9223372036854775808 - request.size < 0 || false", Err(Error::Overflow)),
        ("-(request.size - 9223372036854775807 - 1001 - 0) > 0", Err(Error::Overflow)),
        ("consumer.claims.tags[2] == 'c'", Err(Error::NoItem)),
        ("consumer.claims.tags[-1] == 'c'", Err(Error::NoItem)),
        ("consumer.claims.role", Err(Error::Kind("a bool"))),
        ("consumer.claims.role < 1", Err(Error::Kind("two values that have an order"))),
        ("consumer.claims.level.startsWith('7')", Err(Error::Kind("a text"))),
        ("int('x') == 1 || tls.enabled", Ok(true)),
        ("tls.enabled || int('x') == 1", Ok(true)),
        ("int('x') == 1 && !tls.enabled", Ok(false)),
        ("['x', '1'].exists(n, int(n) == 1) && !['x', '1'].all(n, int(n) == 2)", Ok(true)),
    ] {
        assert_eq!(asked(text), said, "{text}");
    }
}

#[test]
fn conditions_that_plainly_exclude_each_other_are_known() {
    for (one, other, excludes) in [
        ("request.headers.a == '1'", "request.headers.a == '2' && tls.enabled", true),
        ("request.headers.a == '1'", "request.headers.b == '2'", false),
        ("tls.enabled && request.path == '/'", "!tls.enabled", true),
        ("request.headers.a != '1'", "request.headers.a  ==  '1'", true),
        ("tls.enabled", "tls.enabled", false),
        ("request.size > 1", "request.size < 1", false),
        ("request.headers.a == '1' || tls.enabled", "!(request.headers.a == '1' || tls.enabled)", true),
    ] {
        assert_eq!(compiled(one).excludes(&compiled(other)), excludes, "{one} / {other}");
        assert_eq!(compiled(other).excludes(&compiled(one)), excludes, "{other} / {one}");
    }
}
