#include "runtime/user_network.h"

#include <gtest/gtest.h>

namespace tailrace::runtime {
namespace {

struct Case {
  Case() {
    profile.transport = "tap";
    profile.addresses = "10.78.0.1/24";
  }
  bool read() {
    Endpoints endpoints;
    endpoints.listen = {listen};
    return read_user_network(profile, endpoints, network, why);
  }
  Profile profile;
  HostPort listen{"10.78.0.1", 9092};
  UserNetwork network;
  std::string why;
};

TEST(UserNetwork, IsWhatTheProfileSays) {
  Case one;
  one.profile.gateway = "10.78.0.254";
  EXPECT_TRUE(has_user_network(one.profile));
  EXPECT_FALSE(has_user_network(Profile{}));
  ASSERT_TRUE(one.read()) << one.why;
  EXPECT_EQ(one.network.interface.gateway_v4, net::IpAddress::v4(10, 78, 0, 254));
  EXPECT_EQ(one.network.interface.mac, (net::MacAddress{{2, 0x54, 10, 78, 0, 1}}));
  ASSERT_EQ(one.network.listen.size(), 1u);
  EXPECT_EQ(one.network.listen[0].port, 9092);
  one.profile.mac = "02:00:00:00:00:07";
  ASSERT_TRUE(one.read());
  EXPECT_EQ(one.network.interface.mac, (net::MacAddress{{2, 0, 0, 0, 0, 7}}));
}

TEST(UserNetwork, SaysWhatIsWrongAndWhatToDo) {
  Case none;
  none.profile.addresses = "";
  EXPECT_FALSE(none.read());
  EXPECT_NE(none.why.find("such as 10.78.0.1/24"), std::string::npos) << none.why;

  Case device;
  device.profile.device = "net_af_xdp0,iface=eth1";
  EXPECT_FALSE(device.read());
  EXPECT_NE(device.why.find("network.device: found \"net_af_xdp0,iface=eth1\""), std::string::npos)
      << device.why;
  device.profile.transport = "dpdk";
  EXPECT_TRUE(device.read()) << device.why;

  Case kernels;
  kernels.profile.addresses = "10.78.0.1/24, fd00::1/64";
  kernels.listen = {"127.0.0.1", 9092};
  EXPECT_FALSE(kernels.read());
  EXPECT_NE(kernels.why.find("write --listen 10.78.0.1:9092"), std::string::npos) << kernels.why;

  Case any_port;
  any_port.listen.port = 0;
  EXPECT_FALSE(any_port.read());
  EXPECT_NE(any_port.why.find("gives no ports away"), std::string::npos) << any_port.why;

  Case twice;
  Endpoints endpoints;
  endpoints.listen = {{"0.0.0.0", 9092}, {"10.78.0.1", 9092}};
  EXPECT_FALSE(read_user_network(twice.profile, endpoints, twice.network, twice.why));
  EXPECT_NE(twice.why.find("another --listen"), std::string::npos) << twice.why;

  Case far;
  far.profile.gateway = "192.168.0.1";
  EXPECT_FALSE(far.read());
  EXPECT_NE(far.why.find("network.gateway: found 192.168.0.1"), std::string::npos) << far.why;
}

TEST(UserNetwork, HasNoMoreConnectionsThanTheProfileAllows) {
  Profile profile;
  profile.connections_max = 77;
  EXPECT_EQ(net_limits(profile).connections_max, 77u);
  EXPECT_GE(net_limits(profile).receive_bytes_max, 77u * net_limits(profile).receive_buffer_min);
  EXPECT_EQ(net_limits(profile).sends_max, 77u * 16);
  EXPECT_EQ(receive_frames(profile), 512u);
  profile.receive_buffer_count = 5000;
  EXPECT_EQ(receive_frames(profile), 5000u);
}

TEST(UserNetwork, SeveralCoresShareItsFrames) {
  Case one;
  EXPECT_EQ(make_handover(one.profile, 512), nullptr);
  one.profile.cores = 2;
  ASSERT_TRUE(one.read()) << one.why;
  const auto two = make_handover(one.profile, receive_frames(one.profile));
  ASSERT_NE(two, nullptr);
  EXPECT_EQ(two->cores(), 2);
  EXPECT_EQ(two->lent_max(), 256u);
  one.profile.cores = 64;
  EXPECT_EQ(receive_frames(one.profile), 4096u);
  EXPECT_EQ(make_handover(one.profile, 4096)->lent_max(), 64u);
  one.profile.transport = "uring";
  EXPECT_EQ(make_handover(one.profile, 4096), nullptr);
}

}  // namespace
}  // namespace tailrace::runtime
