//! What a service says of itself, and what messages it takes and gives, whatever is sent.

use super::*;
use prost_reflect::prost::Message as _;
use std::path::Path;

/// The descriptor set of `file`, and of what it imports.
fn compiled(file: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/translate");
    let mut compiler = protox::Compiler::new([folder]).unwrap();
    compiler.include_imports(true).open_file(file).unwrap();
    compiler.encode_file_descriptor_set()
}

fn shop(options: Options) -> Services {
    Services::new(&compiled("shop/shop.proto"), options).unwrap()
}

/// What a request says, shown again as JSON.
fn said(shop: &Services, verb: &str, path: &str, query: &str, body: &str) -> Result<String, String> {
    let Found::Binding(binding, segments) = shop.find(verb.as_bytes(), path.as_bytes()) else {
        return Err("no binding".to_owned());
    };
    let query = Some(query.as_bytes()).filter(|query| !query.is_empty());
    let message = shop.message(binding, &segments, query, body.as_bytes()).map_err(|wrong| wrong.what)?;
    let of = prost_reflect::DynamicMessage::decode(binding.method.input.clone(), &message[..]).unwrap();
    Ok(serde_json::to_string(&of).unwrap())
}

#[test]
fn what_a_path_a_query_and_a_body_say_makes_the_message() {
    let shop = shop(Options::default());
    let said = |verb, path, query, body| said(&shop, verb, path, query, body).unwrap();
    assert_eq!(
        said("GET", "/v1/shelves/1/items/a%20b", "revision=3", ""),
        r#"{"name":"shelves/1/items/a b","revision":3}"#
    );
    assert_eq!(said("GET", "/v1/files/a/b%2Fc/d", "", ""), r#"{"name":"a/b%2Fc/d"}"#);
    assert_eq!(said("GET", "/v1/files", "", ""), r#"{}"#);
    assert_eq!(
        said("POST", "/v1/shelves/7/items", "dryRun=true", r#"{"title":"x","price":"5","kind":"TOY"}"#),
        r#"{"parent":"shelves/7","item":{"title":"x","price":"5","kind":"TOY"},"dryRun":true}"#
    );
    assert_eq!(
        said(
            "PATCH",
            "/v1/shelves/7/items/1",
            "update_mask=title,price",
            r#"{"name":"shelves/1/items/9","title":"x"}"#
        ),
        r#"{"item":{"name":"shelves/7/items/1","title":"x"},"updateMask":"title,price"}"#
    );
    assert_eq!(
        said(
            "GET",
            "/v1/mirror",
            "numbers=1&numbers=2&kind=1&kinds=BOOK&inner.inner.text=a+b&flag=true&perhaps=false",
            ""
        ),
        r#"{"flag":true,"kind":"BOOK","numbers":[1,2],"kinds":["BOOK"],"inner":{"inner":{"text":"a b"}},"perhaps":false}"#
    );
    assert_eq!(said("REPORT", "/v1/mirror/x:check", "", ""), r#"{"text":"x"}"#);
    let all = concat!(
        r#"{"text":"ä","data":"AP8=","long":"-9223372036854775808","unsignedLong":"18446744073709551615","real":"NaN","#,
        r#""counts":{"a":1},"at":"2026-11-29T05:00:00Z","took":"1.500s","free":{"a":[1.0,null]},"mask":"a.bC","#,
        r#""maybe":"7","any":{"@type":"type.googleapis.com/shop.v1.Item","title":"x"},"thisOne":""}"#
    );
    assert_eq!(said("POST", "/v1/mirror", "", all), all);
    assert_eq!(said("POST", "/v1/mirror", "", ""), "{}");
}

#[test]
fn what_a_request_cannot_say_is_refused() {
    let strict = shop(Options::default());
    for (verb, path, query, body) in [
        ("GET", "/v1/shelves/1/items/%ff", "", ""),
        ("GET", "/v1/shelves/1/items/a", "revision=x", ""),
        ("GET", "/v1/shelves/1/items/a", "revision=1&revision=2", ""),
        ("GET", "/v1/shelves/1/items/a", "name=shelves/2/items/b", ""),
        ("GET", "/v1/shelves/1/items/a", "nothing=1", ""),
        ("GET", "/v1/shelves/1/items/a", "", "{}"),
        ("GET", "/v1/mirror", "counts=1", ""),
        ("GET", "/v1/mirror", "inner=1", ""),
        ("GET", "/v1/mirror", "free=1", ""),
        ("GET", "/v1/mirror", "any=1", ""),
        ("GET", "/v1/mirror", "many.text=1", ""),
        ("GET", "/v1/mirror", "flag=yes", ""),
        ("GET", "/v1/mirror", "kind=HAMMER", ""),
        ("GET", "/v1/mirror", "text=%ff", ""),
        ("GET", "/v1/mirror", "thisOne=a&thatOne=1", ""),
        ("GET", "/v1/mirror", "data=!", ""),
        ("POST", "/v1/mirror", "text=a", "{}"),
        ("POST", "/v1/mirror", "", "[]"),
        ("POST", "/v1/mirror", "", "{"),
        ("POST", "/v1/mirror", "", "{}{}"),
        ("POST", "/v1/mirror", "", r#"{"text":1}"#),
        ("POST", "/v1/mirror", "", r#"{"nothing":1}"#),
        ("POST", "/v1/mirror", "", r#"{"long":"9223372036854775808"}"#),
        ("POST", "/v1/mirror", "", r#"{"at":"yesterday"}"#),
        ("POST", "/v1/mirror", "", r#"{"any":{"@type":"x/no.Such"}}"#),
        ("POST", "/v1/mirror", "", r#"{"any":{}}"#),
        ("POST", "/v1/shelves/7/items", "item.title=x", "{}"),
        ("PATCH", "/v1/shelves/7/items/1", "", r#""text""#),
    ] {
        let said = said(&strict, verb, path, query, body);
        assert!(said.as_ref().is_err_and(|what| what.len() < 400), "{verb} {path} {query} {body}: {said:?}");
    }
    let loose = shop(Options { ignore_unknown: true, ..Options::default() });
    let said = |query, body| said(&loose, "POST", "/v1/shelves/7/items", query, body).unwrap();
    assert_eq!(
        said("nothing=1&parent=x", r#"{"title":"x","nothing":[{}],"kind":"HAMMER"}"#),
        r#"{"parent":"shelves/7","item":{"title":"x"}}"#
    );
}

#[test]
fn whatever_is_nested_or_repeated_ends_well() {
    let shop = shop(Options::default());
    let said = |body: &str| said(&shop, "POST", "/v1/mirror", "", body);
    assert!(said(&format!("{}{}", r#"{"inner":"#.repeat(90), "{}".to_owned() + &"}".repeat(90))).is_ok());
    for deep in [
        r#"{"inner":"#,
        r#"{"free":{"a":"#,
        r#"{"many":["#,
        "[",
        r#"{"any":{"@type":"type.googleapis.com/shop.v1.Everything","any":"#,
    ] {
        assert!(said(&deep.repeat(50_000)).is_err());
    }
    let numbers = format!(r#"{{"numbers":[{}1]}}"#, "1,".repeat(200_000));
    assert!(said(&numbers).is_ok());
    let Found::Binding(binding, _) = shop.find(b"GET", b"/v1/mirror") else { panic!("it is bound") };
    // Each of them is read anew, so that nothing but our own bound holds.
    let (mut any, url) = (Vec::new(), b"type.googleapis.com/google.protobuf.Any");
    for _ in 0..5000 {
        let mut outer = vec![0x0a, url.len() as u8];
        outer.extend_from_slice(url);
        outer.push(0x12);
        prost_reflect::prost::encoding::encode_varint(any.len() as u64, &mut outer);
        outer.extend_from_slice(&any);
        any = outer;
    }
    let mut message = vec![0xa2, 0x01];
    prost_reflect::prost::encoding::encode_varint(any.len() as u64, &mut message);
    message.extend_from_slice(&any);
    assert!(shop.show(binding, &message, &mut Vec::new()).is_err());
    let flags = [&[0xba, 0x01, 0xc0, 0x84, 0x3d][..], &[0; 1_000_000]].concat();
    assert!(shop.show(binding, &flags, &mut Vec::new()).is_ok());
    // A bit of anything is either read or refused.
    for seed in 0..2000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let bytes: Vec<u8> = (0..random.usize(..60)).map(|_| random.u8(..)).collect();
        let _ = shop.show(binding, &bytes, &mut Vec::new());
        let (_, Some(call)) = shop.method(b"/shop.v1.Shop/GetItem").unwrap() else { panic!("it is bound") };
        let _ = shop.asked(call, &bytes);
    }
}

#[test]
fn answers_are_shown_as_it_is_wanted() {
    let item = [0x0a, 0x01, b'a', 0x18, 0x05, 0x20, 0x02];
    let show = |shown: Shown, path: &str| {
        let shop = shop(Options { shown, ..Options::default() });
        let Found::Binding(binding, _) = shop.find(b"GET", path.as_bytes()) else { panic!("it is bound") };
        let mut out = Vec::new();
        shop.show(binding, &item, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let plain = Shown::default();
    assert_eq!(show(plain, "/v1/shelves/1/items/1"), r#"{"name":"a","price":"5","kind":"TOY"}"#);
    assert_eq!(
        show(Shown { enum_numbers: true, defaults: true, proto_names: true }, "/v1/shelves/1/items/1"),
        r#"{"name":"a","title":"","price":"5","kind":2}"#
    );
    assert_eq!(show(plain, "/v1/title/shelves/1/items/1"), r#""""#);
}

#[test]
fn the_most_specific_path_is_found() {
    let shop = shop(Options { unannotated: true, ..Options::default() });
    let find = |verb: &str, path: &str| match shop.find(verb.as_bytes(), path.as_bytes()) {
        Found::Binding(binding, _) => binding.method.path.rsplit('/').next().unwrap().to_owned(),
        Found::OtherVerbs(verbs) => format!("not {}", verbs.join(" ")),
        Found::Nothing => String::new(),
    };
    for (verb, path, method) in [
        ("GET", "/v1/shelves/1:watch", "Watch"),
        ("GET", "/v1/shelves/1", ""),
        ("GET", "/v1/shelves/1/items/1", "GetItem"),
        ("GET", "/v1/shelves/1/items/a:b", "GetItem"),
        ("PUT", "/v1/shelves/1/items/1", "not DELETE GET PATCH"),
        ("GET", "/v1/shelves//items/1", ""),
        ("GET", "/v1/files/shelves/1/items/1", "GetItem"),
        ("POST", "/shop.v1.Shop/Talk", "Talk"),
        ("POST", "/shop.v1.Shop/GetItem", ""),
        ("GET", "/", ""),
        ("GET", "", ""),
        ("GET", "/v1/mirror/x:check", "not REPORT"),
        ("REPORT", "/v1/mirror/:check", ""),
    ] {
        assert_eq!(find(verb, path), method, "{verb} {path}");
    }
    assert_eq!(find("GET", &"/v1/files".repeat(2000)), "");
}

#[test]
fn a_call_asks_by_rest_for_what_it_says() {
    let shop = shop(Options::default());
    let asked = |method: &str, json: &str| {
        let (method, binding) = shop.method(format!("/shop.v1.Shop/{method}").as_bytes()).unwrap();
        let message = shop.read(&method.input, &mut serde_json::Deserializer::from_str(json)).unwrap().encode_to_vec();
        shop.asked(binding.unwrap(), &message).map(|asked| {
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            (text(asked.path), text(asked.query), asked.body.map(text).unwrap_or_default())
        })
    };
    let of = |path: &str, query: &str, body: &str| Ok((path.to_owned(), query.to_owned(), body.to_owned()));
    assert_eq!(
        asked("GetItem", r#"{"name":"shelves/1/items/a b?","revision":3}"#),
        of("/v1/shelves/1/items/a%20b%3F", "revision=3", "")
    );
    assert_eq!(
        asked("CreateItem", r#"{"parent":"shelves/1","item":{"title":"x"},"dryRun":true}"#),
        of("/v1/shelves/1/items", "dryRun=true", r#"{"title":"x"}"#)
    );
    assert_eq!(
        asked("UpdateItem", r#"{"item":{"name":"shelves/1/items/2","title":"x"}}"#),
        of("/v1/shelves/1/items/2", "", r#"{"title":"x"}"#)
    );
    assert_eq!(asked("Mirror", r#"{"numbers":[1,2]}"#), of("/v1/mirror", "", r#"{"numbers":[1,2]}"#));
    for bad in ["", "shelves/1", "shelves/../items/2", "shelves/1/items/", "other/1/items/2", "shelves/1/items/2/3"] {
        assert!(asked("GetItem", &format!(r#"{{"name":"{bad}"}}"#)).is_err(), "{bad}");
    }
    let (_, Some(get)) = shop.method(b"/shop.v1.Shop/GetItem").unwrap() else { panic!("it is bound") };
    assert!(shop.answered(get, br#"{"title":"x"}"#).is_ok() && shop.answered(get, b"").is_ok());
    assert!(shop.answered(get, b"[]").is_err() && shop.answered(get, b"<html>").is_err());
}

#[test]
fn what_is_wrong_with_a_set_is_named() {
    let fault = |set: &[u8], options| Services::new(set, options).unwrap_err();
    assert!(fault(b"no set", Options::default()).contains("no descriptor set"));
    let options = Options { services: vec!["shop.v1.Shoe".to_owned()], ..Options::default() };
    assert!(fault(&compiled("shop/shop.proto"), options).contains("it has shop.v1.Shop"));
    assert!(fault(&compiled("google/api/http.proto"), Options::default()).contains("no service"));
    let alone = {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/translate");
        let mut compiler = protox::Compiler::new([folder]).unwrap();
        compiler.include_imports(false).open_file("shop/shop.proto").unwrap();
        compiler.encode_file_descriptor_set()
    };
    assert!(fault(&alone, Options::default()).contains("--include_imports"));
    let bound = |rule: &str| {
        let text = format!(
            "syntax = \"proto3\"; package a; import \"google/api/annotations.proto\";\n\
             message M {{ string x = 1; repeated string y = 2; M m = 3; }}\n\
             service S {{ rpc R(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; }} }}"
        );
        let folder =
            std::env::temp_dir().join(format!("ringway-descriptors-{}-{}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a.proto"), text).unwrap();
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/translate");
        let mut compiler = protox::Compiler::new([folder.as_path(), &data]).unwrap();
        compiler.include_imports(true).open_file("a.proto").unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        Services::new(&compiler.encode_file_descriptor_set(), Options::default()).map(|services| services.describes())
    };
    assert_eq!(bound(r#"get: "/a/{x}""#), Ok(Describes { methods: 1, bound: 1 }));
    for (rule, what) in [
        (r#"get: "a""#, "`GET a`: a path begins with `/`"),
        (r#"get: "/{z}""#, "no field `z`"),
        (r#"get: "/{y}""#, "several values"),
        (r#"get: "/{m}""#, "no single value"),
        (r#"get: "/{x.y}""#, "is no message"),
        (r#"post: "/a" body: "z""#, "no field `z`"),
        (r#"get: "/a" response_body: "z""#, "no field `z`"),
        (r#"get: "/a" additional_bindings { get: "/a" }"#, "is taken by `a.S/R`"),
        (r#"custom { kind: "get" path: "/a" }"#, "no method of HTTP"),
    ] {
        let fault = bound(rule).unwrap_err();
        assert!(fault.contains("method `a.S.R`") && fault.contains(what), "{rule}: {fault}");
    }
}
