#include "runtime/endpoints.h"

#include <fmt/format.h>

#include <algorithm>

namespace tailrace::runtime {
namespace {

bool is_wildcard(const HostPort& address) {
  return address.host == "0.0.0.0" || address.host == "::";
}

std::string listener_list(const std::vector<HostPort>& addresses) {
  std::string list;
  for (const HostPort& address : addresses) {
    list += fmt::format("{}PLAINTEXT://{}", list.empty() ? "" : ",", join_address(address));
  }
  return list;
}

// Port 0 is another one each time.
bool is_told_twice(const std::vector<HostPort>& addresses, std::string& why) {
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    for (std::size_t k = 0; k < i && addresses[i].port != 0; ++k) {
      if (join_address(addresses[i]) != join_address(addresses[k])) continue;
      why = fmt::format("--listen {}: named twice; once is enough", join_address(addresses[i]));
      return true;
    }
  }
  return false;
}

bool read_address(std::string_view option, const std::string& text,
                  std::vector<HostPort>& addresses, std::string& why) {
  HostPort address;
  if (!split_address(text, address, why)) {
    why = fmt::format("{}: {}", option, why);
    return false;
  }
  if (!resolve_host(address, why)) {
    why = fmt::format("{}: {}", option, why);
    return false;
  }
  addresses.push_back(address);
  return true;
}

}  // namespace

void Endpoints::set_port(std::size_t listener, std::uint16_t port) {
  if (listen[listener].port == 0) listen[listener].port = port;
  if (advertise[listener].port == 0) advertise[listener].port = port;
}

std::vector<std::string> Endpoints::listen_texts() const {
  std::vector<std::string> texts;
  for (const HostPort& address : listen) texts.push_back(join_address(address));
  return texts;
}

std::vector<bus::Endpoint> Endpoints::told() const {
  std::vector<bus::Endpoint> endpoints;
  for (const HostPort& address : advertise) endpoints.push_back({address.host, address.port});
  return endpoints;
}

bool read_endpoints(const Config& config, Endpoints& endpoints, std::string& why) {
  if (config.listen.empty()) {
    why = "no address to listen on was named";
    return false;
  }
  for (const std::string& text : config.listen) {
    if (!read_address("--listen", text, endpoints.listen, why)) return false;
  }
  if (is_told_twice(endpoints.listen, why)) return false;
  if (!config.admin.empty() && !read_address("--admin", config.admin, endpoints.admin, why)) {
    return false;
  }
  if (!config.advertise.empty() && config.advertise.size() != config.listen.size()) {
    why = fmt::format("--advertise: found {} addresses, allowed: one per --listen, {}",
                      config.advertise.size(), config.listen.size());
    return false;
  }
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    HostPort told = endpoints.listen[i];
    if (!config.advertise.empty() && !split_address(config.advertise[i], told, why)) {
      why = "--advertise: " + why;
      return false;
    }
    if (is_wildcard(told)) {
      why = fmt::format("--listen {}: clients cannot connect to this address; say with "
                        "--advertise HOST:PORT what they are to use", config.listen[i]);
      return false;
    }
    endpoints.advertise.push_back(told);
  }
  return true;
}

broker::StaticConfig static_config(const Endpoints& endpoints, const Profile& profile,
                                   const std::string& directory, std::int32_t node_id) {
  const std::string node = std::to_string(node_id);
  broker::StaticConfig config{.log_dir = directory, .values = {
      {"advertised.listeners", listener_list(endpoints.advertise)},
      {"broker.id", node},
      {"connections.max.idle.ms", std::to_string(profile.connection_idle_s_max * 1000)},
      {"group.consumer.heartbeat.interval.ms",
       std::to_string(profile.consumer_heartbeat_interval_ms)},
      {"group.consumer.max.heartbeat.interval.ms",
       std::to_string(profile.consumer_heartbeat_interval_max_ms)},
      {"group.consumer.max.session.timeout.ms",
       std::to_string(profile.consumer_session_timeout_max_ms)},
      {"group.consumer.min.heartbeat.interval.ms",
       std::to_string(profile.consumer_heartbeat_interval_min_ms)},
      {"group.consumer.min.session.timeout.ms",
       std::to_string(profile.consumer_session_timeout_min_ms)},
      {"group.consumer.session.timeout.ms", std::to_string(profile.consumer_session_timeout_ms)},
      {"group.initial.rebalance.delay.ms", std::to_string(profile.initial_delay_ms)},
      {"group.max.size", std::to_string(profile.members_max)},
      {"listeners", listener_list(endpoints.listen)},
      {"log.dir", directory},
      {"log.dirs", directory},
      {"node.id", node},
      {"offsets.retention.minutes", std::to_string(profile.offsets_retention_minutes)},
      {"offsets.topic.num.partitions", std::to_string(profile.offsets_partitions)},
      {"socket.request.max.bytes", std::to_string(profile.request_bytes_max)},
  }};
  std::sort(config.values.begin(), config.values.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return config;
}

}  // namespace tailrace::runtime
