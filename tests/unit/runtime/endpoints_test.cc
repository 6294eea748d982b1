#include "runtime/endpoints.h"

#include <gtest/gtest.h>

namespace tailrace::runtime {
namespace {

std::string refusal_of(const Config& config) {
  Endpoints endpoints;
  std::string why;
  EXPECT_FALSE(read_endpoints(config, endpoints, why));
  return why;
}

TEST(Endpoints, ClientsAreToldWhereItListensUnlessSaidOtherwise) {
  Endpoints endpoints;
  std::string why;
  ASSERT_TRUE(read_endpoints({.listen = {"127.0.0.1:9092", "[::1]:0"}}, endpoints, why)) << why;
  endpoints.set_port(0, 1);
  endpoints.set_port(1, 4711);
  EXPECT_EQ(endpoints.listen_texts(), (std::vector<std::string>{"127.0.0.1:9092", "[::1]:4711"}));
  EXPECT_EQ(endpoints.told()[1].host, "::1");
  EXPECT_EQ(endpoints.told()[1].port, 4711);
}

TEST(Endpoints, AnAdvertisedNameIsToldAsItIs) {
  Endpoints endpoints;
  std::string why;
  ASSERT_TRUE(read_endpoints({.listen = {"0.0.0.0:9092"}, .advertise = {"log.example:19092"}},
                             endpoints, why)) << why;
  EXPECT_EQ(endpoints.told()[0].host, "log.example");
  EXPECT_EQ(endpoints.told()[0].port, 19092);
}

TEST(Endpoints, ARefusalSaysWhatToWrite) {
  EXPECT_NE(refusal_of({}).find("no address"), std::string::npos);
  EXPECT_NE(refusal_of({.listen = {"no such host:9092"}}).find("--listen: \"no such host:9092\": "
                                                              "the host is not found"),
            std::string::npos);
  EXPECT_NE(refusal_of({.listen = {"127.0.0.1:1"}, .admin = "no such host:1"}).find("--admin: "),
            std::string::npos);
  EXPECT_EQ(refusal_of({.listen = {"[::1]:9092", "127.0.0.1:1", "[::1]:9092"}}),
            "--listen [::1]:9092: named twice; once is enough");
  EXPECT_NE(refusal_of({.listen = {"9092"}}).find("not HOST:PORT"), std::string::npos);
  EXPECT_NE(refusal_of({.listen = {"0.0.0.0:9092"}}).find("--advertise"), std::string::npos);
  EXPECT_NE(refusal_of({.listen = {"127.0.0.1:1", "127.0.0.1:2"}, .advertise = {"a:1"}})
                .find("found 1 addresses, allowed: one per --listen, 2"), std::string::npos);
}

TEST(Endpoints, TheStaticConfigsAreOrderedByName) {
  Endpoints endpoints;
  std::string why;
  ASSERT_TRUE(read_endpoints({.listen = {"127.0.0.1:9092", "[::1]:9092"}}, endpoints, why));
  const broker::StaticConfig config = static_config(endpoints, Profile{}, "/data", 3);
  for (std::size_t i = 1; i < config.values.size(); ++i) {
    EXPECT_LT(config.values[i - 1].name, config.values[i].name);
  }
  EXPECT_EQ(config.values[0].value, "PLAINTEXT://127.0.0.1:9092,PLAINTEXT://[::1]:9092");
}

TEST(Endpoints, ANameIsListenedOnAndToldAsItsAddress) {
  Endpoints endpoints;
  std::string why;
  ASSERT_TRUE(read_endpoints({.listen = {"localhost:9092"}, .admin = "localhost:9644"}, endpoints,
                             why)) << why;
  EXPECT_EQ(endpoints.listen_texts(), std::vector<std::string>{"127.0.0.1:9092"});
  EXPECT_EQ(endpoints.told()[0].host, "127.0.0.1");
  EXPECT_EQ(endpoints.admin[0].host, "127.0.0.1");
  EXPECT_FALSE(read_endpoints({.listen = {"127.0.0.1:1", "localhost:1"}}, endpoints, why));
}

}  // namespace
}  // namespace tailrace::runtime
