"""Sessions of TLS that send records which no library of Python would: changes of keys, beginnings of new handshakes."""

import ctypes
import ctypes.util
import hashlib
import hmac
import socket
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HANDSHAKE = 22
_MIN_VERSION, _MAX_VERSION = 123, 124  # SSL_CTRL_SET_MIN_PROTO_VERSION and SSL_CTRL_SET_MAX_PROTO_VERSION

_ssl = ctypes.CDLL(ctypes.util.find_library("ssl"))
_crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
_pointer, _int, _text, _size = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t
for _library, _name, _result, *_arguments in (
    (_ssl, "TLS_client_method", _pointer),
    (_ssl, "SSL_CTX_new", _pointer, _pointer),
    (_ssl, "SSL_CTX_ctrl", ctypes.c_long, _pointer, _int, ctypes.c_long, _pointer),
    (_ssl, "SSL_CTX_set_cipher_list", _int, _pointer, _text),
    (_ssl, "SSL_CTX_free", None, _pointer),
    (_ssl, "SSL_new", _pointer, _pointer),
    (_ssl, "SSL_free", None, _pointer),
    (_ssl, "SSL_set_bio", None, _pointer, _pointer, _pointer),
    (_ssl, "SSL_set_connect_state", None, _pointer),
    (_ssl, "SSL_do_handshake", _int, _pointer),
    (_ssl, "SSL_key_update", _int, _pointer, _int),
    (_ssl, "SSL_write", _int, _pointer, _text, _int),
    (_ssl, "SSL_get_session", _pointer, _pointer),
    (_ssl, "SSL_SESSION_get_master_key", _size, _pointer, _text, _size),
    (_ssl, "SSL_get_client_random", _size, _pointer, _text, _size),
    (_ssl, "SSL_get_server_random", _size, _pointer, _text, _size),
    (_crypto, "BIO_s_mem", _pointer),
    (_crypto, "BIO_new", _pointer, _pointer),
    (_crypto, "BIO_read", _int, _pointer, _text, _int),
    (_crypto, "BIO_write", _int, _pointer, _text, _int),
):
    _function = getattr(_library, _name)
    _function.restype, _function.argtypes = _result, _arguments


class Session:
    """A client's session whose handshake is done. It trusts anybody: it is there for what it sends."""

    def __init__(self, address: tuple[str, int], source: str, version: int = 0x304) -> None:
        self.socket = socket.create_connection(address, 10, (source, 0))
        context = _ssl.SSL_CTX_new(_ssl.TLS_client_method())
        _ssl.SSL_CTX_ctrl(context, _MIN_VERSION, version, None)
        _ssl.SSL_CTX_ctrl(context, _MAX_VERSION, version, None)
        _ssl.SSL_CTX_set_cipher_list(context, b"ECDHE-ECDSA-AES128-GCM-SHA256")
        self._ssl = _ssl.SSL_new(context)
        _ssl.SSL_CTX_free(context)
        self._in, self._out = (_crypto.BIO_new(_crypto.BIO_s_mem()) for _ in range(2))
        _ssl.SSL_set_bio(self._ssl, self._in, self._out)
        _ssl.SSL_set_connect_state(self._ssl)
        while _ssl.SSL_do_handshake(self._ssl) != 1:
            self.socket.sendall(self._written())
            data = self.socket.recv(65_536)
            assert data, "the gateway ended the handshake"
            _crypto.BIO_write(self._in, data, len(data))
        self.socket.sendall(self._written())

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        _ssl.SSL_free(self._ssl)

    def _written(self) -> bytes:
        pieces = []
        room = ctypes.create_string_buffer(1 << 20)
        while (count := _crypto.BIO_read(self._out, room, len(room))) > 0:
            pieces.append(room.raw[:count])
        return b"".join(pieces)

    def key_updates(self, count: int) -> bytes:
        """TLS 1.3: as many records that change the keys of what follows (RFC 8446 §4.6.3) and ask for nothing."""
        for _ in range(count):
            assert _ssl.SSL_key_update(self._ssl, 0) == 1
            assert _ssl.SSL_do_handshake(self._ssl) == 1
        return self._written()

    def data(self, plain: bytes) -> bytes:
        assert _ssl.SSL_write(self._ssl, plain, len(plain)) == len(plain)
        return self._written()

    def renegotiations(self, count: int) -> bytes:
        """TLS 1.2: as many records in which a handshake begins. OpenSSL sends one and waits, so they are made here."""
        master, client, server = (ctypes.create_string_buffer(size) for size in (48, 32, 32))
        _ssl.SSL_SESSION_get_master_key(_ssl.SSL_get_session(self._ssl), master, 48)
        _ssl.SSL_get_client_random(self._ssl, client, 32)
        _ssl.SSL_get_server_random(self._ssl, server, 32)
        block = _expanded(master.raw, b"key expansion" + server.raw + client.raw, 40)
        cipher, salt = AESGCM(block[:16]), block[32:36]
        # The first record was the Finished of the handshake.
        return b"".join(_sealed(cipher, salt, number, b"\1\0\0\0") for number in range(1, count + 1))

    def end(self) -> None:
        """Reads until the gateway has closed the connection, or reset it."""
        try:
            while self.socket.recv(65_536):
                pass
        except ConnectionError:
            pass


def _sealed(cipher: AESGCM, salt: bytes, number: int, plain: bytes) -> bytes:
    """RFC 5288 §3."""
    nonce = struct.pack("!Q", number)
    sealed = cipher.encrypt(salt + nonce, plain, nonce + struct.pack("!BHH", HANDSHAKE, 0x303, len(plain)))
    return struct.pack("!BHH", HANDSHAKE, 0x303, len(sealed) + 8) + nonce + sealed


def _expanded(secret: bytes, seed: bytes, count: int) -> bytes:
    """RFC 5246 §5."""
    result, link = b"", seed
    while len(result) < count:
        link = hmac.new(secret, link, hashlib.sha256).digest()
        result += hmac.new(secret, link + seed, hashlib.sha256).digest()
    return result[:count]
