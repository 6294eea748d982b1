// Stories of requests that are not spoken here.
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

class Dispatch : public ConnectionStory {};

TEST_F(Dispatch, UnknownApisAndVersionsClose) {
  const std::vector<std::pair<std::int16_t, std::int16_t>> unknown = {
      {999, 0}, {-1, 0}, {17, 0}, {3, 14}, {3, -1}, {1, 3}, {0, 0}, {0, 1}, {0, 2}, {0, 14}};
  for (const auto& [key, version] : unknown) {
    Client& client = node.connect();
    client.send_bytes(test::build_raw_request(key, version, 1));
    node.settle();
    EXPECT_TRUE(client.is_closed) << key << " version " << version;
    EXPECT_TRUE(client.received.empty());
  }
}

TEST_F(Dispatch, AnUnreadableBodyCloses) {
  Client& client = node.connect();
  client.send_bytes(test::build_raw_request(3, 1, 1, as_bytes("\x7f\xff\xff\xff")));
  node.settle();
  EXPECT_TRUE(client.is_closed);
}

}  // namespace
}  // namespace tailrace::broker
