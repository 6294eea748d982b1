#include <gtest/gtest.h>

#include "../../support/net_pair.h"
#include "net/arp.h"
#include "net/icmp.h"

namespace tailrace::net {
namespace {

const IpAddress v6_self{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
const IpAddress v6_other{{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};
const MacAddress own_mac{{2, 0, 0, 0, 0, 1}};
const MacAddress other{{2, 0, 0, 0, 0, 2}};

struct Host {
  explicit Host(bool answers = true) {
    Interface interface;
    interface.answers_neighbours = answers;
    interface.mac = own_mac;
    interface.addresses = {{IpAddress::v4(10, 0, 0, 1), 24}, {v6_self, 64}};
    interface.gateway_v4 = IpAddress::v4(10, 0, 0, 254);
    stack = std::make_unique<Stack>(NetPair::small_limits(), interface, SipKey{}, now);
  }
  // What comes out after a frame went in.
  std::vector<std::vector<std::byte>> give(std::vector<std::byte> frame) {
    kept.push_back(std::make_unique<std::vector<std::byte>>(std::move(frame)));
    const RxFrame in{.bytes = *kept.back(), .token = kept.size()};
    stack->input({&in, 1}, now);
    return take();
  }
  std::vector<std::vector<std::byte>> take() {
    stack->advance(now);
    std::vector<std::vector<std::byte>> out;
    std::array<TxFrame, 8> frames;
    const std::size_t count = stack->output(frames, now);
    for (std::size_t i = 0; i < count; ++i) {
      out.push_back(flat_frame(frames[i]));
      if (frames[i].hold != no_hold) stack->transmitted(frames[i].hold);
    }
    released += stack->take_released().size();
    return out;
  }
  Instant now{seconds(10).ns};
  std::unique_ptr<Stack> stack;
  std::vector<std::unique_ptr<std::vector<std::byte>>> kept;
  std::size_t released = 0;
};

std::vector<std::byte> arp_frame(const ArpPacket& packet, const MacAddress& to) {
  std::vector<std::byte> frame(60);
  store_ethernet(frame.data(), {to, packet.sender_mac, no_vlan, EtherType::arp});
  store_arp(frame.data() + ethernet_bytes, packet);
  return frame;
}

std::vector<std::byte> icmp_frame(const IpHeader& ip, const std::vector<std::byte>& message,
                                  const MacAddress& to) {
  std::vector<std::byte> frame(ethernet_bytes + ip_bytes(ip.source) + message.size());
  store_ethernet(frame.data(), {to, other, no_vlan,
                                ip.source.is_v4() ? EtherType::ipv4 : EtherType::ipv6});
  const std::size_t size = store_ip(frame.data() + ethernet_bytes, ip, message.size());
  std::memcpy(frame.data() + ethernet_bytes + size, message.data(), message.size());
  return frame;
}

TEST(stack_control, announces_its_addresses) {
  Host host;
  const auto out = host.take();
  ASSERT_EQ(out.size(), 3U);
  // RFC 5227, 2.1.1: a probe has no sender's address, so that it changes nobody's table.
  const auto probe = parse_arp(parse_ethernet(out[0])->payload);
  ASSERT_TRUE(probe);
  EXPECT_TRUE(probe->sender.is_unspecified());
  EXPECT_EQ(probe->sender_mac, own_mac);
  EXPECT_EQ(probe->target, IpAddress::v4(10, 0, 0, 1));
  const auto arp = parse_arp(parse_ethernet(out[1])->payload);
  ASSERT_TRUE(arp);
  EXPECT_EQ(arp->sender, IpAddress::v4(10, 0, 0, 1));
  EXPECT_EQ(arp->target, IpAddress::v4(10, 0, 0, 1));
}

TEST(stack_control, answers_arp_for_its_own_address_alone) {
  Host host;
  host.take();
  ArpPacket request{ArpPacket::Operation::request, other, IpAddress::v4(10, 0, 0, 2), {},
                    IpAddress::v4(10, 0, 0, 1)};
  auto out = host.give(arp_frame(request, broadcast_mac));
  ASSERT_EQ(out.size(), 1U);
  const auto reply = parse_arp(parse_ethernet(out[0])->payload);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->operation, ArpPacket::Operation::reply);
  EXPECT_EQ(reply->sender_mac, own_mac);
  EXPECT_EQ(reply->target_mac, other);
  request.target = IpAddress::v4(10, 0, 0, 3);
  EXPECT_TRUE(host.give(arp_frame(request, broadcast_mac)).empty());
}

// Of several stacks with these addresses: another one answers, this one has learned all the same.
TEST(stack_control, one_that_does_not_answer_neighbours_listens_to_them) {
  Host host(false);
  EXPECT_TRUE(host.take().empty()) << "no announcement";
  EXPECT_TRUE(host.give(arp_frame({ArpPacket::Operation::request, other,
                                   IpAddress::v4(10, 0, 0, 2), {}, IpAddress::v4(10, 0, 0, 1)},
                                  broadcast_mac)).empty());
  std::vector<std::byte> message(neighbour_message_bytes);
  IpAddress peer = v6_self;
  peer.bytes[15] = 9;
  const IpHeader ip{.source = peer, .destination = solicited_node(v6_self),
                    .protocol = IpProtocol::icmp6, .hop_limit = 255};
  store_neighbour_message(message.data(), ip, {.target = v6_self, .mac = other});
  EXPECT_TRUE(host.give(icmp_frame(ip, message, group_mac(ip.destination))).empty());
  for (const IpAddress& address : {IpAddress::v4(10, 0, 0, 2), peer}) {
    ASSERT_NE(host.stack->connect({address, 80}, 0, host.now), 0U);
    const auto out = host.take();
    ASSERT_GE(out.size(), 1U);
    const EthernetHeader link = parse_ethernet(out[0])->header;
    EXPECT_EQ(link.destination, other);
    EXPECT_NE(link.type, EtherType::arp) << "it knows already";
  }
}

TEST(stack_control, does_not_learn_its_own_address_from_others) {
  Host host;
  host.take();
  const ArpPacket theft{ArpPacket::Operation::reply, other, IpAddress::v4(10, 0, 0, 1), own_mac,
                        IpAddress::v4(10, 0, 0, 1)};
  EXPECT_EQ(host.give(arp_frame(theft, own_mac)).size(), 1U) << "the defence";
  EXPECT_EQ(host.stack->counters().of(Count::drop_arp), 1U);
}

// RFC 5227, 2.4 (c): announced once, and not again while the conflict goes on.
TEST(stack_control, an_address_that_another_uses_is_told_and_defended_once) {
  Host host;
  host.take();
  EXPECT_FALSE(host.stack->take_conflict());
  const IpAddress own = IpAddress::v4(10, 0, 0, 1);
  const auto theft = arp_frame({ArpPacket::Operation::request, other, own, {}, own},
                               broadcast_mac);
  const auto out = host.give(theft);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(parse_ethernet(out[0])->header.destination, broadcast_mac);
  const auto defence = parse_arp(parse_ethernet(out[0])->payload);
  ASSERT_TRUE(defence);
  EXPECT_EQ(defence->sender, own);
  EXPECT_EQ(defence->target, own);
  EXPECT_EQ(defence->sender_mac, own_mac);
  const auto conflict = host.stack->take_conflict();
  ASSERT_TRUE(conflict);
  EXPECT_EQ(conflict->address, own);
  EXPECT_EQ(conflict->mac, other);
  EXPECT_FALSE(host.stack->take_conflict()) << "told once";
  for (int i = 0; i < 3; ++i) {
    host.now = host.now + seconds(9);
    EXPECT_TRUE(host.give(theft).empty()) << "no battle";
    EXPECT_TRUE(host.stack->take_conflict());
  }
  host.now = host.now + seconds(10);
  EXPECT_EQ(host.give(theft).size(), 1U) << "a new one, after a quiet while";
  EXPECT_EQ(host.stack->counters().of(Count::address_conflicts), 5U);
}

TEST(stack_control, its_own_frames_that_come_back_are_no_conflict) {
  Host host;
  for (const auto& frame : host.take()) host.give(frame);
  EXPECT_FALSE(host.stack->take_conflict());
  EXPECT_EQ(host.stack->counters().of(Count::address_conflicts), 0U);
}

// Of several stacks with these addresses one speaks for all.
TEST(stack_control, one_that_does_not_answer_neighbours_leaves_conflicts_to_the_other) {
  Host host(false);
  const IpAddress own = IpAddress::v4(10, 0, 0, 1);
  EXPECT_TRUE(host.give(arp_frame({ArpPacket::Operation::request, other, own, {}, own},
                                  broadcast_mac)).empty());
  EXPECT_FALSE(host.stack->take_conflict());
}

// RFC 4862, 5.4.4: an advertisement of our address that is not ours.
TEST(stack_control, another_that_advertises_our_ipv6_address_is_a_conflict) {
  Host host;
  host.take();
  std::vector<std::byte> message(neighbour_message_bytes);
  IpAddress all_nodes{{0xff, 2}};
  all_nodes.bytes[15] = 1;
  IpHeader ip{.source = v6_self, .destination = all_nodes, .protocol = IpProtocol::icmp6,
              .hop_limit = 255};
  ip.source.bytes[15] = 9;
  store_neighbour_message(message.data(), ip,
                          {.is_advert = true, .target = v6_self, .mac = other});
  EXPECT_EQ(host.give(icmp_frame(ip, message, group_mac(all_nodes))).size(), 1U);
  const auto conflict = host.stack->take_conflict();
  ASSERT_TRUE(conflict);
  EXPECT_EQ(conflict->address, v6_self);
  EXPECT_EQ(conflict->mac, other);
}

TEST(stack_control, a_syn_waits_for_the_link_address) {
  Host host;
  host.take();
  ASSERT_NE(host.stack->connect({IpAddress::v4(10, 0, 0, 2), 80}, 0, host.now), 0U);
  auto out = host.take();
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(parse_ethernet(out[0])->header.type, EtherType::arp);
  out = host.give(arp_frame({ArpPacket::Operation::reply, other, IpAddress::v4(10, 0, 0, 2),
                             own_mac, IpAddress::v4(10, 0, 0, 1)}, own_mac));
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(parse_ethernet(out[0])->header.destination, other);
  EXPECT_EQ(parse_ethernet(out[0])->header.type, EtherType::ipv4);
}

// Found by reading: the attempt was asked for again and again, and never given up.
TEST(stack_control, an_attempt_to_an_unknown_neighbour_ends) {
  Host host;
  host.take();
  const ConnId conn = host.stack->connect({IpAddress::v4(10, 0, 0, 9), 80}, 0, host.now);
  for (int i = 0; i < 100; ++i) {
    host.now = host.now + seconds(1);
    host.take();
  }
  ConnectionInfo info;
  std::array<Event, 4> events;
  ASSERT_EQ(host.stack->take_events(events), 1U);
  EXPECT_EQ(events[0].kind, Event::Kind::closed);
  EXPECT_FALSE(host.stack->info(conn, info));
}

TEST(stack_control, what_is_far_goes_by_the_gateway) {
  Host host;
  host.take();
  ASSERT_NE(host.stack->connect({IpAddress::v4(192, 168, 7, 7), 80}, 0, host.now), 0U);
  const auto out = host.take();
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(parse_arp(parse_ethernet(out[0])->payload)->target, IpAddress::v4(10, 0, 0, 254));
}

TEST(stack_control, echoes_from_where_the_request_lies) {
  Host host;
  host.take();
  host.give(arp_frame({ArpPacket::Operation::request, other, IpAddress::v4(10, 0, 0, 2), {},
                       IpAddress::v4(10, 0, 0, 1)}, broadcast_mac));
  std::vector<std::byte> echo(64);
  echo[0] = std::byte{8};
  echo[9] = std::byte{99};
  store_checksum(echo.data() + 2, checksum_of(echo));
  const std::size_t before = host.released;
  const auto out = host.give(icmp_frame({.source = IpAddress::v4(10, 0, 0, 2),
                                         .destination = IpAddress::v4(10, 0, 0, 1),
                                         .protocol = IpProtocol::icmp}, echo, own_mac));
  ASSERT_GE(out.size(), 1U);   // And perhaps a question whether the neighbour still is.
  const IpPacket ip = parse_ipv4(parse_ethernet(out[0])->payload, false);
  ASSERT_TRUE(ip.is_good());
  EXPECT_EQ(ip.header.destination, IpAddress::v4(10, 0, 0, 2));
  ASSERT_EQ(ip.payload.size(), 64U);
  EXPECT_EQ(ip.payload[0], std::byte{0});
  EXPECT_EQ(ip.payload[9], std::byte{99});
  EXPECT_EQ(checksum_of(ip.payload), 0);
  EXPECT_EQ(host.released, before + 1);
}

TEST(stack_control, answers_neighbour_solicitations) {
  Host host;
  host.take();
  std::vector<std::byte> message(neighbour_message_bytes);
  const IpHeader ip{.source = v6_other, .destination = solicited_node(v6_self),
                    .protocol = IpProtocol::icmp6, .hop_limit = 255};
  store_neighbour_message(message.data(), ip, {.target = v6_self, .mac = other});
  const auto out = host.give(icmp_frame(ip, message, group_mac(ip.destination)));
  ASSERT_EQ(out.size(), 1U);
  const IpPacket answer = parse_ipv6(parse_ethernet(out[0])->payload);
  ASSERT_TRUE(answer.is_good());
  EXPECT_EQ(answer.header.destination, v6_other);
  EXPECT_EQ(answer.header.hop_limit, 255);
  const IcmpMessage advert = parse_icmp6(answer.header, answer.payload, false);
  EXPECT_EQ(advert.kind, IcmpMessage::Kind::neighbour_advert);
  EXPECT_EQ(advert.target, v6_self);
  EXPECT_EQ(advert.link_address, own_mac);
  EXPECT_TRUE(advert.is_solicited);
}

// RFC 4861, 6.3.4.
TEST(stack_control, a_router_that_advertises_is_the_way_out_as_long_as_it_says) {
  Host host;
  host.take();
  const IpAddress far{{0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5}};
  EXPECT_EQ(host.stack->connect({far, 80}, 0, host.now), 0U);
  std::vector<std::byte> advert(24);
  advert[0] = std::byte{134};
  store_be<std::uint16_t>(advert.data() + 6, 100);
  advert[16] = std::byte{1};
  advert[17] = std::byte{1};
  std::memcpy(advert.data() + 18, other.bytes.data(), 6);
  const IpAddress all{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  const IpHeader ip{.source = v6_other, .destination = all, .protocol = IpProtocol::icmp6,
                    .hop_limit = 255};
  ChecksumSum sum;
  sum.add_pseudo_header(ip.source, ip.destination, 58, 24);
  sum.add(advert);
  store_checksum(advert.data() + 2, sum.checksum());
  host.give(icmp_frame(ip, advert, group_mac(all)));
  EXPECT_NE(host.stack->connect({far, 80}, 0, host.now), 0U);
  host.now = host.now + seconds(101);
  host.take();
  EXPECT_EQ(host.stack->connect({far, 81}, 0, host.now), 0U);
}

TEST(stack_control, drops_are_counted_by_reason) {
  Host host;
  host.take();
  host.give(std::vector<std::byte>(10));
  EXPECT_EQ(host.stack->counters().of(Count::drop_truncated), 1U);
  std::vector<std::byte> frame(60);
  store_ethernet(frame.data(), {{{2, 9, 9, 9, 9, 9}}, other, no_vlan, EtherType::ipv4});
  host.give(frame);
  EXPECT_EQ(host.stack->counters().of(Count::drop_not_ours), 1U);
  store_ethernet(frame.data(), {own_mac, other, 7, EtherType::ipv4});
  host.give(frame);
  EXPECT_EQ(host.stack->counters().of(Count::drop_vlan), 1U);
  store_ethernet(frame.data(), {own_mac, other, no_vlan, EtherType{0x88cc}});
  host.give(frame);
  EXPECT_EQ(host.stack->counters().of(Count::drop_protocol), 1U);
  EXPECT_EQ(host.released, 4U);
}

}  // namespace
}  // namespace tailrace::net
