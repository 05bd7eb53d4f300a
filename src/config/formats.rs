//! The formats of the schema: how a text is checked, what it is called, and the form the model reads. The schema names a
//! format, the walker looks it up here, and the check is the very parser of the type: there is no second grammar.

use super::limit_key::{self, LimitKey};
use super::logs::{LogFormat, LogPath, LogStatus, SyslogTo};
use super::model::{
    Address, AfterSunset, CaSource, ExpectRoute, HashKey, HostPolicy, RetryOn, SniPolicy, Track, ValueMatch,
};
use super::moment::Moment;
use super::names;
use super::patterns;
use super::pointer;
use super::protected;
use super::rate::{ByteRate, Rate, RequestRate};
use super::redis_url::{self, RedisUrl};
use super::template::{Captured, Template};
use super::units::{Factor, Invalid, Share, Size, Span};
use super::url::Url;
use super::words::{RETRY_ON, StatusRanges};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::path::Path;

/// One format of the schema.
pub struct Format {
    /// Its name in the schema.
    pub name: &'static str,
    /// What a value is called: "a duration".
    pub noun: &'static str,
    /// What a good value looks like.
    pub help: &'static str,
    /// Checks a text and gives the form that the model reads; relative paths are joined to the folder of their file.
    pub read: fn(&str, &Path) -> Result<String, Invalid>,
    /// How large a value is, where the schema may bound it with `x-minimum` and `x-maximum`.
    pub measure: fn(&str) -> Option<u128>,
    /// Words that stand beside the grammar, for the nearest good one.
    pub words: &'static [&'static str],
}

/// The format of that name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// Defines the table and, for each format, what carries it into the schema: a type of the model itself, or (`mark`) a type
/// that exists only for that. A format of keys needs neither.
macro_rules! formats {
    ($($name:literal $kinds:tt $(mark $mark:ident)? $(type $type:ty)?, $noun:literal, $help:literal,
        $read:expr $(, measure $measure:expr)? $(, words $words:expr)?;)+) => {
        static FORMATS: &[Format] = &[$(Format {
            name: $name,
            noun: $noun,
            help: $help,
            read: $read,
            measure: formats!(@or |_| None $(, $measure)?),
            words: formats!(@or &[] $(, $words)?),
        }),+];
        $(
            $(
                #[doc = concat!("Carries the format `", $name, "` into the schema.")]
                pub struct $mark;
                formats!(@schema $mark, $name, $kinds);
            )?
            $(formats!(@schema $type, $name, $kinds);)?
        )+
    };
    (@or $default:expr) => { $default };
    (@or $default:expr, $given:expr) => { $given };
    (@schema $type:ty, $name:literal, $kinds:tt) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": $kinds, "format": $name })
            }
        }
    };
}

formats! {
    "duration" ["string"] type Span, "a duration", "a duration is a number with a unit: \"250ms\", \"5s\", \"1h\"",
        |text, _| text.parse::<Span>().map(|s| s.to_string()),
        measure |text| text.parse::<Span>().ok().map(|s| s.0.as_millis());
    "moment" ["string"] type Moment, "a moment", "write \"2027-01-31\", or \"2027-01-31T12:00:00Z\" with its time",
        |text, _| text.parse::<Moment>().map(|m| m.to_string());
    "size" ["string", "integer"] type Size, "a size", "a size is a number of bytes with a unit: \"64KiB\", \"10MiB\"",
        |text, _| text.parse::<Size>().map(|s| s.to_string()), measure bytes;
    "size-or-unlimited" ["string", "integer"] mark SizeOrUnlimited, "a size",
        "write a size (\"10MiB\") or \"unlimited\"",
        |text, _| if text == "unlimited" { Ok(text.into()) } else { text.parse::<Size>().map(|s| s.to_string()) },
        measure bytes, words &["unlimited"];
    "interface" ["string"] mark InterfaceName, "an interface", "write its name: \"eth0\"",
        |text, _| patterns::printable(text, 15).map(str::to_owned);
    "rate" ["string"] type Rate, "a rate", "a rate is a number and a unit of time: \"20/s\", \"600/m\", \"100/h\"",
        |text, _| text.parse::<Rate>().map(|r| r.to_string());
    "share" ["string"] type Share, "a share", "a share is a percentage: \"20%\"",
        |text, _| text.parse::<Share>().map(|s| s.to_string());
    "factor" ["number", "integer", "string"] mark FactorRange, "a factor", "a factor is a number: 3.0",
        |text, _| text.parse::<Factor>().map(|f| f.to_string()),
        measure |text| text.parse::<Factor>().ok().map(|f| (f.0 * 1000.0).round() as u128);
    "count-or-auto" ["string", "integer"] mark CountOrAuto, "a number or \"auto\"", "write a whole number or \"auto\"",
        |text, _| if text == "auto" { Ok(text.into()) } else { count(text).map(|n| n.to_string()) },
        measure |text| text.parse().ok(), words &["auto"];
    "listen-address" ["string"] mark ListenAddress, "an address to listen on",
        "write \"127.0.0.1:8080\", \"[::1]:8080\", \":8080\" for all of IPv4, or \"unix:/path\"",
        |text, folder| text.parse::<Address>()?.based_on(folder).map(|a| a.to_string());
    "target-address" ["string"] type Address, "a target's address",
        "write \"10.0.0.1:8080\", \"[fd00::1]:8080\", or \"unix:/path\"; names are not resolved",
        names::target;
    "dns-name" ["string"] mark DnsName, "a name of DNS", "write \"api.example.com\"", |text, _| names::dns_name(text);
    "service-name" ["string"] mark ServiceName, "a service's name", "write \"_http._tcp.example.com\"",
        |text, _| names::service_name(text);
    "dns-server" ["string"] mark DnsServer, "a server of DNS", "write \"127.0.0.1\", or \"127.0.0.1:8600\" with a port",
        |text, _| names::dns_server(text);
    "source-url" ["string"] mark SourceUrl, "a URL", "write \"https://registry.example.com/targets\"",
        |text, _| patterns::http_url(text);
    "link-target" ["string"] mark LinkTarget, "a URL or a path", "write \"https://docs.example.com/v1\" or \"/docs/v1\"",
        |text, _| patterns::link_target(text);
    "admin-address" ["string"] mark AdminAddress, "an address for the admin listener",
        "write an address and a port: \"127.0.0.1:9901\"", |text, _| Address::parse_tcp(text).map(|a| a.to_string());
    "socket-path" ["string"] mark SocketPath, "the path of a socket", "write \"/run/ringway/admin.sock\"",
        |text, folder| match format!("unix:{text}").parse::<Address>()?.based_on(folder)? {
            Address::Unix(path) => Ok(path.display().to_string()),
            Address::Ip(_) => Err(Invalid::new("it is no path")),
        };
    "network" ["string"] mark Network, "an address range", "write \"10.0.0.0/8\", \"fd00::/8\", or one address",
        |text, _| patterns::network(text);
    "log-path" ["string"] type LogPath, "a log's path", "write \"stdout\" or the path of a file",
        |text, folder| text.parse::<LogPath>().map(|p| match p {
            LogPath::Stdout => text.to_owned(),
            LogPath::File(path) => folder.join(path).display().to_string(),
        });
    "log-format" ["string"] type LogFormat, "a log's format",
        "write \"json\", \"combined\", \"haproxy\", or text with fields: \"{time} {client.ip} {status}\"",
        |text, _| text.parse::<LogFormat>().map(|f| f.to_string()), words &["json", "combined", "haproxy"];
    "log-status" ["string", "integer"] type LogStatus, "a set of status codes",
        "write \"400-599\", \"404\", or \"none\"",
        |text, _| text.parse::<LogStatus>().map(|s| s.to_string()), words &["none"];
    "syslog-server" ["string"] type SyslogTo, "a syslog server",
        "write \"udp://127.0.0.1:514\", \"tcp://127.0.0.1:514\", or \"unix:/dev/log\"; names are not resolved",
        |text, folder| text.parse::<SyslogTo>()?.based_on(folder).map(|s| s.to_string());
    "syslog-name" ["string"] mark SyslogName, "a program's name", "write up to 48 letters, digits and signs, no spaces",
        |text, _| patterns::printable(text, 48).map(str::to_owned);
    "syslog-host" ["string"] mark HostLabel, "a host's name", "write up to 255 letters, digits and signs, no spaces",
        |text, _| patterns::printable(text, 255).map(str::to_owned);
    "query-key" ["string"] mark QueryKey, "a query's key", "write \"token\"", |text, _| patterns::query_key(text).map(str::to_owned);
    "file" ["string"] mark FilePath, "a file's path", "write the path of a file, relative to this one",
        |text, folder| patterns::file_path(text).map(|path| folder.join(path).display().to_string());
    "ca-source" ["string"] type CaSource, "a source of authorities", "write \"system\" or the path of a PEM file",
        |text, folder| text.parse::<CaSource>().map(|source| match source {
            CaSource::System => text.to_owned(),
            CaSource::File(path) => folder.join(path).display().to_string(),
        }), words &["system"];
    "sni-policy" ["string"] type SniPolicy, "a name to ask for", "write \"host\" or a host name",
        |text, _| text.parse::<SniPolicy>().map(|p| p.to_string()), words &["host"];
    "mail-address" ["string"] mark MailAddress, "a mail address", "write \"ops@example.com\"",
        |text, _| patterns::mail_address(text);
    "directory-url" ["string"] mark DirectoryUrl, "the URL of a directory", "write \"https://ca.example.com/directory\"",
        |text, _| patterns::directory_url(text);
    "otlp-url" ["string"] mark OtlpUrl, "the URL of a collector", "write \"http://127.0.0.1:4318\"",
        |text, _| patterns::otlp_url(text);
    "plain-text" ["string"] mark PlainText, "a text", "write one line of text", |text, _| patterns::plain_text(text);
    "alpn" ["string"] mark AlpnProtocol, "a protocol's name", "write \"http/1.1\"", |text, _| patterns::alpn(text);
    "redis-url" ["string"] type RedisUrl, "the URL of a server of Redis", "write \"redis://127.0.0.1:6379\"",
        redis_url::based_on;
    "store-prefix" ["string"] mark StorePrefix, "a prefix of keys", "a prefix has letters, digits, `-`, `_`, `.` and `:`, 64 at most",
        |text, _| patterns::store_prefix(text).map(str::to_owned);
    "name" ["string"] mark Name, "a name", "a name has letters, digits, `-`, `_` and `.`, 64 at most",
        |text, _| patterns::name(text);
    "route-name" ["string"] mark RouteName, "a route's name", "write \"orders\", or \"orders@dev\" for what it is at a stage",
        |text, _| patterns::route_name(text);
    "host-pattern" ["string"] mark HostPattern, "a host", "write \"www.example.com\" or \"*.example.com\"",
        |text, _| patterns::host_pattern(text);
    "host-name" ["string"] mark HostName, "a host name", "write \"www.example.com\"",
        |text, _| patterns::host_name(text);
    "path-pattern" ["string"] mark PathPattern, "a path",
        "write \"/prefix/\", \"=/exact\", or \"~^/regex/[0-9]+$\"", |text, _| patterns::path_pattern(text);
    "path" ["string"] mark PlainPath, "a path", "write \"/v1\"", |text, _| patterns::plain_path(text);
    "request-target" ["string"] mark RequestTarget, "a path", "write \"/healthz\"",
        |text, _| patterns::request_target(text);
    "method" ["string"] mark Method, "a method", "write \"GET\"", |text, _| patterns::method(text);
    "header-name" ["string"] mark HeaderName, "a header's name", "write \"x-tenant\"",
        |text, _| patterns::header_name(text).map_err(|invalid| match text.split_whitespace().collect::<Vec<_>>().join("-") {
            name if name != text && patterns::header_name(&name).is_ok() => invalid.help(format!("write \"{name}\"")),
            _ => invalid,
        });
    "origin" ["string"] mark Origin, "an origin",
        "write \"https://app.example.com\", \"https://*.example.com\", or \"*\" for all", |text, _| patterns::origin(text);
    "edited-header" ["string"] mark EditedHeader, "a header that can be edited", "write \"x-tenant\"",
        |text, _| protected::editable(text);
    "template" ["string"] type Template, "a value", "write text with fields: \"{client.ip}\"",
        |text, _| text.parse::<Template>().map(|t| t.to_string());
    "error-status" ["string"], "a status of errors", "write \"404\", \"502-504\" or \"5xx\"",
        |text, _| match text.parse::<RetryOn>()? {
            RetryOn::Status(..) => Ok(text.to_owned()),
            _ => Err(Invalid::new("it is no status")),
        };
    "captured" ["string"] type Captured, "a value", "write text with fields: \"/users/{id}\"",
        |text, _| text.parse::<Captured>().map(|t| t.to_string());
    "json-path" ["string"] mark JsonPath, "a path into JSON", "write \"/user/name\", or \"/items/*/id\" for all items",
        |text, _| pointer::steps(text).map(|_| text.to_owned());
    "regex" ["string"] mark Regex, "a regex", "write \"^/users/(?<id>[0-9]+)$\"", |text, _| patterns::pattern(text);
    "cookie-name" ["string"] mark CookieName, "a cookie's name", "write \"RWSRV\"",
        |text, _| patterns::header_name(text).map(|_| text.to_owned());
    "cookie-attribute" ["string"] mark CookieAttribute, "an attribute of a cookie",
        "write \"Partitioned\" or \"Priority=High\"", |text, _| patterns::cookie_attribute(text);
    "header-value" ["string"] mark HeaderValue, "a header's value", "write it without blanks around it",
        |text, _| patterns::header_value(text);
    "request-url" ["string"] mark RequestUrl, "a URL", "write \"https://www.example.com/path?query\"",
        |text, _| Url::parse(text).map(|_| text.to_owned());
    "client-address" ["string"] mark ClientAddress, "a client's address",
        "write \"10.0.0.1\" or \"fd00::1\", or \"10.0.0.1:50000\" with its port",
        |text, _| patterns::client_address(text).map(|address| address.to_string());
    "value-pattern" ["string"] mark ValuePattern, "a value", "write \"value\" or \"~regex\"",
        |text, _| patterns::value_pattern(text);
    "body-pattern" ["string"] mark BodyPattern, "a text", "write \"text\" or \"~regex\"",
        |text, _| patterns::body_pattern(text);
    "step-text" ["string"] mark StepText, "a text", "write \"PING\\r\\n\"", |text, _| patterns::some_text(text);
    "hex" ["string"] mark Hex, "bytes in hexadecimal", "write two digits for each byte: \"0a ff\"",
        |text, _| patterns::hex(text);
    "ip-address" ["string"] mark IpAddress, "an IP address", "write \"10.0.0.1\" or \"fd00::1\"; names are not resolved",
        |text, _| patterns::ip_address(text);
    "track" ["string"] type Track, "a pool or a target of one", "write \"pool\" or \"pool/10.0.0.1:80\"",
        |text, folder| text.parse::<Track>()?.based_on(folder).map(|t| t.to_string());
    "media-type" ["string"] mark MediaType, "a media type", "write \"text/plain\"",
        |text, _| patterns::media_type(text);
    "type-pattern" ["string"] mark TypePattern, "a media type or several",
        "write \"text/html\", \"text/*\", \"+json\" for all that end so, or \"*\"", |text, _| patterns::type_pattern(text);
    "host-policy" ["string"] type HostPolicy, "a Host to send", "write \"client\", \"target\", or a host name",
        |text, _| text.parse::<HostPolicy>().map(|p| p.to_string());
    "limit-key" ["string"] type LimitKey, "what requests are counted by",
        "write \"client-ip\", \"consumer\", \"route\", \"header:NAME\", \"cookie:NAME\", \"query:NAME\", \"claim:NAME\", or a template",
        |text, _| text.parse::<LimitKey>().map(|k| k.to_string()), words &limit_key::WORDS;
    "split-key" ["string"] mark SplitKey, "what requests stay with a pool by",
        "write \"client-ip\", \"consumer\", \"header:NAME\", \"cookie:NAME\", \"query:NAME\", \"claim:NAME\", or a template",
        |text, _| limit_key::split_key(text), words &["client-ip", "consumer"];
    "request-rate" ["string"] type RequestRate, "a rate of requests", "write \"100/s\", \"6000/m\", \"1000/h\" or \"10000/d\"",
        |text, _| text.parse::<RequestRate>().map(|r| r.to_string());
    "byte-rate" ["string"] type ByteRate, "a rate of bytes", "write \"1MB/s\" or \"512KiB/s\"",
        |text, _| text.parse::<ByteRate>().map(|r| r.to_string());
    "hash-key" ["string"] type HashKey, "a key to hash",
        "write \"client-ip\", \"path\", \"header:NAME\", \"cookie:NAME\", or \"query:NAME\"",
        |text, _| text.parse::<HashKey>().map(|k| k.to_string()), words &["client-ip", "path"];
    "retry-condition" ["string", "integer"] type RetryOn, "a reason to try again",
        "write \"connect\", \"reset\", \"timeout\", \"bad-response\", or a status from 400 on: \"503\", \"5xx\", \"502-504\"",
        |text, _| text.parse::<RetryOn>().map(|on| on.to_string()), words &RETRY_ON;
    "after-sunset" ["string", "integer"] type AfterSunset, "what follows a sunset",
        "write a status from 400 to 599, or \"serve\"",
        |text, _| text.parse::<AfterSunset>().map(|after| after.to_string()), words &["serve"];
    "status-ranges" ["string", "integer"] type StatusRanges, "a set of status codes",
        "write \"200-399\" or \"200, 204\"", |text, _| text.parse::<StatusRanges>().map(|r| r.to_string());
}

impl JsonSchema for ValueMatch {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ValueMatch".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, ValuePattern::json_schema(generator)] })
    }
}

impl JsonSchema for ExpectRoute {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ExpectRoute".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, RouteName::json_schema(generator)] })
    }
}

fn bytes(text: &str) -> Option<u128> {
    text.parse::<Size>().ok().map(|s| s.0.into())
}

fn count(text: &str) -> Result<u64, Invalid> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(count) if digits => Ok(count),
        _ if digits => Err(Invalid::new("it is too large")),
        _ => Err(Invalid::new("it is no whole number")),
    }
}
