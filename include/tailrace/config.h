// What a host decides when it embeds an appliance. Sizes and limits come from the hardware
// profile (hw-profiles/*.toml), not from here.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace tailrace {

struct Config {
  // A TOML hardware profile; empty: the embedded default, the same as hw-profiles/laptop.toml.
  std::string profile_path;
  // Formatted when it is empty or missing; refused when it is foreign, newer or in use.
  std::string data_directory;
  // "host:port" ("127.0.0.1:9092", "[::1]:9092"); of a name its first IPv4 address, else its first.
  // Port 0 takes a free one.
  std::vector<std::string> listen;
  // What clients are told to connect to, one per listen address; empty: the listen address itself.
  std::vector<std::string> advertise;
  // "host:port" of the metrics and status server; empty: none.
  std::string admin;
  // Asked often while open() and start() work: true ends them soon, and open() returns null with
  // an empty `why`. The next start begins again where it can. Empty: never.
  std::function<bool()> should_stop;
};

}  // namespace tailrace
