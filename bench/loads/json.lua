-- A POST of 1 KiB of JSON each: an order of twelve items, as bench/peers/orders.yaml describes it.
require "report"

local items = {}
for number = 1, 12 do
  items[number] = string.format(
    '{"sku":"article-%04d","count":%d,"price":%.2f,"note":"by the usual way"}', number, number, number * 1.25)
end

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"customer":"acme-of-the-east","express":true,"address":{"street":"Long Lane 12","city":"Harbour",'
  .. '"zip":"12345"},"items":[' .. table.concat(items, ",") .. "]}"
