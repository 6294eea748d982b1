// The client's end of the network: kernel sockets through io_uring, or our own TCP/IP on a port of
// DPDK's. One thread; connections hang on it and are told what comes.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "io/dpdk/dpdk_network.h"
#include "io/transport.h"
#include "io/uring/ring.h"
#include "io/uring/ring_idle.h"

namespace tailrace::load {

struct NetworkOptions {
  std::string device;                     // DPDK's name for a port; "": kernel sockets
  std::string address = "10.82.0.2/24";   // our own there
  bool huge_pages = false;
};

// What a connection hears; it outlives its being told, which ends with `closed`.
class Listener {
 public:
  virtual void on_event(const StreamEvent& event) = 0;

 protected:
  ~Listener() = default;
};

class Network {
 public:
  // Null: `why` says it.
  static std::unique_ptr<Network> create(const NetworkOptions& options, std::string& why);

  // 0: it cannot even be tried.
  ConnId connect(const std::string& address, Listener& listener);
  bool send(ConnId conn, std::span<const Bytes> slices, std::uint64_t token) {
    return transport_->send(conn, slices, token);
  }
  // Nobody hears of it any more; what was sent is no longer read.
  void abort(ConnId conn);
  // What was said goes out; what has come is told. Waits for it until `deadline`.
  void turn(Instant deadline);

 private:
  Network() = default;
  bool open_kernel(std::string& why);
  bool open_dpdk(const NetworkOptions& options, std::string& why);
  std::size_t poll();

  // In the order in which they are made; they go in the other.
  std::unique_ptr<io::DpdkNetwork> dpdk_;
  std::unique_ptr<io::Ring> ring_;
  std::unique_ptr<io::RingIdle> idle_;
  std::unique_ptr<io::Transport> transport_;
  std::unordered_map<ConnId, Listener*> listeners_;
};

}  // namespace tailrace::load
