-- A consumer with its key.
require "report"

wrk.headers["apikey"] = "bench-key-of-acme"
