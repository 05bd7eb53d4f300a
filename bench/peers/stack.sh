# Three hops of which each does one thing: an edge that ends TLS (nginx), a gateway that knows keys, counts requests and sets a header
# (nginx), a balancer (HAProxy). One worker each, connections kept between them, no logs, on one core as everybody here.
cat > {{dir}}/edge.conf <<'END'
worker_processes 1;
daemon off;
pid {{dir}}/edge.pid;
error_log stderr warn;
events { worker_connections 20000; }
http {
    access_log off;
    keepalive_requests 1000000000;
    ssl_protocols TLSv1.2 TLSv1.3;
    upstream gateway { server 127.0.0.1:{{tcp}}; keepalive 1000; keepalive_requests 1000000000; }
    server {
        listen 127.0.0.1:{{http}}{{tls}};
        location / {
            proxy_pass http://gateway;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
        }
    }
}
END
cat > {{dir}}/gateway.conf <<'END'
worker_processes 1;
daemon off;
pid {{dir}}/gateway.pid;
error_log stderr crit;
events { worker_connections 20000; }
http {
    access_log off;
    keepalive_requests 1000000000;
    map $http_apikey $consumer { default ""; "bench-key-of-acme" acme; }
    limit_req_zone $consumer zone=consumers:10m rate=1000000r/s;
    upstream balancer { server 127.0.0.1:{{admin}}; keepalive 1000; keepalive_requests 1000000000; }
    server {
        listen 127.0.0.1:{{tcp}};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        location / { proxy_pass http://balancer; }
        location /route-1/ {
            if ($consumer = "") { return 401; }
            limit_req zone=consumers burst=1000000 nodelay;
            proxy_pass http://balancer;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header apikey "";
            proxy_set_header X-Consumer-Username $consumer;
            proxy_set_header X-Gateway bench;
        }
    }
}
END
cat > {{dir}}/balancer.cfg <<'END'
global
    nbthread 1
    maxconn 9900
    tune.idle-pool.shared on
defaults
    maxconn 9900
    mode http
    no log
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    http-reuse always
    option http-keep-alive
frontend web
    bind 127.0.0.1:{{admin}}
    default_backend site
backend site
    {{targets}}
END
trap 'kill 0' TERM INT
nginx -c {{dir}}/edge.conf &
nginx -c {{dir}}/gateway.conf &
haproxy -db -f {{dir}}/balancer.cfg &
wait
