-- Sixteen requests at a time on each connection.
require "report"

local DEPTH = 16
local batch
batched = true

function init(args)
    batch = string.rep(wrk.format(), DEPTH)
end

function request()
    return batch
end
