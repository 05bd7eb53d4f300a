-- Who takes gzip.
require "report"

wrk.headers["Accept-Encoding"] = "gzip"
