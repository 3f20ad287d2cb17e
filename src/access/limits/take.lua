-- Takes one request out of a bucket (GCRA). KEYS[1]: the bucket, which holds the time at which it is full again.
-- ARGV[1]: requests it holds; ARGV[2]: microseconds in which one comes back.
-- Returns whether it passes, how many are left, and the microseconds to wait where none is.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local limit, interval = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + interval
local room = now + limit * interval - full
if room < 0 then
  return {0, 0, -room}
end
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return {1, math.floor(room / interval), 0}
