// The connections of our own TCP/IP as a table for a person: what `ss -ti` shows of the kernel's.
#pragma once

#include <string>

#include "net/stack.h"

namespace tailrace::runtime {

// The names of the columns, and a line for each connection.
std::string connection_table_head();
std::string connection_table(const net::Stack& stack, std::uint16_t core);

}  // namespace tailrace::runtime
