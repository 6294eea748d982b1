// ARP (RFC 826, 5227), neighbour discovery (RFC 4861) and ICMP (RFC 792, 4443, 5927): what the
// stack learns from them and what it answers.
#include <algorithm>

#include "base/assert.h"
#include "net/arp.h"
#include "net/checksum.h"
#include "net/icmp.h"
#include "net/stack.h"

namespace tailrace::net {
namespace {

constexpr std::uint8_t discovery_hop_limit = 255;
constexpr Duration defend_interval = seconds(10);   // RFC 5227, 1.1
constexpr std::uint16_t path_mtu_min_v4 = 552;    // Below, it is more likely an attack.
constexpr std::uint16_t path_mtu_min_v6 = 1280;
const IpAddress all_nodes{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

// What routers that name no size are taken to mean (RFC 1191, 7.1).
std::uint16_t next_lower_mtu(std::uint16_t mtu) {
  constexpr std::uint16_t steps[] = {8166, 4352, 2002, 1492, 1006};
  for (const std::uint16_t step : steps) {
    if (step < mtu) return step;
  }
  return path_mtu_min_v4;
}

}  // namespace

// --- link addresses ------------------------------------------------------------------------------

void Stack::learn(const Neighbours::News& news) {
  if (!tcp_.interface.is_on_link(news.address) || news.mac == tcp_.interface.mac) return;
  if (tcp_.neighbours.learn(news, tcp_.now)) tcp_.wake(tcp_.missing_neighbour);
  for (;;) {
    const std::uint32_t frame = tcp_.neighbours.take_waiting();
    if (frame == Neighbours::no_frame) return;
    tcp_.control.push(frame);
  }
}

void Stack::push_arp(const ArpPacket& packet, const MacAddress& to) {
  const std::uint32_t index = tcp_.control.take();
  if (index == none) return tcp_.count(Count::drop_control_full);
  ControlFrame& frame = tcp_.control[index];
  frame.type = EtherType::arp;
  frame.mac = to;
  store_arp(frame.data.data(), packet);
  frame.data_bytes = arp_bytes;
  tcp_.control.push(index);
}

void Stack::push_neighbour_message(IpHeader ip, const NeighbourMessage& message,
                                   const MacAddress& to) {
  const std::uint32_t index = tcp_.control.take();
  if (index == none) return tcp_.count(Count::drop_control_full);
  ControlFrame& frame = tcp_.control[index];
  ip.protocol = IpProtocol::icmp6;
  ip.hop_limit = discovery_hop_limit;
  frame.type = EtherType::ipv6;
  frame.mac = to;
  store_ip(frame.data.data(), ip, neighbour_message_bytes);
  store_neighbour_message(frame.data.data() + ipv6_bytes, ip, message);
  frame.network_bytes = ipv6_bytes;
  frame.data_bytes = ipv6_bytes + neighbour_message_bytes;
  tcp_.control.push(index);
}

// Tells the network that an address is ours, so that whoever had it from another machine forgets
// that (RFC 5227, 3; RFC 4861, 7.2.6).
void Stack::announce(const IpAddress& own) {
  const MacAddress& mac = tcp_.interface.mac;
  if (own.is_v4()) {
    return push_arp({ArpPacket::Operation::request, mac, own, {}, own}, broadcast_mac);
  }
  push_neighbour_message({.source = own, .destination = all_nodes},
                         {.is_advert = true, .target = own, .mac = mac}, group_mac(all_nodes));
}

// RFC 5227, 2.4 (c): an address that an operator gave is kept. It is defended once, but not while
// conflicts go on: two stations that both keep theirs would never end.
void Stack::on_conflict(const IpAddress& own, const MacAddress& mac) {
  if (mac == tcp_.interface.mac) return;   // A frame of ours that came back.
  tcp_.count(Count::address_conflicts);
  if (!tcp_.interface.answers_neighbours) return;
  conflict_ = {own, mac};
  Instant& last = conflict_at_[static_cast<std::size_t>(tcp_.interface.index_of(own))];
  const bool is_first = last.ns == 0 || tcp_.now - last >= defend_interval;
  last = tcp_.now;
  if (is_first) announce(own);
}

void Stack::push_questions() {
  NeighbourQuestion question;
  while (tcp_.neighbours.take_question(tcp_.now, question)) {
    const IpAddress& target = question.address;
    const IpAddress* source = tcp_.interface.source_for(target);
    if (source == nullptr) continue;
    const bool is_known = !question.mac.is_zero();
    if (target.is_v4()) {
      push_arp({ArpPacket::Operation::request, tcp_.interface.mac, *source, question.mac, target},
               is_known ? question.mac : broadcast_mac);
    } else {
      const IpAddress group = solicited_node(target);
      push_neighbour_message({.source = *source, .destination = is_known ? target : group},
                             {.target = target, .mac = tcp_.interface.mac},
                             is_known ? question.mac : group_mac(group));
    }
  }
  // Given up: what waited will not go out.
  for (;;) {
    const std::uint32_t frame = tcp_.neighbours.take_waiting();
    if (frame == Neighbours::no_frame) break;
    if (tcp_.control[frame].echoed_token != 0) {
      tcp_.receive.release(tcp_.control[frame].echoed_token - 1);
    }
    tcp_.control.discard(frame);
    tcp_.count(Count::neighbour_failures);
  }
  // Connections ask again; it is theirs to give up.
  if (tcp_.neighbours.take_failures() > 0) tcp_.wake(tcp_.missing_neighbour);
}

void Stack::on_arp(const Packet& packet) {
  tcp_.count(Count::arp_in);
  const Result<ArpPacket> arp = parse_arp(packet.payload);
  if (!arp) return tcp_.count(Count::drop_arp);
  const bool is_for_us = tcp_.interface.index_of(arp->target) >= 0;
  // Whoever uses an address of ours is not learned.
  if (tcp_.interface.index_of(arp->sender) >= 0) {
    tcp_.count(Count::drop_arp);
    return on_conflict(arp->sender, arp->sender_mac);
  }
  if (!arp->sender.is_unspecified()) {
    learn({.address = arp->sender,
           .mac = arp->sender_mac,
           .is_answer = arp->operation == ArpPacket::Operation::reply && is_for_us,
           .may_add = is_for_us && arp->operation == ArpPacket::Operation::request});
  }
  const bool is_question = arp->operation == ArpPacket::Operation::request && is_for_us;
  if (!is_question || !tcp_.interface.answers_neighbours) return;
  push_arp({ArpPacket::Operation::reply, tcp_.interface.mac, arp->target, arp->sender_mac,
            arp->sender},
           arp->sender_mac);
}

void Stack::on_neighbour_message(const Packet& packet, const IcmpMessage& message) {
  tcp_.count(Count::nd_in);
  const bool is_ours = tcp_.interface.index_of(message.target) >= 0;
  if (message.kind == IcmpMessage::Kind::neighbour_advert) {
    // RFC 4861, 7.2.5: never a reason to make an entry.
    if (!message.link_address.has_value()) return;
    if (is_ours) return on_conflict(message.target, *message.link_address);
    return learn({.address = message.target,
                  .mac = *message.link_address,
                  .is_answer = message.is_solicited,
                  .may_replace = message.is_override});
  }
  if (!is_ours) return;
  const bool is_probe = packet.ip.source.is_unspecified();
  if (!is_probe && message.link_address.has_value()) {
    learn({.address = packet.ip.source, .mac = *message.link_address, .may_add = true});
  }
  if (!tcp_.interface.answers_neighbours) return;
  // RFC 4861, 7.2.4: whoever looks for a double hears it with all others.
  const IpAddress to = is_probe ? all_nodes : packet.ip.source;
  push_neighbour_message({.source = message.target, .destination = to},
                         {.is_advert = true,
                          .is_solicited = !is_probe,
                          .target = message.target,
                          .mac = tcp_.interface.mac},
                         is_probe ? group_mac(all_nodes) : packet.source);
}

// RFC 4861, 6.3.4: a router of our network, unless one was configured.
void Stack::on_router(const Packet& packet, const IcmpMessage& message) {
  tcp_.count(Count::nd_in);
  const bool is_configured =
      !tcp_.interface.gateway_v6.is_unspecified() && router_until_ == never();
  if (is_configured) return;
  const bool is_current = tcp_.interface.gateway_v6 == packet.ip.source;
  if (message.router_lifetime_s == 0) {
    if (is_current) router_until_ = tcp_.now;
    return;
  }
  if (!is_current && router_until_ != never()) return;   // The first one is kept.
  tcp_.interface.gateway_v6 = packet.ip.source;
  router_until_ = tcp_.now + seconds(message.router_lifetime_s);
  if (message.link_address.has_value()) {
    learn({.address = packet.ip.source, .mac = *message.link_address, .may_add = true});
  }
}

// --- ICMP ----------------------------------------------------------------------------------------

bool Stack::on_icmp(const Packet& packet) {
  const bool is_v4 = packet.ip.protocol == IpProtocol::icmp;
  const IcmpMessage message = is_v4
                                  ? parse_icmp4(packet.payload, packet.checksum_good)
                                  : parse_icmp6(packet.ip, packet.payload, packet.checksum_good);
  switch (message.kind) {
    case IcmpMessage::Kind::ignored:
      return false;
    case IcmpMessage::Kind::malformed:
      tcp_.count(Count::drop_icmp);
      return false;
    case IcmpMessage::Kind::echo_request:
      return on_echo(packet, message);
    case IcmpMessage::Kind::unreachable:
      on_unreachable(message);
      return false;
    case IcmpMessage::Kind::too_big:
      on_too_big(message);
      return false;
    case IcmpMessage::Kind::neighbour_solicit:
    case IcmpMessage::Kind::neighbour_advert:
      on_neighbour_message(packet, message);
      return false;
    case IcmpMessage::Kind::router_advert:
      on_router(packet, message);
      return false;
  }
  return false;
}

// The reply is the request with another type; its body goes out from where it came in.
bool Stack::on_echo(const Packet& packet, const IcmpMessage& message) {
  const IpAddress* hop = tcp_.next_hop(packet.ip.source);
  if (tcp_.interface.index_of(packet.ip.destination) < 0 || hop == nullptr ||
      packet.payload.size() + ip_bytes(packet.ip.source) > tcp_.interface.mtu ||
      !tcp_.take_rate(tcp_.echoes_left)) {
    return false;
  }
  const std::uint32_t index = tcp_.control.take();
  if (index == none) {
    tcp_.count(Count::drop_control_full);
    return false;
  }
  ControlFrame& frame = tcp_.control[index];
  const bool is_v4 = packet.ip.source.is_v4();
  const IpHeader ip{.source = packet.ip.destination,
                    .destination = packet.ip.source,
                    .protocol = packet.ip.protocol};
  std::byte* at = frame.data.data();
  const std::size_t network_bytes = store_ip(at, ip, packet.payload.size());
  std::uint16_t sum;
  std::memcpy(&sum, packet.payload.data() + 2, 2);
  at[network_bytes] = is_v4 ? std::byte{0} : std::byte{129};
  at[network_bytes + 1] = std::byte{0};
  store_be(at + network_bytes + 2, echo_reply_checksum(byte_swapped(sum), is_v4));
  frame.type = is_v4 ? EtherType::ipv4 : EtherType::ipv6;
  frame.destination = *hop;
  frame.network_bytes = static_cast<std::uint8_t>(network_bytes);
  frame.data_bytes = static_cast<std::uint8_t>(network_bytes + 4);
  frame.echoed = message.body;
  frame.echoed_token = packet.token + 1;   // 0 stands for none.
  tcp_.control.push(index);
  tcp_.count(Count::echoes);
  return true;
}

// RFC 5927: an error is believed only about a number that is under way just now.
Connection* Stack::quoted_connection(const IcmpMessage& message) {
  if (!message.quoted.has_value()) return nullptr;
  const std::uint32_t value = lookup(tcp_.flows.hash_of(*message.quoted), *message.quoted);
  if (value == FlowTable::no_value || flow_kind(value) != FlowKind::connection) return nullptr;
  Connection& c = tcp_.connections[flow_index(value)];
  const bool is_under_way =
      message.quoted_seq >= c.send_unacked && message.quoted_seq < c.send_next;
  return is_under_way ? &c : nullptr;
}

// Ends only an attempt to connect. An established connection lives on: routes come back, and
// whoever can guess numbers could end it otherwise (RFC 5927, 5.2).
void Stack::on_unreachable(const IcmpMessage& message) {
  tcp_.count(Count::unreachable_in);
  Connection* c = quoted_connection(message);
  if (c != nullptr && message.is_hard && c->state == TcpState::syn_sent) tcp_.kill(*c);
}

void Stack::on_too_big(const IcmpMessage& message) {
  tcp_.count(Count::unreachable_in);
  Connection* c = quoted_connection(message);
  if (c == nullptr || !c->is_synchronized()) return;
  const bool is_v4 = c->flow.remote.address.is_v4();
  const std::uint16_t floor = is_v4 ? path_mtu_min_v4 : path_mtu_min_v6;
  const std::uint32_t told = message.mtu == 0 ? next_lower_mtu(c->path_mtu) : message.mtu;
  const auto mtu = static_cast<std::uint16_t>(
      std::clamp<std::uint32_t>(told, floor, UINT16_MAX));
  if (mtu >= c->path_mtu) return;
  c->path_mtu = mtu;
  tcp_.set_segment_size(*c);
  tcp_.count(Count::path_mtu_lowered);
  mark_lost_for_smaller_segments(tcp_, *c);
}

}  // namespace tailrace::net
