//! What becomes of directives that nothing in a configuration of Ringway stands for, and of those of the process.
//!
//! May depend on the ledger and the draft.

use super::Work;
use super::tree::Directive;

/// A directive of the process as a whole.
pub(super) fn main(work: &mut Work<'_>, directive: &Directive) {
    let ledger = &mut work.ledger;
    let id = directive.id;
    match directive.name.as_str() {
        "worker_processes" => match directive.argument(0).parse::<i64>() {
            Ok(workers @ 1..=1024) => {
                work.draft.single("runtime").table.set("workers", workers);
                ledger.carried(id);
            }
            _ => ledger.carried(id),
        },
        "events" => {
            ledger.carried(id);
            for inner in directive.inner() {
                match inner.name.as_str() {
                    "worker_connections" => ledger.differs(
                        inner.id,
                        "`runtime.max_connections` bounds connections with clients, of all workers together",
                    ),
                    _ => ledger.differs(
                        inner.id,
                        "io_uring is used where it is allowed, and each worker has sockets of its own",
                    ),
                }
            }
        }
        "user" => ledger.unsupported(
            id,
            "a user of its own is better than another program's: `runtime.user`, or `User=` in the unit of systemd",
        ),
        "pid" | "working_directory" => ledger.unsupported(id, "the unit of systemd says where it runs"),
        "daemon" | "master_process" => ledger.differs(id, "the process stays in the foreground, as systemd wants it"),
        "error_log" => {
            ledger.differs(id, "what is told of the process goes to standard error; `ringway log-level` says how much")
        }
        "worker_rlimit_nofile"
        | "worker_cpu_affinity"
        | "worker_priority"
        | "worker_shutdown_timeout"
        | "pcre_jit"
        | "thread_pool"
        | "timer_resolution" => {
            ledger.differs(id, "workers are pinned to processors by themselves, and nothing is to be said of it here");
        }
        "load_module" => ledger.unsupported(id, "there are no modules to load"),
        "env" => ledger.differs(id, "`${NAME}` in the configuration stands for a variable of the environment"),
        "mail" => {
            ledger.unsupported(
                id,
                "protocols of mail are not looked into: pass them on by tcp listeners, with `send_proxy`",
            );
            all(work, directive, "it belongs to `mail`");
        }
        name => {
            let why = format!("`{name}` is not known");
            ledger.unsupported(id, why);
            all(work, directive, "it stands in a block that is not known");
        }
    }
}

/// Whether a directive is for the process, where it stands beside servers.
pub(super) fn is_main(directive: &Directive) -> bool {
    ![
        "server",
        "upstream",
        "map",
        "limit_req_zone",
        "limit_conn_zone",
        "proxy_cache_path",
        "log_format",
        "gzip",
        "include",
    ]
    .contains(&directive.name.as_str())
}

/// All that stands in a block, for the same reason.
pub(super) fn all(work: &mut Work<'_>, directive: &Directive, why: &str) {
    for inner in directive.inner() {
        if !work.ledger.has_verdict(inner.id) {
            work.ledger.unsupported(inner.id, why);
        }
        all(work, inner, why);
    }
}

/// Says of what has no verdict that nothing goes by it.
pub(super) fn rest(work: &mut Work<'_>, directives: &[Directive]) {
    for directive in directives {
        if !work.ledger.has_verdict(directive.id) {
            work.ledger.differs(directive.id, "nothing in this file goes by it");
        }
        rest(work, directive.inner());
    }
}

/// A directive of http, a server or a location that no other part looks at.
pub(super) fn other(work: &mut Work<'_>, directive: &Directive) {
    let ledger = &mut work.ledger;
    let id = directive.id;
    match directive.name.as_str() {
        "sendfile"
        | "tcp_nopush"
        | "tcp_nodelay"
        | "types_hash_max_size"
        | "server_names_hash_bucket_size"
        | "server_names_hash_max_size"
        | "default_type"
        | "aio"
        | "directio"
        | "open_file_cache"
        | "open_file_cache_valid"
        | "open_file_cache_min_uses"
        | "open_file_cache_errors"
        | "types"
        | "charset"
        | "proxy_http_version"
        | "http2"
        | "http2_max_concurrent_streams"
        | "reset_timedout_connection"
        | "output_buffers"
        | "gzip_vary"
        | "gzip_proxied"
        | "gzip_disable"
        | "gzip_http_version"
        | "gzip_buffers"
        | "proxy_headers_hash_max_size"
        | "proxy_headers_hash_bucket_size"
        | "map_hash_bucket_size"
        | "map_hash_max_size"
        | "variables_hash_max_size"
        | "variables_hash_bucket_size"
        | "client_body_temp_path"
        | "log_not_found"
        | "proxy_temp_path"
        | "proxy_ssl_session_reuse"
        | "proxy_ssl_server_name"
        | "underscores_in_headers"
        | "ignore_invalid_headers"
        | "chunked_transfer_encoding"
        | "keepalive_disable"
        | "proxy_socket_keepalive"
        | "internal"
        | "etag"
        | "if_modified_since"
        | "satisfy" => match directive.name.as_str() {
            "charset" => ledger.differs(id, "`text/*` of files is said to be in UTF-8"),
            "satisfy" => ledger.differs(
                id,
                "all rules of a route have to let a request through; one of type any-of wants one of them",
            ),
            _ => ledger.carried(id),
        },
        "server_tokens" => ledger.carried(id),
        "error_log" => {
            ledger.differs(id, "what is told of the process goes to standard error; `ringway log-level` says how much");
        }
        "client_header_buffer_size" | "large_client_header_buffers" => {
            ledger.differs(id, "`limits.request_head` bounds heads, 32 KiB by default")
        }
        "proxy_buffering"
        | "proxy_buffers"
        | "proxy_buffer_size"
        | "proxy_busy_buffers_size"
        | "proxy_max_temp_file_size"
        | "proxy_temp_file_write_size"
        | "proxy_request_buffering"
        | "client_body_buffer_size"
        | "client_body_in_single_buffer"
        | "client_body_in_file_only" => {
            ledger.differs(
                id,
                "bodies stream both ways in bounded buffers; `buffer` of a route holds them for slow clients",
            );
        }
        "send_timeout"
        | "lingering_close"
        | "lingering_timeout"
        | "lingering_time"
        | "keepalive_requests"
        | "keepalive_time"
        | "keepalive_min_timeout" => {
            ledger.differs(id, "`timeouts` of the listener say how long clients may take, with defaults that are safe");
        }
        "resolver" | "resolver_timeout" => {
            ledger.differs(id, "names of targets are looked up by a pool's `discover`, by the servers of `[dns]`")
        }
        "ssl_ciphers"
        | "ssl_prefer_server_ciphers"
        | "ssl_ecdh_curve"
        | "ssl_dhparam"
        | "ssl_session_cache"
        | "ssl_session_timeout"
        | "ssl_buffer_size"
        | "ssl_conf_command"
        | "proxy_ssl_ciphers"
        | "proxy_ssl_protocols" => {
            ledger.differs(id, "TLS 1.2 and 1.3 are spoken with AES-GCM and ChaCha20-Poly1305 and forward secrecy alone; sessions are resumed by tickets");
        }
        "ssl_stapling" | "ssl_stapling_verify" | "ssl_trusted_certificate" | "ssl_stapling_file" => {
            ledger.differs(
                id,
                "a response that lies beside the certificate (`CERT.ocsp`) is stapled; Ringway asks nobody",
            );
        }
        "ssl_early_data" => ledger.unsupported(id, "there is no early data"),
        "http3" | "quic_retry" | "quic_gso" | "http3_hq" => {
            ledger.unsupported(id, "HTTP/3 is not spoken: clients come by HTTP/2")
        }
        "fastcgi_pass" | "uwsgi_pass" | "scgi_pass" | "memcached_pass" => {
            ledger.unsupported(id, "of targets HTTP is spoken with: put a server in between that speaks their protocol")
        }
        name if name.starts_with("fastcgi_") || name.starts_with("uwsgi_") || name.starts_with("scgi_") => {
            ledger.unsupported(id, "FastCGI, uwsgi and SCGI are not spoken")
        }
        "sub_filter" | "sub_filter_once" | "sub_filter_types" | "ssi" | "addition_types" | "add_after_body"
        | "add_before_body" => {
            ledger.unsupported(id, "bodies are edited as JSON alone, by rules of type transform");
        }
        "autoindex" | "autoindex_exact_size" | "autoindex_localtime" | "random_index" => {
            ledger.unsupported(id, "folders are never listed")
        }
        "stub_status" | "api" | "status_zone" | "status" => {
            ledger.unsupported(id, "the admin listener has `/metrics` and `ringway status`")
        }
        "mirror" | "mirror_request_body" => ledger.unsupported(
            id,
            "requests are not sent twice for a test; `hedge` asks a second target where the first is slow",
        ),
        "dav_methods" | "dav_access" | "create_full_put_path" => ledger.unsupported(id, "files are read alone"),
        "geo"
        | "geoip_country"
        | "geoip2"
        | "split_clients"
        | "perl"
        | "js_import"
        | "js_content"
        | "js_set"
        | "lua_package_path"
        | "content_by_lua_block"
        | "access_by_lua_block"
        | "rewrite_by_lua_block" => {
            ledger
                .unsupported(id, "there is no such thing: `when` of a route, and rules, decide by what a request says");
            all(work, directive, "it belongs to a block that is not supported");
        }
        "valid_referers" | "secure_link" | "secure_link_md5" => {
            ledger.opens(id, "use a rule of type signature, jwt or csrf")
        }
        "limit_req_status" | "limit_conn_status" => ledger.differs(id, "who is refused gets 429"),
        "limit_req_log_level" | "limit_conn_log_level" | "limit_req_dry_run" => {
            ledger.differs(id, "a rule has `mode = \"shadow\"`, and the log says why somebody was refused")
        }
        "proxy_cache_bypass" | "proxy_no_cache" => {
            ledger.unsupported(id, "what an answer says decides; `cache.request_directives` says what requests may")
        }
        "proxy_cache_lock"
        | "proxy_cache_lock_timeout"
        | "proxy_cache_lock_age"
        | "proxy_cache_revalidate"
        | "proxy_cache_background_update"
        | "proxy_cache_methods"
        | "proxy_cache_min_uses"
        | "proxy_ignore_client_abort" => {
            ledger.differs(id, "many who ask for the same wait for one answer, and what became stale is validated")
        }
        "proxy_ignore_headers" => {
            ledger.differs(id, "what an answer says counts; `cache.ttl` and `cache.set_cookie` say otherwise")
        }
        "proxy_pass_request_headers" | "proxy_pass_request_body" | "proxy_pass_header" | "proxy_method" => {
            ledger.unsupported(id, "requests go on as they come; rules of type transform change them")
        }
        "proxy_cookie_path" | "proxy_cookie_domain" | "proxy_cookie_flags" => {
            ledger.differs(id, "`rewrite.back` of a route puts paths and domains of cookies back")
        }
        "proxy_bind" => {
            ledger.unsupported(id, "`source` of the pool takes addresses, or \"client\" for the client's own")
        }
        "proxy_limit_rate" | "limit_rate_after" | "limit_conn_dry_run" => {
            ledger.unsupported(id, "use a rule of type bandwidth")
        }
        name => {
            let why = format!("`{name}` is not known");
            ledger.unsupported(id, why);
            all(work, directive, "it belongs to a block that is not supported");
        }
    }
}
