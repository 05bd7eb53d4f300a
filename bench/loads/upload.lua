-- A POST of 64 KiB each.
require "report"

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.body = string.rep("x", 64 * 1024)
