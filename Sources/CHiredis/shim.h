// The protocol layer of hiredis: the RESP reader and the command formatter. Its sockets are not used.
#ifndef GATEWAY_HIREDIS_SHIM_H
#define GATEWAY_HIREDIS_SHIM_H

#include <hiredis/hiredis.h>
#include <hiredis/read.h>

#endif
