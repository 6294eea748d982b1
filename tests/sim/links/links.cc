#include "links.h"

#include <algorithm>

#include "io/steering/steered_device.h"
#include "io/userstack/address_text.h"
#include "net/ip.h"

namespace tailrace::sim {
namespace {

constexpr std::uint16_t server_port = 9092;
// Received frames of each queue where cores share an address.
constexpr std::uint32_t frames_min = 64;

Duration draw_up_to(Prng& prng, Duration most) {
  return nanoseconds(
      static_cast<std::int64_t>(prng.below(static_cast<std::uint64_t>(most.ns) + 1)));
}

SipKey draw_key(Prng& prng) {
  SipKey key{};
  const std::uint64_t words[2] = {prng.next(), prng.next()};
  std::memcpy(key.data(), words, sizeof words);
  return key;
}

}  // namespace

Links::Links(World& world, std::uint64_t seed, Duration busy)
    : world_(world), prng_(seed, "wires"), plan_(draw_links(seed, busy)) {
  for (std::uint8_t i = 0; i < plan_.machine_count; ++i) {
    machine_ports_.push_back(make_port(End::client, i));
  }
  for (std::uint8_t i = 0; i < cores_max; ++i) {
    core_ports_.push_back(make_port(End::server, i));
    const std::string host(io::address_text(core_ports_[i].local.address).text());
    addresses_.push_back(fmt::format(fmt::runtime(plan_.is_v6 ? "[{}]:{}" : "{}:{}"), host,
                                     server_port));
  }
  for (std::size_t i = 0; i < std::size_t{plan_.machine_count} * cores_max; ++i) {
    const LinkFaults faults = draw_wire(prng_, plan_.is_v6);
    wires_.push_back({std::make_unique<NetLink>(faults, prng_.next()), false});
  }
  for (std::uint16_t i = 0; i < plan_.machine_count; ++i) {
    auto transport = make_end(End::client, i);
    const Prng prng(prng_.next(), "machine");
    machines_.push_back(std::make_unique<LinkMachine>(plan_, std::move(transport), prng,
                                                      world.clock));
  }
  if (plan_.has_cuts) plan_cut();
}

Links::Port Links::make_port(End end, std::uint8_t index) const {
  if (end == End::server && plan_.is_steered) index = 0;
  const std::uint8_t side = end == End::client ? 1 : 0;
  const auto last = static_cast<std::uint8_t>(side * 100 + index + 1);
  Port port;
  port.local = {net::IpAddress::v4(10, 0, 0, last), server_port};
  if (plan_.is_v6) {
    port.local.address = {{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last}};
  }
  port.link_address = {2, 0, 0, 0, side, static_cast<std::uint8_t>(index + 1)};
  return port;
}

std::unique_ptr<LinkDevice> Links::make_device(Port& port, const DevicePlan& plan,
                                               LinkDevice::Wire wire) {
  auto device = std::make_unique<LinkDevice>(plan, Prng(prng_.next(), "device"), world_.clock,
                                             std::move(wire));
  device->plant_lose_hold = world_.plant == Plant::lose_hold;
  port.device = device.get();
  return device;
}

std::unique_ptr<LinkTransport> Links::make_end(End end, std::uint16_t index) {
  Port& port = end == End::client ? machine_ports_[index] : core_ports_[index];
  LinkTransport::Setup setup{.end = end, .plan = draw_stack(prng_, plan_), .local = port.local,
                             .link_address = port.link_address, .key = draw_key(prng_),
                             .name = fmt::format("{} {}", end == End::client ? "machine" : "core",
                                                 index)};
  setup.plan.device.offers.address = port.link_address;
  const bool is_steered = end == End::server && handover_ != nullptr;
  if (is_steered) {
    setup.plan.device.offers.frames_max = std::max(setup.plan.device.offers.frames_max, frames_min);
    setup.steering = &handover_->steering();
  }
  auto device = make_device(port, setup.plan.device,
                            [this, end, index](std::vector<std::byte> frame) {
                              send(end, index, std::move(frame));
                            });
  LinkDevice& link = *device;
  std::unique_ptr<io::PacketDevice> seen = std::move(device);
  if (is_steered) {
    seen = std::make_unique<io::SteeredDevice>(*handover_, index, std::move(seen));
  }
  return std::make_unique<LinkTransport>(setup, link, std::move(seen), world_.clock, world_.trace,
                                         streams_);
}

void Links::begin_life(std::uint16_t core_count) {
  core_count_ = core_count;
  handover_.reset();
  if (!plan_.is_steered || core_count == 1) return;
  handover_ = std::make_unique<io::Handover>(core_count, frames_min / core_count);
}

std::unique_ptr<LinkTransport> Links::make_transport(std::uint16_t core, io::Idle* idle) {
  if (handover_ != nullptr) handover_->set_idle(core, idle);
  auto transport = make_end(End::server, core);
  transport->plant_tell_early = world_.plant == Plant::reuse_early;
  transport->plant_keep_frames = world_.plant == Plant::keep_frames;
  return transport;
}

void Links::remove(std::uint16_t core, bool crashed) {
  Port& port = core_ports_[core];
  if (crashed) port.device->unplug();
  port.device = nullptr;
}

// To whom it is addressed, or to all on the other side.
void Links::send(End by, std::uint16_t index, std::vector<std::byte> frame) {
  if (by == End::client && plan_.is_steered) return send_to_queue(index, std::move(frame));
  const std::vector<Port>& ports = by == End::client ? core_ports_ : machine_ports_;
  const bool is_for_all = (frame[0] & std::byte{1}) != std::byte{0};
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (!is_for_all && std::memcmp(frame.data(), ports[i].link_address.data(), 6) != 0) continue;
    Wire& wire = by == End::client ? this->wire(index, i) : this->wire(i, index);
    if (wire.is_cut) continue;
    wire.link->transmit(by == End::client ? 0 : 1, frame, world_.clock.instant());
  }
}

// Of a port with a queue for each core a frame comes in one: mostly the same for the same ends.
void Links::send_to_queue(std::uint16_t machine, std::vector<std::byte> frame) {
  if (core_count_ == 0) return;
  std::size_t queue = 0;
  constexpr std::size_t ports_at = net::ethernet_bytes + net::ipv4_bytes;
  const bool is_random = prng_.chance(plan_.queue_chance, 4);
  if (is_random) queue = prng_.below(core_count_);
  if (!is_random && frame.size() > ports_at + 2) {
    queue = static_cast<std::size_t>(frame[ports_at + 1]) % core_count_;
  }
  Wire& wire = this->wire(machine, queue);
  if (!wire.is_cut) wire.link->transmit(0, std::move(frame), world_.clock.instant());
}

bool Links::deliver() {
  bool did = false;
  for (std::size_t i = 0; i < wires_.size(); ++i) {
    NetLink& link = *wires_[i].link;
    while (link.next_arrival() <= world_.clock.instant()) {
      FlyingFrame frame = link.take();
      LinkDevice* device = frame.to == 0 ? machine_ports_[i / cores_max].device
                                         : core_ports_[i % cores_max].device;
      if (device != nullptr) device->arrive(std::move(frame.bytes));
      did = true;
    }
  }
  return did;
}

bool Links::step() {
  const Instant now = world_.clock.instant();
  bool did = cut_and_mend();
  for (std::vector<Port>* ports : {&machine_ports_, &core_ports_}) {
    for (Port& port : *ports) {
      if (port.device == nullptr || now < port.device->work_deadline()) continue;
      port.device->work();
      did = true;
    }
  }
  did |= deliver();
  for (const auto& machine : machines_) did |= machine->step();
  return did;
}

Instant Links::next_deadline() const {
  Instant next = std::min(cut_at_, mend_at_);
  for (const Wire& wire : wires_) next = std::min(next, wire.link->next_arrival());
  for (const std::vector<Port>* ports : {&machine_ports_, &core_ports_}) {
    for (const Port& port : *ports) {
      if (port.device != nullptr) next = std::min(next, port.device->work_deadline());
    }
  }
  for (const auto& machine : machines_) next = std::min(next, machine->next_deadline());
  return next;
}

void Links::plan_cut() {
  cut_at_ = world_.clock.instant() + draw_up_to(prng_, plan_.cut_pause_max);
  mend_at_ = never();
}

bool Links::cut_and_mend() {
  const Instant now = world_.clock.instant();
  if (cut_at_ <= now) {
    // All, a machine, a core, or a single wire.
    const std::uint64_t what = prng_.below(4);
    const std::size_t machine = prng_.below(machines_.size());
    const std::size_t core = prng_.below(cores_max);
    for (std::size_t i = 0; i < wires_.size(); ++i) {
      const bool is_of_machine = i / cores_max == machine;
      const bool is_of_core = i % cores_max == core;
      wires_[i].is_cut = what == 0 || (what == 1 && is_of_machine) || (what == 2 && is_of_core) ||
                         (is_of_machine && is_of_core);
    }
    world_.trace.say(now, "--- wires are cut: kind {}, machine {}, core {}", what, machine, core);
    cut_at_ = never();
    mend_at_ = now + draw_up_to(prng_, plan_.cut_max);
    return true;
  }
  if (mend_at_ > now) return false;
  for (Wire& wire : wires_) wire.is_cut = false;
  world_.trace.say(now, "--- wires are mended");
  plan_cut();
  return true;
}

void Links::heal() {
  cut_at_ = mend_at_ = never();
  for (Wire& wire : wires_) {
    wire.is_cut = false;
    wire.link->heal();
  }
  for (const auto& machine : machines_) machine->heal();
}

void Links::hang_up() {
  for (const auto& machine : machines_) machine->hang_up();
}

std::string Links::what_is_left() const {
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    const std::string left = machines_[i]->transport().what_is_left();
    if (!left.empty()) return fmt::format("machine {}: {}", i, left);
  }
  return {};
}

void Links::check_machines() {
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    check(machines_[i]->transport(), fmt::format("machine {}", i));
  }
}

void Links::check(const LinkTransport& transport, const std::string& name) {
  if (world_.trace.verbose()) {
    world_.trace.say(world_.clock.instant(), "{}: {}", name, transport.numbers());
  }
  if (transport.misuses() > 0) {
    world_.verdicts.broken("seams", "{}: {} calls named a token or connection that is not there",
                           name, transport.misuses());
  }
  if (transport.changed_sends() > 0) {
    world_.verdicts.broken("seams", "{}: memory of {} sends changed before they were over", name,
                           transport.changed_sends());
  }
  if (transport.wrong_bytes() > 0) {
    world_.verdicts.broken("streams", "{}: {} times other bytes came than were sent", name,
                           transport.wrong_bytes());
  }
  if (!transport.is_consistent()) {
    world_.verdicts.broken("streams", "{}: the sums of its stack are wrong", name);
  }
}

}  // namespace tailrace::sim
