// Addresses of the node's own network, from texts; io/userstack/address_text.h is the way back.
#pragma once

#include <string_view>
#include <vector>

#include "net/interface.h"

namespace tailrace::runtime {

// "10.0.0.5/24" or several, with commas between them. False: it is something else, or empty, or
// no station's: loopback, multicast, an IPv4 network itself or its broadcast address.
bool parse_addresses(std::string_view text, std::vector<net::InterfaceAddress>& addresses);
// A numeric address of either family.
bool parse_address(std::string_view text, net::IpAddress& address);
// "02:00:0a:00:00:05", of a single station.
bool parse_mac(std::string_view text, net::MacAddress& mac);

// Text keys of the profile that are empty or have the form.
bool is_addresses_or_empty(std::string_view text);
bool is_address_or_empty(std::string_view text);
bool is_mac_or_empty(std::string_view text);

}  // namespace tailrace::runtime
