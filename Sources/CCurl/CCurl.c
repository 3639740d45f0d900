// SwiftPM needs one file to compile; everything is inline in the header.
#include "CCurl.h"
