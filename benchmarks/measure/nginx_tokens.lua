-- The token check for nginx, which has none of its own: libcrypto through LuaJIT's FFI, behind a cache of verified
-- tokens. This is the fastest that is known for it. `exp` is honoured on every request, as the gateway does.

local ffi = require "ffi"
local json = require "cjson.safe"
local base64 = require "ngx.base64"
-- The table-based one rehashes as tokens come and go: five times the cost when none is seen twice.
local lrucache = require "resty.lrucache.pureffi"

ffi.cdef [[
typedef struct { const char *key; unsigned int type; void *data; size_t size, returned; } OSSL_PARAM;
OSSL_PARAM OSSL_PARAM_construct_utf8_string(const char *, char *, size_t);
OSSL_PARAM OSSL_PARAM_construct_end(void);
void *EVP_MAC_fetch(void *, const char *, const char *);
void *EVP_MAC_CTX_new(void *);
int EVP_MAC_init(void *, const char *, size_t, const OSSL_PARAM *);
int EVP_MAC_update(void *, const char *, size_t);
int EVP_MAC_final(void *, unsigned char *, size_t *, size_t);
const void *EVP_sha256(void);
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

-- The key is set once: HMAC() would hash it, and look the algorithm up, for every token.
local function hs256(secret)
    local digest, written = ffi.new("unsigned char[32]"), ffi.new("size_t[1]")
    local context = C.EVP_MAC_CTX_new(C.EVP_MAC_fetch(nil, "HMAC", nil))
    local name = ffi.new("char[7]", "SHA256")
    local parameters = ffi.new("OSSL_PARAM[2]")
    parameters[0] = C.OSSL_PARAM_construct_utf8_string("digest", name, 0)
    parameters[1] = C.OSSL_PARAM_construct_end()
    assert(C.EVP_MAC_init(context, secret, #secret, parameters) == 1, "no HMAC")
    return function(signed, signature)
        C.EVP_MAC_init(context, nil, 0, nil)
        C.EVP_MAC_update(context, signed, #signed)
        C.EVP_MAC_final(context, digest, written, 32)
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
    -- Nearly all tokens have the header of the one before: one that was right is not decoded again.
    local right

    local function is_right(header)
        if header == right then return true end
        local described = json.decode(base64.decode_base64url(header) or "")
        if not described or described.alg ~= algorithm then return false end
        right = header
        return true
    end

    local function check(token)
        -- Plain searches, because LuaJIT does not compile patterns.
        local first = token:find(".", 1, true)
        local second = first and token:find(".", first + 1, true)
        if not second then return nil end
        if not is_right(token:sub(1, first - 1)) then return nil end
        local signature = base64.decode_base64url(token:sub(second + 1))
        if not signature then return nil end
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
