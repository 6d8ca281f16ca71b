// libyaml's event parser. The document API is not used: events carry the line and column of every value.
#ifndef GATEWAY_YAML_SHIM_H
#define GATEWAY_YAML_SHIM_H

#include <yaml.h>

#endif
