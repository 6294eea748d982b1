#include "io/userstack/stack_driver.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "../fake_queue.h"
#include "net/checksum.h"
#include "net/tcp_header.h"

namespace tailrace::io {
namespace {

constexpr std::uint32_t frames_max = 512;
const net::IpAddress own = net::IpAddress::v4(10, 0, 0, 1);
const net::IpAddress peer = net::IpAddress::v4(10, 0, 0, 2);
constexpr net::MacAddress own_mac{{2, 0, 0, 0, 0, 1}};
constexpr net::MacAddress peer_mac{{2, 0, 0, 0, 0, 2}};

StackDriver::Options options_at(Instant now) {
  StackDriver::Options options{.start = now};
  options.interface.mac = own_mac;
  options.interface.addresses = {{own, 24}};
  return options;
}

// A driver on a device whose wire is `sent` and `queue->arrived`.
struct Place {
  explicit Place(const DeviceOffers& offers = {.frames_max = frames_max}) {
    auto device = std::make_unique<FakeQueue>(frames_max);
    queue = device.get();
    queue->mutable_offers() = offers;
    queue->send = [this](auto frame) { sent.push_back(std::move(frame)); };
    driver = std::make_unique<StackDriver>(options_at(now), std::move(device));
    driver->stack().listen({own, 9092});
    driver->stack().tcp().neighbours.learn(
        {.address = peer, .mac = peer_mac, .is_answer = true, .may_add = true}, now);
    driver->output(now);   // It announces its address.
    sent.clear();
  }
  // A SYN from the peer, from another port each time.
  void arrive(std::uint16_t port) {
    const net::IpHeader ip{.source = peer, .destination = own};
    const net::TcpHeader tcp{.source_port = port, .destination_port = 9092,
                             .flags = net::tcp_flag::syn};
    std::vector<std::byte> frame(net::ethernet_bytes + net::ipv4_bytes + net::tcp_header_bytes);
    std::byte* at = frame.data();
    at += net::store_ethernet(at, {own_mac, peer_mac, net::no_vlan, net::EtherType::ipv4});
    at += net::store_ip(at, ip, net::tcp_header_bytes);
    net::store_tcp(at, tcp, peer, own, 0);
    const std::uint16_t sum = net::checksum_of({at, net::tcp_header_bytes});
    std::memcpy(at + net::tcp_checksum_pos, &sum, sizeof sum);
    queue->arrived.push_back(std::move(frame));
  }
  Bytes segment_of(std::size_t i) const {
    return Bytes(sent.at(i)).subspan(net::ethernet_bytes + net::ipv4_bytes);
  }

  Instant now{seconds(1000).ns};
  std::vector<std::vector<std::byte>> sent;
  FakeQueue* queue = nullptr;
  std::unique_ptr<StackDriver> driver;
};

TEST(StackDriver, TheDeviceSaysWhatTheInterfaceCanDo) {
  Place place({.mtu = 9000, .segmentation_bytes_max = 65'000, .frames_max = 400,
               .address = LinkAddress{2, 0, 0, 0, 0, 9}});
  const net::Interface& interface = place.driver->stack().interface();
  EXPECT_EQ(interface.mtu, 9000);
  EXPECT_EQ(interface.segmentation_bytes_max, 65'000u);
  EXPECT_EQ(interface.mac.bytes[5], 9);
  const net::Limits& limits = place.driver->stack().tcp().limits;
  EXPECT_EQ(limits.frames_max, 400u);
  EXPECT_EQ(limits.pieces_max, 300u) << "some frames are always free";
  EXPECT_EQ(limits.receive_pieces_max, 150u) << "no connection has most of them";
  EXPECT_EQ(limits.reassembly_pieces_max, 75u);
}

TEST(StackDriver, ADeviceMayWantMostOfItsFramesBack) {
  Place place({.frames_max = 400, .frames_kept_max = 40});
  EXPECT_EQ(place.driver->stack().tcp().limits.pieces_max, 40u);
}

TEST(StackDriver, WithoutAnAddressOfTheDevicesTheInterfaceKeepsItsOwn) {
  Place place;
  EXPECT_EQ(place.driver->stack().interface().mac, own_mac);
}

TEST(StackDriver, TakesNoMoreBurstsThanItMayAndGivesTheFramesBack) {
  Place place;
  for (std::uint16_t i = 0; i < 100; ++i) place.arrive(static_cast<std::uint16_t>(40'000 + i));
  place.driver->input(place.now, 2);
  EXPECT_EQ(place.queue->arrived.size(), 100 - 2 * StackDriver::burst_max);
  EXPECT_EQ(place.queue->lent_count(), 0u);
  place.driver->input(place.now, SIZE_MAX);
  EXPECT_TRUE(place.queue->arrived.empty());
  EXPECT_EQ(place.driver->stack().counters().of(net::Count::frames_in), 100u);
}

TEST(StackDriver, CompletesTheChecksumsThatTheDeviceDoesNot) {
  Place place;
  place.arrive(40'000);
  place.driver->input(place.now, 1);
  place.driver->output(place.now);
  ASSERT_EQ(place.sent.size(), 1u);
  EXPECT_TRUE(net::tcp_checksum_is_good(own, peer, place.segment_of(0)));

  Place offload({.checksums = true, .frames_max = frames_max});
  offload.arrive(40'000);
  offload.driver->input(offload.now, 1);
  offload.driver->output(offload.now);
  ASSERT_EQ(offload.sent.size(), 1u);
  EXPECT_FALSE(net::tcp_checksum_is_good(own, peer, offload.segment_of(0)))
      << "the sum of the pseudo-header is what such a device wants";
}

TEST(StackDriver, WhatAFullDeviceDidNotTakeIsOfferedAgainInOrderAfterAWhile) {
  Place place;
  for (std::uint16_t i = 0; i < 40; ++i) place.arrive(static_cast<std::uint16_t>(40'000 + i));
  place.driver->input(place.now, SIZE_MAX);
  place.queue->accepts = 3;
  place.driver->output(place.now);
  EXPECT_EQ(place.sent.size(), 3u);
  EXPECT_GT(place.driver->next_deadline(), place.now) << "no spinning meanwhile";
  EXPECT_LE(place.driver->next_deadline(), place.now + milliseconds(1));
  place.queue->accepts = SIZE_MAX;
  place.driver->output(place.now);
  ASSERT_EQ(place.sent.size(), 40u);
  for (std::size_t i = 0; i < 40; ++i) {
    const auto port = load_be<std::uint16_t>(place.segment_of(i).data() + 2);
    EXPECT_EQ(port, 40'000 + i);
  }
  EXPECT_GT(place.driver->next_deadline(), place.now + milliseconds(1)) << "SYNs wait longer";
}

TEST(StackDriver, HearsWhenTheDeviceIsGone) {
  Place place;
  EXPECT_FALSE(place.driver->failed());
  place.queue->is_gone = true;
  EXPECT_TRUE(place.driver->failed());
}

}  // namespace
}  // namespace tailrace::io
