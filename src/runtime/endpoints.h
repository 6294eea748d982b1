// What a node listens on and what it tells clients, checked before anything is bound.
#pragma once

#include <string>
#include <vector>

#include "broker/core_broker.h"
#include "bus/image.h"
#include "runtime/address.h"
#include "runtime/profile.h"
#include "tailrace/config.h"

namespace tailrace::runtime {

struct Endpoints {
  std::vector<HostPort> listen;     // as bound
  std::vector<HostPort> advertise;  // what clients are told, by listener
  std::vector<HostPort> admin;      // none or one

  // A port of 0 in `listen` becomes the one that was bound, in `advertise` as well.
  void set_port(std::size_t listener, std::uint16_t port);
  std::vector<std::string> listen_texts() const;
  std::vector<bus::Endpoint> told() const;
};

// False: `why` says which address is wrong and what to write instead.
bool read_endpoints(const Config& config, Endpoints& endpoints, std::string& why);

// The broker configs that a start fixes, by name, as DescribeConfigs tells them.
broker::StaticConfig static_config(const Endpoints& endpoints, const Profile& profile,
                                   const std::string& directory, std::int32_t node_id);

}  // namespace tailrace::runtime
