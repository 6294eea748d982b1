// Links: the network of a run whose bytes go through our own TCP. Each core of the node has a
// device, an address and a TCP, each machine of the clients as well, and between any two of
// different sides there is a wire:
//
//   clients - machine - TCP - device ---wire--- device - TCP - core - broker
//                                   \--wire--- device - TCP - core - broker
//
// Wires lose, double, delay, reorder, spoil and shorten (NetLink), and are cut for a while. A core
// that crashes takes its TCP and its device with it: its peers hear nothing, until a new TCP with
// a new key has the address.
//
// The cores have an address each, or share one, with a queue of one port for each (io/steering):
// then a frame may come in any queue, as with hardware that does not know better.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "../world.h"
#include "io/steering/handover.h"
#include "link_machine.h"

namespace tailrace::sim {

class Links {
 public:
  static constexpr std::uint16_t cores_max = 4;

  Links(World& world, std::uint64_t seed, Duration busy);

  // --- the node's side: as of a new start
  void begin_life(std::uint16_t core_count);
  // `idle`: wakes the core.
  std::unique_ptr<LinkTransport> make_transport(std::uint16_t core, io::Idle* idle);
  // Of a core that goes. `crashed`: without a word to anybody.
  void remove(std::uint16_t core, bool crashed);

  // --- the clients' side
  LinkMachine& machine(std::uint64_t draw) { return *machines_[draw % machines_.size()]; }
  const std::string& address(std::uint16_t core) const { return addresses_[core]; }

  // Everything that is due: frames, devices and the machines' turns.
  bool step();
  Instant next_deadline() const;
  // The network is good from now on.
  void heal();
  // All clients end.
  void hang_up();
  // Empty when nothing is open or lent any more, anywhere.
  std::string what_is_left() const;
  // Tells the checkers what the machines' transports found.
  void check_machines();
  void check(const LinkTransport& transport, const std::string& name);
  const LinkPlan& plan() const { return plan_; }

 private:
  struct Wire {
    std::unique_ptr<NetLink> link;   // host 0: the machine; 1: the core
    bool is_cut = false;
  };
  struct Port {
    net::Endpoint local;
    io::LinkAddress link_address{};
    LinkDevice* device = nullptr;    // none: nothing is plugged in
  };
  Port make_port(End end, std::uint8_t index) const;
  std::unique_ptr<LinkDevice> make_device(Port& port, const DevicePlan& plan,
                                          LinkDevice::Wire wire);
  std::unique_ptr<LinkTransport> make_end(End end, std::uint16_t index);
  Wire& wire(std::size_t machine, std::size_t core) { return wires_[machine * cores_max + core]; }
  void send(End by, std::uint16_t index, std::vector<std::byte> frame);
  void send_to_queue(std::uint16_t machine, std::vector<std::byte> frame);
  bool deliver();
  bool cut_and_mend();
  void plan_cut();

  World& world_;
  Prng prng_;
  const LinkPlan plan_;
  Streams streams_;
  std::vector<Port> machine_ports_;
  std::vector<Port> core_ports_;
  std::vector<std::string> addresses_;     // of the cores, as clients name them
  std::vector<Wire> wires_;
  std::uint16_t core_count_ = 0;           // of the node's last start
  std::unique_ptr<io::Handover> handover_; // of its cores, if they share an address
  std::vector<std::unique_ptr<LinkMachine>> machines_;
  Instant cut_at_ = never();
  Instant mend_at_ = never();
};

}  // namespace tailrace::sim
