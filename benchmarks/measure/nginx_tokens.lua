-- The token check for nginx, which has none of its own: libcrypto through LuaJIT's FFI, behind a cache of verified
-- tokens. This is the fastest that is known for it. `exp` is honoured on every request, as the gateway does.

local ffi = require "ffi"
local json = require "cjson.safe"
local base64 = require "ngx.base64"
-- The table-based one rehashes as tokens come and go: five times the cost when none is seen twice.
local lrucache = require "resty.lrucache.pureffi"

ffi.cdef [[
const void *EVP_sha256(void);
unsigned char *HMAC(const void *, const char *, int, const char *, size_t, unsigned char *, unsigned int *);
int CRYPTO_memcmp(const void *, const void *, size_t);
void *BIO_new_mem_buf(const char *, int);
void *PEM_read_bio_PUBKEY(void *, void *, void *, void *);
void *EVP_MD_CTX_new(void);
int EVP_DigestVerifyInit(void *, void **, const void *, void *, void *);
int EVP_DigestVerify(void *, const char *, size_t, const char *, size_t);
void ERR_clear_error(void);
]]
local C = ffi.C
local sha256 = C.EVP_sha256()

local function hs256(secret)
    local digest = ffi.new("unsigned char[32]")
    return function(signed, signature)
        C.HMAC(sha256, secret, #secret, signed, #signed, digest, nil)
        return #signature == 32 and C.CRYPTO_memcmp(digest, signature, 32) == 0
    end
end

local function asymmetric(pem)
    local key = C.PEM_read_bio_PUBKEY(C.BIO_new_mem_buf(pem, #pem), nil, nil, nil)
    local context = C.EVP_MD_CTX_new()
    assert(key ~= nil, "no public key")
    return function(signed, signature)
        C.EVP_DigestVerifyInit(context, nil, sha256, nil, key)
        local sound = C.EVP_DigestVerify(context, signature, #signature, signed, #signed) == 1
        if not sound then C.ERR_clear_error() end
        return sound
    end
end

-- A token holds r and s as they are (RFC 7518 section 3.4); libcrypto wants them as integers of ASN.1.
local function integer(bytes)
    bytes = bytes:gsub("^%z+", "")
    if bytes == "" or bytes:byte() >= 128 then bytes = "\0" .. bytes end
    return "\2" .. string.char(#bytes) .. bytes
end

local function es256(pem)
    local verify = asymmetric(pem)
    return function(signed, signature)
        if #signature ~= 64 then return false end
        local body = integer(signature:sub(1, 32)) .. integer(signature:sub(33))
        return verify(signed, "\48" .. string.char(#body) .. body)
    end
end

local makers = {HS256 = hs256, RS256 = asymmetric, ES256 = es256}

-- Gives the function for `access_by_lua_block`: it ends the request with 401, or sets $user and $role.
return function(algorithm, key_file)
    local file = assert(io.open(key_file, "rb"))
    local verify = makers[algorithm](file:read("*a"))
    file:close()
    local verified = assert(lrucache.new(4096))

    local function check(token)
        -- Plain searches, because LuaJIT does not compile patterns.
        local first = token:find(".", 1, true)
        local second = first and token:find(".", first + 1, true)
        if not second then return nil end
        local described = json.decode(base64.decode_base64url(token:sub(1, first - 1)) or "")
        local signature = base64.decode_base64url(token:sub(second + 1))
        if not described or described.alg ~= algorithm or not signature then return nil end
        if not verify(token:sub(1, second - 1), signature) then return nil end
        return json.decode(base64.decode_base64url(token:sub(first + 1, second - 1)) or "")
    end

    return function()
        local field = ngx.var.http_authorization
        local token = field and field:sub(1, 7) == "Bearer " and field:sub(8)
        if not token then return ngx.exit(401) end
        local claims = verified:get(token)
        if not claims then
            claims = check(token)
            if not claims then return ngx.exit(401) end
            verified:set(token, claims)
        end
        if claims.exp <= ngx.time() then return ngx.exit(401) end
        ngx.var.user = claims.sub
        ngx.var.role = claims.role
    end
end
