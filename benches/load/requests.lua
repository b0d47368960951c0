-- The requests that wrk sends. Arguments: operation, token, users, a number that differs in each run, and
-- an argument of the operation: a path, or a file of ids. Ids and names are those of fill.rs.

local body_type = "application/scim+json"
local user_schema = "urn:ietf:params:scim:schemas:core:2.0:User"
local patch_schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
local users, salt, argument, headers
local made = 0
local pool = {}

local function id(number)
  return string.format("01890000-0000-7000-8000-%012d", number)
end

local function name(number)
  return string.format("zq%09d@example.com", number)
end

local function anybody()
  return math.random(0, users - 1)
end

local function get(path)
  return wrk.format("GET", "/scim/v2" .. path, headers)
end

local function read_directory(path)
  return wrk.format("GET", "/directory/v1" .. path, headers)
end

local function send(method, path, body)
  return wrk.format(method, "/scim/v2" .. path, headers, body)
end

-- Okta's create request, as in tests/it/harness/sample.rs.
local function user(user_name, title)
  local given = string.match(user_name, "^[^@.]*")
  return string.format(
    '{"schemas":["%s"],"userName":"%s","name":{"givenName":"%s","familyName":"Byron"},'
      .. '"emails":[{"primary":true,"value":"%s","type":"work"}],"displayName":"%s Byron","locale":"en-US",'
      .. '"externalId":"00u-%s","groups":[],"password":"q7#Lm2xz","active":true%s}',
    user_schema, user_name, given, user_name, given, user_name, title
  )
end

local operations = {
  get = function()
    return get("/Users/" .. id(anybody()))
  end,
  filter = function()
    return get("/Users?filter=userName%20eq%20%22" .. name(anybody()) .. "%22&startIndex=1&count=100")
  end,
  create = function()
    made = made + 1
    return send("POST", "/Users", user(string.format("new%d.%d@example.com", salt, made), ""))
  end,
  -- In sequence, so that each user is changed once before any is changed again; active alternates.
  patch = function()
    local at = salt + made
    made = made + 1
    local active = math.floor(at / users) % 2 == 1
    return send("PATCH", "/Users/" .. id(at % users), string.format(
      '{"schemas":["%s"],"Operations":[{"op":"replace","value":{"active":%s}}]}', patch_schema, tostring(active)
    ))
  end,
}

-- Adds a user of the pool to a group, and removes the one added a hundred requests before, so that the
-- size of the group stays the same.
local function member(at)
  local op = '{"op":"add","path":"members","value":[{"value":"%s"}]}'
  local number = at
  if at >= 100 then
    number = math.floor((at - 100) / 2)
    if at % 2 == 0 then
      number = number + 100
    else
      op = [[{"op":"remove","path":"members[value eq \"%s\"]"}]]
    end
  end
  op = string.format(op, pool[number % #pool + 1])
  return string.format('{"schemas":["%s"],"Operations":[%s]}', patch_schema, op)
end

operations.email = function()
  return get("/Users?filter=emails.value%20eq%20%22" .. name(anybody()) .. "%22")
end
operations.put = function()
  made = made + 1
  local number = anybody()
  return send("PUT", "/Users/" .. id(number), user(name(number), string.format(',"title":"%d.%d"', salt, made)))
end
operations.deep = function()
  local half = math.floor(users / 2)
  return get("/Users?count=100&startIndex=" .. half + math.random(0, half - 100))
end
operations.lookup = function()
  return read_directory("/users?email=" .. name(anybody()))
end
operations.path = function()
  return wrk.format("GET", argument, headers)
end
operations.membership = function()
  return read_directory(argument .. id(anybody()))
end
operations.member = function()
  local at = salt + made
  made = made + 1
  return send("PATCH", argument, member(at))
end

local make

function init(args)
  make = operations[args[1]]
  users, salt, argument = tonumber(args[3]), tonumber(args[4]), args[5]
  if args[6] then
    for line in io.lines(args[6]) do
      pool[#pool + 1] = line
    end
  end
  headers = { Authorization = "Bearer " .. args[2], Accept = body_type, ["Content-Type"] = body_type }
  math.randomseed(salt)
end

function request()
  return make()
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"micros":%d,"bytes":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
