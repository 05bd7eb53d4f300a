-- What wrk's own summary leaves out: the last per mille of the latencies, and each kind of error in a form of its own.
-- It runs once, at the end.
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        "report: requests=%d connect=%d read=%d write=%d status=%d timeout=%d",
        summary.requests, errors.connect, errors.read, errors.write, errors.status, errors.timeout
    ))
    -- wrk takes the time of a batch for that of one request.
    if not batched then
        io.write(string.format(
            " p50=%d p99=%d p999=%d", latency:percentile(50), latency:percentile(99), latency:percentile(99.9)
        ))
    end
    io.write("\n")
end
