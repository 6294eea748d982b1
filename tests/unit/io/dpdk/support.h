// DPDK without devices, without huge pages, without privileges: what is sent on a port comes in on
// it (net_ring). A process sets it up once, so that all tests share it; port 1 is never opened.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "io/dpdk/environment.h"
#include "io/dpdk/port.h"

namespace tailrace::io::dpdk {

inline void set_up_environment() {
  static std::unique_ptr<Environment> environment;
  if (environment != nullptr) return;
  std::string why;
  environment = Environment::create({.devices = {"net_ring0", "net_ring1"}, .huge_pages = false,
                                     .memory_bytes = 256 << 20}, why);
  ASSERT_NE(environment, nullptr) << why;
}

inline Port& looped_port() {
  set_up_environment();   // before the port, which goes first
  static std::unique_ptr<Port> port;
  if (port != nullptr) return *port;
  std::string why;
  PortOptions options{.device = "net_ring0", .queues = 2, .huge_pages = false,
                      .receive_bytes = 1 << 20};
  options.quiet_min = Duration{};
  port = Port::open(0, options, why);
  EXPECT_NE(port, nullptr) << why;
  return *port;
}

}  // namespace tailrace::io::dpdk
