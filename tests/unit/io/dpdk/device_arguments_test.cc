#include "io/dpdk/device_arguments.h"

#include <gtest/gtest.h>

namespace tailrace::io::dpdk {
namespace {

std::string refusal(std::string_view device) {
  std::string why;
  const bool is_good = check_arguments(device, why);
  EXPECT_EQ(is_good, why.empty()) << device;
  return why;
}

TEST(DeviceArguments, WhatTheDriversKnowIsTaken) {
  for (const char* device :
       {"net_af_xdp0,iface=eth1", "net_af_xdp1,iface=eth1,start_queue=1,queue_count=1",
        "net_af_packet0,iface=eth1,qpairs=2,framesz=4096,blocksz=8192,framecnt=512,qdisc_bypass=0",
        "net_tap0", "net_tap0,iface=tr0,mac=fixed",
        "net_tap0,iface=tr0,persist", "net_ring0", "net_null0,no-rx=1,size=64",
        "net_memif0,role=client,id=0,socket=/run/memif.sock,socket-abstract=no",
        "net_virtio_user0,path=/run/vhost.sock,queues=2,server=1,packed_vq=1",
        "net_vhost0,iface=/run/vhost.sock,queues=2,client=1"}) {
    EXPECT_EQ(refusal(device), "");
  }
}

TEST(DeviceArguments, AMisspeltOneIsNamedWithThoseThereAre) {
  const std::string why = refusal("net_af_xdp0,ifcae=x");
  EXPECT_NE(why.find("network.device: found \"ifcae=x\" behind net_af_xdp0, allowed"),
            std::string::npos) << why;
  EXPECT_NE(why.find("iface=NAME start_queue=N"), std::string::npos) << why;
  EXPECT_NE(refusal("net_af_packet0,iface=eth1,qpair=2").find("\"qpair=2\""), std::string::npos);
  EXPECT_NE(refusal("net_tap0,iface =tr0").find("\"iface =tr0\""), std::string::npos);
  EXPECT_NE(refusal("net_tap0,,iface=tr0").find("found \"\""), std::string::npos);
}

TEST(DeviceArguments, WhatIsNoNumberIsNamed) {
  EXPECT_NE(refusal("net_af_packet0,iface=eth1,qpairs=two").find("\"qpairs=two\""),
            std::string::npos);
  EXPECT_NE(refusal("net_af_packet0,iface=eth1,qpairs=").find("\"qpairs=\""), std::string::npos);
  EXPECT_NE(refusal("net_af_packet0,iface=eth1,qpairs").find("\"qpairs\""), std::string::npos);
  EXPECT_NE(refusal("net_af_packet0,iface=eth1,qpairs=0x").find("\"qpairs=0x\""),
            std::string::npos);
  EXPECT_EQ(refusal("net_null0,size=0x40"), "");
}

TEST(DeviceArguments, WhatADeviceCannotDoWithoutIsAskedFor) {
  EXPECT_EQ(refusal("net_af_xdp0"), "network.device: found \"net_af_xdp0\", allowed: with iface, "
                                    "as \"net_af_xdp0,iface=NAME\"");
  EXPECT_NE(refusal("net_virtio_user0,queues=1").find("as \"net_virtio_user0,path=PATH\""),
            std::string::npos);
}

TEST(DeviceArguments, NoneIsTakenTwice) {
  EXPECT_EQ(refusal("net_af_xdp0,iface=a,iface=b"),
            "network.device: found \"iface=b\" behind net_af_xdp0, allowed: each argument once");
}

TEST(DeviceArguments, ADriverHasOneName) {
  EXPECT_EQ(refusal("virtio_user0,path=/s"), "network.device: found \"virtio_user0,path=/s\", "
                                             "allowed: \"net_virtio_user0,path=/s\"");
  EXPECT_NE(refusal("eth_vhost0,iface=/s").find("\"net_vhost0,iface=/s\""), std::string::npos);
}

TEST(DeviceArguments, OtherDriversAreLeftToDpdk) {
  EXPECT_EQ(refusal("0000:3b:00.0,mprq_en=1"), "");
  EXPECT_EQ(refusal("net_failsafe0,dev(0000:3b:00.0)"), "");
  EXPECT_EQ(refusal("eth1"), "");
  EXPECT_EQ(refusal(""), "");
}

}  // namespace
}  // namespace tailrace::io::dpdk
