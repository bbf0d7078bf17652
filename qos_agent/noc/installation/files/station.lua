-- Refuses points whose tag `station` is not the station of the sender. nginx runs it for
-- each write, before the request goes to InfluxDB. It never answers 204.
--
-- The sender is the name in the certificate of the device. Without one it is the station
-- in the account st-STATION-NUMBER, which InfluxDB 1.8 has in the token. InfluxDB checks
-- the password afterwards, so a false account gains nothing. Tokens of other versions
-- name no station: then only a certificate identifies the sender.
--
-- InfluxDB must not read a request in another way than this file does. Everything that an
-- agent never sends is therefore refused: other parameters, other headers for the
-- account, a second gzip member, and lines that are not canonical.

-- A module, which each process of nginx loads once: LuaJIT keeps every declaration.
local ffi = require "ffi"

ffi.cdef [[
typedef struct {
    const uint8_t *next_in; unsigned int avail_in; unsigned long total_in;
    uint8_t *next_out; unsigned int avail_out; unsigned long total_out;
    const char *msg; void *state; void *zalloc; void *zfree; void *opaque;
    int data_type; unsigned long adler; unsigned long reserved;
} qos_stream;
const char *zlibVersion(void);
int inflateInit2_(qos_stream *stream, int bits, const char *version, int size);
int inflate(qos_stream *stream, int flush);
int inflateEnd(qos_stream *stream);
]]

local GZIP_ONLY = 15 + 16
local END, NO_FLUSH = 1, 0
local CHUNK_BYTES = 65536
-- More than any batch of an agent. A small body may inflate to a thousand times its size.
local INFLATED_MAX_BYTES = 16 * 1024 * 1024
local PARAMETERS = { bucket = true, org = true, precision = true }

local chunk = ffi.new("uint8_t[?]", CHUNK_BYTES)

local function refuse(status, message)
    ngx.status = status
    ngx.header.content_type = "application/json"
    local text = message:gsub('[\\"]', "\\%0"):gsub("%c", " ")
    ngx.say('{"error":"' .. text .. '"}')
    return ngx.exit(status)
end

-- Return the content of one gzip member, or nil if there is anything else.
local function inflated(body)
    local stream = ffi.new("qos_stream")
    local size = ffi.sizeof(stream)
    if ffi.C.inflateInit2_(stream, GZIP_ONLY, ffi.C.zlibVersion(), size) ~= 0 then
        return nil
    end
    stream.next_in, stream.avail_in = body, #body
    local parts, total, result = {}, 0, 0
    repeat
        stream.next_out, stream.avail_out = chunk, CHUNK_BYTES
        result = ffi.C.inflate(stream, NO_FLUSH)
        local got = CHUNK_BYTES - stream.avail_out
        total = total + got
        parts[#parts + 1] = ffi.string(chunk, got)
    until result ~= 0 or total > INFLATED_MAX_BYTES
    local rest = stream.avail_in
    ffi.C.inflateEnd(stream)
    if result ~= END or rest ~= 0 then
        return nil
    end
    return table.concat(parts)
end

local function body_of_request()
    ngx.req.read_body()
    local body = ngx.req.get_body_data()
    local name = ngx.req.get_body_file()
    if not body and name then
        local file = io.open(name, "rb")
        body = file and file:read("*a")
        if file then file:close() end
    end
    return body or ""
end

-- Return the station of the sender, or nil if neither certificate nor account names one.
local function sender(authorization)
    if ngx.var.ssl_client_verify == "SUCCESS" then
        return ngx.var.ssl_client_s_dn:match("^CN=([A-Za-z0-9_.-]+)$") or ""
    end
    return (authorization or ""):match("^Token st%-([A-Za-z0-9_-]+)%-%d+:")
end

-- Return an error for a line that is not one of this station, else nil.
local function fault_of(line, station)
    local name, tags = line:match("^([a-z0-9_]+)([A-Za-z0-9_,=-]*) ")
    if not name then
        return 'series "' .. (line:match("^[a-z0-9_]+") or "?") .. '" is not canonical'
    end
    local length, found = 0, nil
    for key, value in tags:gmatch(",([a-z0-9_]+)=([A-Za-z0-9_-]+)") do
        length = length + #key + #value + 2
        if key == "station" then
            if found then return 'series "' .. name .. '" is not canonical' end
            found = value
        end
    end
    if length ~= #tags or not found then
        return 'series "' .. name .. '" is not canonical'
    end
    if found ~= station then
        return 'station "' .. found .. '" is not that of the sender'
    end
end

-- Return an error for the first line that is not one of this station, else nil.
local function fault(text, station)
    for line in text:gmatch("[^\n]+") do
        -- InfluxDB stores no comment. The agent's doctor sends one to check its token.
        local wrong = line:sub(1, 1) ~= "#" and fault_of(line, station)
        if wrong then return wrong end
    end
end

local function check()
    local arguments = ngx.var.args or ""
    -- Old versions of Go end a parameter at a semicolon too.
    if arguments:find(";", 1, true) then
        return refuse(400, "this request has an unknown parameter")
    end
    for key in pairs(ngx.req.get_uri_args()) do
        if not PARAMETERS[key] then
            return refuse(400, "this request has an unknown parameter")
        end
    end
    local headers = ngx.req.get_headers()
    local authorization, encoding = headers["Authorization"], headers["Content-Encoding"]
    if type(authorization) == "table" or type(encoding) == "table" then
        return refuse(400, "this request has a header twice")
    end
    if authorization and not authorization:find("^Token ") then
        return refuse(401, "authorization must have the form Token TOKEN")
    end
    local station = sender(authorization)
    if not station then
        return
    end
    local body = body_of_request()
    if encoding == "gzip" then
        body = inflated(body)
    elseif encoding and encoding ~= "identity" then
        body = nil
    end
    if not body then
        return refuse(400, "this body is not one gzip member of at most 16 MiB")
    end
    local error = fault(body, station)
    if error then
        return refuse(422, error)
    end
end

return { check = check }
